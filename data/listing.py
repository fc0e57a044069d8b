"""Write a listing: a CSV file whose paths are relative to its own folder, the same bytes from the same packages.

Relative paths keep a checkout movable and free of machine names; the pictures themselves stay in the installed
package, whose licence may not allow them to be copied.
"""

import csv
import importlib.util
import os
import pathlib

HERE = pathlib.Path(__file__).parent


def package_folder(name):
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the Python package {name} is not installed in this environment; run make setup")
    return pathlib.Path(spec.origin).parent


def relative(path):
    """`path` as a listing beside this file writes it."""
    return pathlib.Path(os.path.relpath(path, HERE)).as_posix()


def write_listing(name, columns, rows, expected):
    """Writes data/`name`, or stops with one sentence if there are not `expected` rows or a picture is missing."""
    if len(rows) != expected:
        raise SystemExit(f"data/{name} would have {len(rows)} rows, expected {expected}; reinstall with make setup")
    missing = [row[0] for row in rows if not (HERE / row[0]).is_file()]
    if missing:
        raise SystemExit(f"data/{name}: {len(missing)} pictures are missing, the first is {missing[0]}")
    part = HERE / f"{name}.part"
    with open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.replace(HERE / name)
    print(f"data/{name}: {len(rows)} pictures listed")
