"""Compare every array of a store with the Python ONNX Runtime's own tensors, pooled by NumPy.

Usage: taps.py make FOLDER                writes pictures/*.png of the networks' own size
       taps.py check PICTURES CARD STORE  one line for each tap that differs
       taps.py half PICTURES CARD STORE   the same for a store of the network in float16
"""

import json
import pathlib
import sys
import tomllib

import numpy as np
import onnx
import onnxruntime
from PIL import Image

# Largest difference of a row from the reference, as a share of the tap's largest number.
TOLERANCE = 1e-4
# The same of a network in float16: roundings to 11 bits in every layer. Measured: SqueezeNet 1e-3, EfficientNet-Lite0 2e-2.
TOLERANCE_HALF = 4e-2
SIDE = 224


def make(folder):
    """Smooth colour fields with noise: no two alike, none needs resizing, PNG loses nothing."""
    (folder / "pictures").mkdir()
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    for index in range(4):
        waves = [np.sin(random.normal(0, 9, 3) @ np.stack([x.ravel(), y.ravel(), np.ones(SIDE * SIDE)])) for _ in range(3)]
        field = 127 + 90 * np.stack(waves, 1).reshape(SIDE, SIDE, 3) + random.normal(0, 12, (SIDE, SIDE, 3))
        Image.fromarray(field.clip(0, 255).astype(np.uint8)).save(folder / "pictures" / f"{index}.png")


def inputs_of(card, files):
    pictures = np.stack([np.asarray(Image.open(file).convert("RGB"), np.float32) for file in files])
    pictures = pictures[..., ::-1] if card["input"]["channels"] == "bgr" else pictures
    mean, std = np.float32(card["input"]["mean"]), np.float32(card["input"]["std"])
    return ((pictures * np.float32(card["input"]["scale"]) - mean) / std).transpose(0, 3, 1, 2)


def tensors_of(path, names, inputs):
    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend([onnx.ValueInfoProto(name=name) for name in names if name not in known])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: np.ascontiguousarray(inputs)})))


def check(pictures, card_path, store, tolerance=TOLERANCE):
    card = tomllib.loads(card_path.read_text())
    taps = json.loads((store / "store.json").read_text())["taps"]
    files = sorted(pictures.glob("*.png"))
    tensors = tensors_of(card_path.parent / card["file"], [tap["tensor"] for tap in taps], inputs_of(card, files))
    bad, furthest = 0, 0.0
    for tap in taps:
        values = tensors[tap["tensor"]].astype(np.float64)
        expected = values.mean((2, 3)) if tap["pooling"] == "mean" else values.reshape(len(values), -1)
        ours = np.load(store / "features" / tap["file"])
        worst = np.abs(ours - expected).max() / np.abs(expected).max() if ours.shape == expected.shape else np.inf
        furthest = max(furthest, worst)
        if not worst <= tolerance:
            print(f"{tap['tensor']} {tap['pooling']}: off by {worst:.1e}")
            bad += 1
    if tolerance > TOLERANCE and furthest <= TOLERANCE:
        print("the rows are those of float32")
        bad += 1
    print(f"{furthest:.1e}", file=sys.stderr)
    stages = {stage["tensor"] for stage in card["stages"]} - {tap["tensor"] for tap in taps}
    if stages:
        print(f"not tapped: {sorted(stages)}")
    sys.exit(bad > 0 or bool(stages))


if __name__ == "__main__":
    verb, *paths = sys.argv[1:]
    half = lambda *paths: check(*paths, tolerance=TOLERANCE_HALF)
    {"make": make, "check": check, "half": half}[verb](*map(pathlib.Path, paths))
