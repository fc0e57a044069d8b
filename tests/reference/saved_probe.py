"""Apply a saved probe with NumPy alone, as docs/using.md says. Usage: saved_probe.py STORE PROBE [PREDICTIONS or COLUMN]

Of classes: how many pictures are right, and how far the probabilities in PREDICTIONS, a file of `predict --out`, are off at most.
Of numbers: how far the predictions of COLUMN are off at most.
"""

import json
import pathlib
import sys

import numpy as np
import pandas


def scores(store: pathlib.Path, probe: dict) -> np.ndarray:
    """Scores [pictures, outputs] of all pictures of a store."""
    taps = [np.load(store / file).astype(np.float64) for file in probe["files"]]
    # Several views of each picture are averaged; several taps stand side by side.
    x = np.hstack([tap.mean(axis=1) if tap.ndim == 3 else tap for tap in taps])
    if probe["transform"] == "l2":
        length = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(length > 0, length, 1)
    elif probe["transform"] == "sqrt":
        x = np.sign(x) * np.sqrt(np.abs(x))
    mean, scale, weights, intercept = (np.array(probe[key]) for key in ("mean", "scale", "weights", "intercept"))
    return (x - mean) / scale @ weights + intercept


def main() -> None:
    store = pathlib.Path(sys.argv[1])
    probe = json.loads(pathlib.Path(sys.argv[2]).read_text())
    said = scores(store, probe)
    listing = pandas.read_parquet(store / "listing.parquet")
    if "targets" in probe:
        truth = listing[sys.argv[3]].astype(float)
        print(np.abs(said[:, probe["targets"].index(sys.argv[3])] - truth).max())
        return
    classes = np.array(probe["classes"])
    if len(classes) == 2:
        said = np.hstack([np.zeros_like(said), said])
    odds = np.exp(said - said.max(axis=1, keepdims=True))
    expected = odds / odds.sum(axis=1, keepdims=True)
    predicted = classes[said.argmax(1)]
    if point := probe.get("operating_point"):
        own = list(classes).index(point["class"])
        predicted = np.where(expected[:, own] >= point["threshold"], classes[own], classes[1 - own])
    print((predicted == listing.label).sum(), "of", len(listing))
    if len(sys.argv) > 3:
        written = pandas.read_csv(sys.argv[3])
        assert (written.predicted == predicted).all()
        print(np.abs(written[[f"probability of {name}" for name in classes]].to_numpy() - expected).max())


main()
