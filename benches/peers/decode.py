"""Large JPEGs to a network's input as a careful Python user does it, with Pillow and NumPy on one thread: prints JSON.

    decode.py exact|scaled PICTURE…

Short side to 256, the centre of 224 × 224, bicubic, (x − 127) / 128; `scaled` asks Pillow's draft for twice that size first.
"""

import json
import sys
import time

import numpy as np
from PIL import Image

SHORT, SIDE = 256, 224


def prepare(path, scaled):
    picture = Image.open(path)
    if scaled:
        picture.draft("RGB", (2 * SHORT, 2 * SHORT))
    width, height = picture.size
    size = (SHORT, int(SHORT * height / width)) if width <= height else (int(SHORT * width / height), SHORT)
    picture = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - SIDE) / 2), round((size[1] - SIDE) / 2)
    pixels = np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)


start = time.perf_counter()
for path in sys.argv[2:]:
    prepare(path, sys.argv[1] == "scaled")
print(json.dumps({"seconds": time.perf_counter() - start}))
