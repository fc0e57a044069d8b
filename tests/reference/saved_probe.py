"""Apply a saved probe with NumPy alone, as the README says. Usage: saved_probe.py STORE PROBE"""

import json
import pathlib
import sys

import numpy as np
import pandas

store = pathlib.Path(sys.argv[1])
probe = json.loads(pathlib.Path(sys.argv[2]).read_text())
mean, scale, weights, intercept = (np.array(probe[key]) for key in ("mean", "scale", "weights", "intercept"))

features = np.load(store / "features" / f"{probe['tap']['name']}.{probe['tap']['pooling']}.npy")
scores = (features - mean) / scale @ weights + intercept
predicted = (scores[:, 0] > 0).astype(int) if len(probe["classes"]) == 2 else scores.argmax(1)
labels = pandas.read_parquet(store / "listing.parquet").label
print((np.array(probe["classes"])[predicted] == labels).sum(), "of", len(labels))
