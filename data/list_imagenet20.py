"""List the 20 labelled ImageNet photographs of the Python package foolbox in data/imagenet20.csv.

They tell whether a model and its preprocessing are right: the label is the class index, 0 to 999, which the
package writes at the end of each file name.
"""

from listing import package_folder, relative, write_listing

PHOTOGRAPHS = 20


def photographs(folder):
    """Path and class index of each photograph, by file name `imagenet_NN_CLASS.jpg`."""
    for path in sorted(folder.glob("imagenet_*_*.jpg")):
        yield relative(path), path.stem.split("_")[2]


if __name__ == "__main__":
    listed = list(photographs(package_folder("foolbox") / "data"))
    write_listing("imagenet20.csv", ("path", "label"), listed, PHOTOGRAPHS)
