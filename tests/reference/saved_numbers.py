"""Apply a saved probe of numbers with NumPy alone, and say how far off it is at most. Usage: saved_numbers.py STORE PROBE COLUMN"""

import json
import pathlib
import sys

import numpy as np
import pandas

store = pathlib.Path(sys.argv[1])
probe = json.loads(pathlib.Path(sys.argv[2]).read_text())
mean, scale, weights, intercept = (np.array(probe[key]) for key in ("mean", "scale", "weights", "intercept"))

features = np.load(store / "features" / f"{probe['tap']['name']}.{probe['tap']['pooling']}.npy")
predicted = ((features - mean) / scale @ weights + intercept)[:, probe["targets"].index(sys.argv[3])]
truth = pandas.read_parquet(store / "listing.parquet")[sys.argv[3]].astype(float)
print(np.abs(predicted - truth).max())
