"""Compare stores of several views with Pillow's pictures, the Python ONNX Runtime's tensors and NumPy's means.

Usage: views.py make FOLDER                       writes pictures/*.png and .jpg that must be resized
       views.py check PICTURES CARD SIDE STORE…   one line for each tap and view that differs; SIDE is that of --resize

Crops follow torchvision's `ten_crop` and `RandomResizedCrop`, written out here; the random numbers come from a ChaCha8
of our own.
"""

import hashlib
import json
import math
import pathlib
import struct
import sys
import tomllib

import numpy as np
from PIL import Image
from taps import TOLERANCE, tensors_of

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def make(folder):
    """Colour fields with noise, wide, high, square, and longer than any crop fits; one JPEG, one grey."""
    (folder / "pictures").mkdir()
    random = np.random.default_rng(2)
    for index, (width, height) in enumerate([(300, 199), (211, 340), (256, 256), (900, 120), (333, 250), (120, 131)]):
        y, x = np.mgrid[0:height, 0:width] / 200
        waves = [np.sin(random.normal(0, 9, 3) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])) for _ in range(3)]
        field = 127 + 90 * np.stack(waves, 1).reshape(height, width, 3) + random.normal(0, 12, (height, width, 3))
        picture = Image.fromarray(field.clip(0, 255).astype(np.uint8))
        picture = picture.convert("L") if index == 2 else picture
        picture.save(folder / "pictures" / f"{index}.{'jpg' if index == 4 else 'png'}")


def chacha8(key, stream):
    """64-bit numbers of ChaCha (Bernstein 2008) with 8 rounds, a 64-bit block counter and a 64-bit stream number."""

    def quarter(s, a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] ^= s[x]
            s[z] = ((s[z] << turn) | (s[z] >> (32 - turn))) & 0xFFFFFFFF

    block = 0
    while True:
        words = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
        words += struct.unpack("<4I", struct.pack("<QQ", block, stream))
        state = list(words)
        for _ in range(4):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                quarter(state, a, b, c, d)
            for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(state, a, b, c, d)
        out = [(a + b) & 0xFFFFFFFF for a, b in zip(state, words)]
        yield from (low | high << 32 for low, high in zip(out[::2], out[1::2]))
        block += 1


def random_part(width, height, numbers):
    """torchvision's RandomResizedCrop.get_params with scale (0.5, 1) and ratio (3/4, 4/3), then its RandomHorizontalFlip."""
    unit = lambda: (next(numbers) >> 11) / 2**53
    low, high = math.log(3 / 4), math.log(4 / 3)
    for _ in range(10):
        area = width * height * (0.5 + 0.5 * unit())
        ratio = math.exp(low + (high - low) * unit())
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(unit() * (height - h + 1)), int(unit() * (width - w + 1))
            return (left, top, left + w, top + h), unit() < 0.5
    w, h = width, height
    if width / height < 3 / 4:
        h = round(w / (3 / 4))
    elif width / height > 4 / 3:
        w = round(h * (4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return (left, top, left + w, top + h), unit() < 0.5


def views_of(file, views, side, target):
    """The views as Pillow pictures; `target` is (width, height, filter) of the network's input."""
    width, height, resample = target
    picture = Image.open(file).convert("RGB")
    mirrored = lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if views.startswith("random:"):
        _, count, seed = views.split(":")
        digest = hashlib.sha256(file.read_bytes()).digest()
        key = hashlib.sha256(digest + struct.pack("<Q", int(seed))).digest()
        made = []
        for view in range(int(count)):
            box, is_mirrored = random_part(*picture.size, chacha8(key, view))
            # Across, then down: Pillow 13 turns the order round where that is faster, which moves some pixels by one level.
            part = picture.crop(box)
            part = part.resize((width, part.height), resample).resize((width, height), resample)
            made.append(mirrored(part) if is_mirrored else part)
        return made
    short, long = min(picture.size), max(picture.size)
    size = [side if length == short else side * long // short for length in picture.size]
    resized = picture.resize(size, resample)

    def crop(image, left, top):
        return image.crop((left, top, left + width, top + height))

    def five(image):
        right, bottom = image.width - width, image.height - height
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (round(right / 2), round(bottom / 2))]
        return [crop(image, *corner) for corner in corners]

    if views == "ten-crop":
        return five(resized) + five(mirrored(resized))
    centre = five(resized)[4]
    turned_over = centre.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return {
        "centre": [centre],
        "flip": [centre, mirrored(centre)],
        "flips": [centre, mirrored(centre), turned_over, mirrored(turned_over)],
    }[views]


def check_store(pictures, card_path, side, store):
    card = tomllib.loads(card_path.read_text())
    how = card["input"]
    manifest = json.loads((store / "store.json").read_text())
    views = manifest["space"].get("views", "centre")
    files = sorted(file for file in pictures.iterdir())
    target = how["width"], how["height"], FILTERS[how["interpolation"]]
    made = [views_of(file, views, side, target) for file in files]
    values = np.stack([[np.asarray(view, np.float32) for view in picture] for picture in made])
    values = values[..., ::-1] if how["channels"] == "bgr" else values
    values = (values * np.float32(how["scale"]) - np.float32(how["mean"])) / np.float32(how["std"])
    inputs = values.reshape(-1, *values.shape[2:]).transpose(0, 3, 1, 2)
    tensors = tensors_of(card_path.parent / card["file"], [tap["tensor"] for tap in manifest["taps"]], inputs)
    bad = 0
    for tap in manifest["taps"]:
        expected = tensors[tap["tensor"]].astype(np.float64)
        expected = expected.mean((2, 3)).reshape(len(files), -1, expected.shape[1])
        ours = np.load(store / "features" / tap["file"])
        if expected.shape[1] == 1:
            expected = expected[:, 0]
        worst = np.abs(ours - expected).max() / np.abs(expected).max() if ours.shape == expected.shape else np.inf
        if not worst <= TOLERANCE:
            print(f"{views} {tap['tensor']}: {ours.shape}, off by {worst:.1e} of {expected.shape}")
            bad += 1
        # Views that were all the same would pass every comparison of a mean.
        if ours.ndim == 3 and not all(np.abs(ours[:, 0] - ours[:, v]).max() > 1e-3 for v in range(1, ours.shape[1])):
            print(f"{views} {tap['tensor']}: some view is the same as the first for all pictures")
            bad += 1
    return bad


def check(pictures, card_path, side, *stores):
    sys.exit(sum(check_store(pictures, card_path, int(str(side)), store) for store in stores) > 0)


if __name__ == "__main__":
    verb, *paths = sys.argv[1:]
    {"make": make, "check": check}[verb](*map(pathlib.Path, paths))
