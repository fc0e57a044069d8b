"""Compare an int8 store with a network that ONNX Runtime's own quantisation tool made from the same ranges.

Usage: int8.py PICTURES CARD STORE    one line for each tap that differs

The tool (`quantize_static`) folds, places and rounds by itself; only the ranges are ours. Its network runs without graph
optimisation, so that every operator computes in float32 between quantised tensors: nothing is shared with the fused
integer kernels but their meaning. Roundings to a byte that fall the other way, a step at a time, are what is left.
"""

import json
import pathlib
import sys
import tempfile
import tomllib

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from taps import inputs_of

# Root mean square of the difference of a tap's rows, as a share of that of the rows themselves. Measured: EfficientNet-Lite0
# 0.0000 in the first blocks to 0.014 at the head, where float32 is 0.08 away; SqueezeNet at most 0.0024.
TOLERANCE = 0.03
QUANTISED = ["Conv", "Add", "Clip", "Relu", "Concat", "Gemm"]


class Reader(CalibrationDataReader):
    def __init__(self, name, inputs):
        self.batches = iter([{name: inputs}])

    def get_next(self):
        return next(self.batches, None)


def session(path, level, save=None):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    if save:
        options.optimized_model_filepath = str(save)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def with_outputs(model, names):
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    return model


def quantised(folder, path, tensors, precision, inputs):
    """The tool's network, its batch normalisations folded by the runtime, its ranges replaced by ours."""
    source, folded, out = (folder / f"{name}.onnx" for name in ("source", "folded", "int8"))
    onnx.save(with_outputs(onnx.load(path), tensors), source)
    session(source, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC, folded)
    nodes = onnx.load(folded).graph.node
    known = {name for node in nodes for name in [*node.input, *node.output]}
    ranges = {r["tensor"]: [{"rmin": np.float32(r["min"]), "rmax": np.float32(r["max"])}] for r in precision["ranges"] if r["tensor"] in known}
    # Maxima of bytes are such bytes: a second rounding to the same steps changes nothing.
    ranges |= {node.output[0]: ranges[node.input[0]] for node in nodes if node.op_type == "MaxPool" and node.input[0] in ranges}
    options = {"TensorQuantOverrides": ranges, "OpTypesToExcludeOutputQuantization": ["Gemm"]}
    name = onnx.load(folded).graph.input[0].name
    kinds = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(folded, out, Reader(name, inputs), op_types_to_quantize=QUANTISED, per_channel=True, extra_options=options, **kinds)
    return out


def real(model, tensors):
    """For each tensor the name of the real numbers that its bytes stand for, where it has bytes."""
    bytes_of = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    reals = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {name: reals.get(bytes_of.get(name), name) for name in tensors}


def rows(path, tensors, inputs):
    model = onnx.load(path)
    names = real(model, tensors)
    onnx.save(with_outputs(model, sorted(set(names.values()))), path)
    run = session(path, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    values = dict(zip(sorted(set(names.values())), run.run(sorted(set(names.values())), {run.get_inputs()[0].name: inputs})))
    maps = {tensor: values[name].astype(np.float64) for tensor, name in names.items()}
    return {tensor: map.mean((2, 3)) if map.ndim == 4 else map for tensor, map in maps.items()}


def distance(a, b):
    return np.sqrt(np.square(a - b).mean() / np.square(b).mean())


def main(pictures, card_path, store):
    card, manifest = tomllib.loads(card_path.read_text()), json.loads((store / "store.json").read_text())
    inputs = np.ascontiguousarray(inputs_of(card, sorted(pictures.glob("*.png"))))
    taps = manifest["taps"]
    assert all(tap["pooling"] in ("mean", "flatten") for tap in taps)
    tensors, path = [tap["tensor"] for tap in taps], card_path.parent / card["file"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        expected = rows(quantised(folder, path, tensors, manifest["space"]["precision"], inputs), tensors, inputs)
        plain = folder / "plain.onnx"
        onnx.save(onnx.load(path), plain)
        float32 = rows(plain, tensors, inputs)
    bad, moved = 0, 0.0
    for tap in taps:
        ours = np.load(store / "features" / tap["file"]).astype(np.float64)
        off, from_float = distance(ours, expected[tap["tensor"]]), distance(ours, float32[tap["tensor"]])
        moved = max(moved, from_float)
        print(f"{tap['name']:10} {off:.4f} from the reference, {from_float:.4f} from float32", file=sys.stderr)
        if not off <= TOLERANCE:
            print(f"{tap['name']}: off by {off:.4f}")
            bad += 1
    if moved < TOLERANCE:
        print("the rows are those of float32")
        bad += 1
    sys.exit(bad > 0)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
