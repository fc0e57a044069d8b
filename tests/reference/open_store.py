"""Open a store with NumPy, pandas and scikit-learn, as the README shows. Usage: open_store.py STORE"""

import json
import pathlib
import sys

import numpy as np
import pandas
from sklearn.linear_model import LogisticRegression

store = pathlib.Path(sys.argv[1])

listing = pandas.read_parquet(store / "listing.parquet")
rows = np.load(store / "features/fire2.mean.npy", mmap_mode="r")
good = listing.skipped.isna()
probe = LogisticRegression(max_iter=1000).fit(rows[good], listing.label[good])

assert rows.shape == (17, 128) and rows.dtype == np.float16, (rows.shape, rows.dtype)
assert listing.path.tolist()[6:10] == ["dark/6.png", "dark/7.png", "dark/broken.png", "light/0.png"], listing.path.tolist()
assert np.isnan(rows[8]).all() and not np.isnan(rows[good]).any()
assert list(listing.columns) == ["path", "label", "split", "sha256", "skipped"], listing.columns
assert "picture" in listing.skipped[8], listing.skipped[8]
assert probe.score(rows[good], listing.label[good]) == 1.0
manifest = json.loads((store / "store.json").read_text())
assert [tap["file"] for tap in manifest["taps"]] == ["pool1.mean.npy", "fire2.mean.npy"]
