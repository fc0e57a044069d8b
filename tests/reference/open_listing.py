"""The columns of a store's listing as JSON, read by pandas: open_listing.py STORE."""

import json
import pathlib
import sys

import pandas

listing = pandas.read_parquet(pathlib.Path(sys.argv[1]) / "listing.parquet")
print(json.dumps({name: [None if pandas.isna(value) else value for value in listing[name]] for name in listing.columns}))
