"""Writes a store of made-up features in the layout that docs/stores.md documents, for tests and benches of many rows or classes.

    make_store.py FOLDER --rows 50000 --taps 20 --columns 64,128,256 --classes 10

Deeper taps tell the classes apart better, the last but one best. There are no pictures: every sha256 is of the row's number.
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import pyarrow
import pyarrow.parquet

# Directions in which the rows of all taps differ, besides the classes'.
HIDDEN = 24


def listing(labels: np.ndarray) -> pyarrow.Table:
    rows, digits = len(labels), len(str(labels.max()))
    text = lambda values: pyarrow.array(values, pyarrow.string())
    return pyarrow.table({
        "path": text([f"{row:06}.png" for row in range(rows)]),
        "label": text([f"class {label:0{digits}}" for label in labels]),
        "split": text([None] * rows),
        "sha256": text([hashlib.sha256(str(row).encode()).hexdigest() for row in range(rows)]),
        "skipped": text([None] * rows),
    })


def features(labels: np.ndarray, columns: int, strength: float, seed: int) -> np.ndarray:
    """Rectified mixtures of hidden directions, as skewed as features of a layer."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(labels.max() + 1, HIDDEN))
    mix = random.normal(size=(HIDDEN, columns)) / np.sqrt(HIDDEN)
    hidden = strength * centres[labels] + random.normal(size=(len(labels), HIDDEN))
    return np.maximum(hidden @ mix + 0.3 * random.normal(size=(len(labels), columns)), 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--taps", type=int, default=1)
    parser.add_argument("--columns", default="64", help="features of each tap, in turn where they are several")
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--uneven", type=int, help="of two classes, have one row in so many be of the second")
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32")
    parser.add_argument("--name", default="stage", help="what taps are called, before their number")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder, count = arguments.folder, arguments.taps
    (folder / "features").mkdir(parents=True)
    order = np.arange(arguments.rows)
    labels = (order % arguments.uneven == 0).astype(int) if arguments.uneven else order % arguments.classes
    pyarrow.parquet.write_table(listing(labels), folder / "listing.parquet", compression="snappy")
    widths = [int(width) for width in arguments.columns.split(",")]
    taps = []
    for tap in range(count):
        width, name, file = widths[tap % len(widths)], f"{arguments.name}{tap}", f"tap{tap}.npy"
        # The last but one does best: an inner stage before the top.
        depth = tap if tap < count - 1 or count < 3 else count - 2.5
        values = features(labels, width, 0.15 + 0.5 * (depth + 1) / count, arguments.seed + tap)
        np.save(folder / "features" / file, values.astype("<f4" if arguments.dtype == "f32" else "<f2"))
        taps.append({
            "name": name, "tensor": name, "pooling": "mean", "features": width, "shape": [width, 7, 7], "position": tap,
            "reduction": 32.0, "multiply_adds": 1000 * (tap + 1), "cost_share": (tap + 1) / count, "classifier": False,
            "file": file,
        })
    pixels = {"resize": "squash", "height": 224, "width": 224, "interpolation": "bilinear", "channels": "rgb", "scale": 1.0,
              "mean": [0.0] * 3, "std": [1.0] * 3}
    manifest = {
        "format": "tapline-store", "version": 1, "tapline": "0.1.0",
        "space": {"model": {"name": "made-up", "sha256": hashlib.sha256(b"made-up").hexdigest()}, "preprocess": pixels,
                  "dtype": arguments.dtype},
        "taps": taps, "rows": arguments.rows, "skipped": 0,
        "listing_sha256": hashlib.sha256((folder / "listing.parquet").read_bytes()).hexdigest(),
        "run": {"runtime": "none", "provider": "none", "device": "cpu", "batch": 1, "threads": 1},
    }
    (folder / "store.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
