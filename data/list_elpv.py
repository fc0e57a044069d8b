"""List the solar cells of the Python package elpv-dataset in data/elpv.csv.

The package gives each cell a defect probability (0, 1/3, 2/3 or 1) from expert annotations; the label made from it
is "defective" above one half, else "functional". Both are written, so that another threshold needs no new listing.
"""

from listing import package_folder, relative, write_listing

CELLS = 2624


def cells(folder):
    """Path, label, probability and type (mono or poly) of each cell in the package's order."""
    for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines():
        path, probability, kind = line.split()
        label = "defective" if float(probability) > 0.5 else "functional"
        yield relative(folder / path), label, probability, kind


if __name__ == "__main__":
    listed = list(cells(package_folder("elpv_dataset") / "data"))
    write_listing("elpv.csv", ("path", "label", "probability", "type"), listed, CELLS)
