"""Reads an exported table with DuckDB, pyarrow and pandas, and compares it with the store's own files.

Usage: python tests/reference/export_rows.py STORE TAP.npy ROWS.parquet
Numbers must be equal to the bit; float16 is widened, which is exact.
"""

import pathlib
import sys

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet


def main():
    store, array, table = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    listing = pd.read_parquet(store / "listing.parquet")
    expected = np.load(store / "features" / array)
    views = expected.shape[1] if expected.ndim == 3 else 1
    expected = expected.reshape(len(listing) * views, -1).astype(np.float32)
    good = np.repeat(listing.skipped.isna().to_numpy(), views)
    features = expected.shape[1]

    names = [*listing.columns, *(["view"] if views > 1 else []), "features"]
    schema = pyarrow.parquet.read_schema(table)
    assert schema.names == names, schema.names
    assert str(schema.field("features").type).startswith("list<element: float"), schema.field("features").type

    frame = pd.read_parquet(table)
    assert len(frame) == len(expected) and (frame.features.notna().to_numpy() == good).all()
    assert (np.stack(frame.features[good]) == expected[good]).all()
    for name in listing.columns:
        column = listing[name].repeat(views).reset_index(drop=True)
        assert frame[name].equals(column), name

    rows = duckdb.sql(f"SELECT count(*), count(features) FROM '{table}'").fetchall()
    assert rows == [(len(expected), int(good.sum()))], rows
    # DuckDB's arrays end at 100,000 numbers; its lists do not.
    kind = f"FLOAT[{features}]" if features <= 100_000 else "FLOAT[]"
    typed = duckdb.sql(f"SELECT path, features::{kind} AS row FROM '{table}' WHERE skipped IS NULL").df()
    assert (np.stack(typed.row) == expected[good]).all()
    assert list(typed.path) == list(listing.path.repeat(views)[good])
    if views > 1:
        assert (frame.view.to_numpy() == np.tile(np.arange(views), len(listing))).all()
        means = duckdb.sql(f"SELECT path, avg(features[1]) AS mean FROM '{table}' GROUP BY path ORDER BY path").df()
        own = pd.Series(expected[:, 0].astype(np.float64)).groupby(listing.path.repeat(views).to_numpy()).mean()
        assert np.allclose(means["mean"], own.sort_index(), rtol=1e-12, atol=0, equal_nan=True)
    groups = pyarrow.parquet.ParquetFile(table).num_row_groups
    print(f"{len(expected)} lines in {groups} row groups, {features} features")


main()
