"""Print how many of a store's rows of logits are largest at the row's label. Usage: top1.py STORE"""

import pathlib
import sys

import numpy as np
import pandas

store = pathlib.Path(sys.argv[1])
labels = pandas.read_parquet(store / "listing.parquet").label.astype(int)
print((np.load(next((store / "features").glob("logits*.npy"))).argmax(1) == labels).sum())
