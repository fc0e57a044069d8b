"""Compare the maps of `tapline explain` with the Python ONNX Runtime's tensors under the probe that Tapline saved.

Usage: explain.py make FOLDER                      writes smooth/*.png and striped/*.png of the networks' own size
       explain.py check CARD TENSOR PROBE EXPLAINED  EXPLAINED is the command's JSON
"""

import json
import pathlib
import sys
import tomllib

import numpy as np
from PIL import Image

import taps


def make(folder):
    random = np.random.default_rng(3)
    y, x = np.mgrid[0 : taps.SIDE, 0 : taps.SIDE]
    for name, period in (("smooth", 90), ("striped", 12)):
        (folder / name).mkdir(parents=True)
        for index in range(6):
            waves = 90 * np.sin(2 * np.pi * (x + random.normal() * y) / period + random.uniform(0, 6))
            picture = 127 + waves[..., None] * random.uniform(0.5, 1, 3) + random.normal(0, 12, (taps.SIDE, taps.SIDE, 3))
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / name / f"{index}.png")


def check(card_path, tensor, probe_path, explained_path):
    card, probe = tomllib.loads(card_path.read_text()), json.loads(probe_path.read_text())
    pictures = json.loads(explained_path.read_text())["pictures"]
    inputs = taps.inputs_of(card, [picture["picture"] for picture in pictures])
    maps = taps.tensors_of(card_path.parent / card["file"], [tensor], inputs)[tensor].astype(np.float64)
    weights = np.ravel(probe["weights"]) / probe["scale"]
    for picture, values in zip(pictures, maps):
        # One output: the log-odds of the second class.
        expected = np.tensordot(weights, values - np.array(probe["mean"])[:, None, None], 1) + probe["intercept"][0]
        expected = expected if picture["class"] == probe["classes"][1] else -expected
        found = np.array(picture["map"])
        assert found.shape == expected.shape, (found.shape, expected.shape)
        worst = np.abs(found - expected).max() / np.abs(expected).max()
        assert worst < 1e-4, (picture["picture"], worst)
        assert abs(picture["score"] - expected.mean()) < 1e-4 * np.abs(expected).max()
        says = probe["classes"][int((expected.mean() > 0) == (picture["class"] == probe["classes"][1]))]
        assert picture["predicted"] == says, picture["predicted"]
        overlay = np.asarray(Image.open(picture["file"]))
        assert (overlay[:, : taps.SIDE] == np.asarray(Image.open(picture["picture"]))).all()
        # The strongest cell's colour: orange for, blue against.
        y, x = np.unravel_index(np.abs(expected).argmax(), expected.shape)
        cell = taps.SIDE // expected.shape[0]
        red, _, blue = overlay[y * cell + cell // 2, taps.SIDE + x * cell + cell // 2].astype(int)
        assert (red > blue) == (expected[y, x] > 0), (red, blue, expected[y, x])


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        check(pathlib.Path(sys.argv[2]), sys.argv[3], *map(pathlib.Path, sys.argv[4:6]))
