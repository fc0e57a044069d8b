"""Probe a few stages of both models on the solar cells with Pillow, ONNX Runtime's Python binding and scikit-learn.

An independent reference for the whole of Tapline, from picture to accuracy: mean over the map, standardise on the
training folds, logistic regression, five stratified folds, the best of a few regularisation strengths.
A cell fills its picture, so the whole of it is resized to the network's input; --cropped follows the model cards,
whose centre crop cuts off the cell's border.

Usage: python models/reference_elpv.py [--cropped]   (about five minutes on two cores; needs make setup-test)
"""

import csv
import sys
import tomllib

import numpy as np
import onnx
import onnxruntime
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from check_top1 import MODELS, preprocess

LISTING = MODELS.parent / "data" / "elpv.csv"
STAGES = {
    "squeezenet1.1": ("pool1", "fire4", "fire6", "fire9"),
    "efficientnet-lite0": ("stem", "blocks.5", "blocks.11", "head"),
}
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C
BATCH = 32


def open_with_outputs(path, tensors):
    """A session on the model at `path` whose outputs are the named inner tensors as well."""
    model = onnx.load(path)
    known = {value.name: value for value in model.graph.value_info}
    model.graph.output.extend(known[tensor] for tensor in tensors)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def mean_features(name, paths, cropped):
    """Stage → mean over the map's cells, `[n, channels]` float32."""
    card = tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))
    if not cropped:
        card["input"]["crop_fraction"] = 1.0  # the pictures are square: nothing is cut off
    session = open_with_outputs(MODELS / card["file"], STAGES[name])
    parts = {stage: [] for stage in STAGES[name]}
    for start in range(0, len(paths), BATCH):
        batch = np.concatenate([preprocess(path, card["input"]) for path in paths[start : start + BATCH]])
        for stage, maps in zip(STAGES[name], session.run(STAGES[name], {card["input"]["tensor"]: batch})):
            parts[stage].append(maps.mean(axis=(2, 3)))
    return {stage: np.concatenate(rows) for stage, rows in parts.items()}


def best_accuracy(rows, labels):
    """The best strength's mean accuracy over the folds, and that strength."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = []
    for strength in STRENGTHS:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        scores.append((cross_val_score(probe, rows.astype(np.float64), labels, cv=folds).mean(), strength))
    return max(scores)


def main():
    cropped = sys.argv[1:] == ["--cropped"]
    if sys.argv[1:] and not cropped:
        raise SystemExit(f"unknown argument {sys.argv[1]}; say --cropped or nothing")
    with open(LISTING, newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    labels = np.array([cell["label"] for cell in cells])
    paths = [LISTING.parent / cell["path"] for cell in cells]
    for name in STAGES:
        for stage, rows in mean_features(name, paths, cropped).items():
            accuracy, strength = best_accuracy(rows, labels)
            print(f"{name} {stage}: {100 * accuracy:.1f} % (C = {strength:g})", flush=True)


if __name__ == "__main__":
    main()
