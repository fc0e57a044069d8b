"""Count how many of 20 labelled ImageNet photographs each model names rightly.

An independent reference for the whole route from picture to logits: Pillow decodes and resizes, the Python ONNX
Runtime runs the network, and nothing of Tapline's own code takes part. The photographs ship with the
Python package foolbox; data/list_imagenet20.py lists them in data/imagenet20.csv.
"""

import csv
import pathlib
import tomllib

import numpy as np
import onnxruntime
from PIL import Image

MODELS = pathlib.Path(__file__).parent
LISTING = MODELS.parent / "data" / "imagenet20.csv"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def preprocess(path, spec):
    """The picture at `path` as the card's network wants it, `[1, 3, h, w]` float32: resize, centre crop, normalise."""
    height, width = spec["height"], spec["width"]
    image = Image.open(path).convert("RGB")
    short = round(min(height, width) / spec["crop_fraction"])
    ratio = short / min(image.size)
    image = image.resize([round(side * ratio) for side in image.size], FILTERS[spec["interpolation"]])
    left, top = (image.width - width) // 2, (image.height - height) // 2
    pixels = np.asarray(image.crop((left, top, left + width, top + height)), np.float32)
    if spec["channels"] == "bgr":
        pixels = pixels[:, :, ::-1]
    pixels = (pixels * spec["scale"] - np.float32(spec["mean"])) / np.float32(spec["std"])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def count_right(card, samples):
    """How many of the `(path, class)` samples the card's network puts first, and among the first five."""
    session = onnxruntime.InferenceSession(MODELS / card["file"], providers=["CPUExecutionProvider"])
    first = among = 0
    for path, label in samples:
        (logits,) = session.run(["logits"], {card["input"]["tensor"]: preprocess(path, card["input"])})
        best = np.argsort(-logits[0], kind="stable")[:5]
        first += int(best[0] == label)
        among += int(label in best)
    return first, among


def main():
    with open(LISTING, newline="", encoding="utf-8") as file:
        samples = [(LISTING.parent / row["path"], int(row["label"])) for row in csv.DictReader(file)]
    for path in sorted(MODELS.glob("*.toml")):
        card = tomllib.loads(path.read_text(encoding="utf-8"))
        first, among = count_right(card, samples)
        print(f"{card['name']}: {first}/{len(samples)} right, {among}/{len(samples)} among the first five")


if __name__ == "__main__":
    main()
