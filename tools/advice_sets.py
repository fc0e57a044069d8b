"""Folders of pictures, one folder for each class, for the calibration in docs/advice.md.

    .venv/bin/python tools/advice_sets.py OUT digits
    .venv/bin/python tools/advice_sets.py OUT emoji PACKAGE     # `npm pack emoji-datasource-google@16.0.0`, unpacked
    .venv/bin/python tools/advice_sets.py OUT stamps STAMPS     # /usr/share/tuxpaint/stamps of Debian's tuxpaint-stamps-default
    .venv/bin/python tools/advice_sets.py OUT objects CALTECH   # the category folders of Caltech-101: 15 pictures of each
    .venv/bin/python tools/advice_sets.py OUT objects15 CALTECH # all pictures (40 at most) of every seventh category

Pictures with transparency are laid on white. Draws have a fixed seed.
"""

import json
import random
import shutil
import sys
from pathlib import Path

from PIL import Image

STAMPS = {
    "birds": "animals/birds", "mammals": "animals/mammals", "insects": "animals/insects", "fruit": "food/fruit",
    "vegetables": "food/vegetables", "flowers": "plants/flowers", "clothes": "clothes", "tools": "household",
}


def save(picture: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    white.convert("RGB").save(file)


def digits(out: Path) -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    for index in range(1500):
        grey = Image.fromarray((data.images[index] * 15.9).astype("uint8"))
        save(grey, out / str(data.target[index]) / f"{index}.png")


def emoji(out: Path, package: Path) -> None:
    listed = json.loads((package / "emoji.json").read_text())
    listed = [e for e in listed if e["has_img_google"] and e["category"] not in ("Flags", "Component")]
    random.Random(0).shuffle(listed)
    for entry in listed[:1400]:
        name = entry["category"].replace(" ", "-").replace("&", "and")
        save(Image.open(package / "img/google/64" / entry["image"]), out / name / entry["image"])


def stamps(out: Path, stamps: Path) -> None:
    for name, folder in STAMPS.items():
        for file in sorted((stamps / folder).rglob("*.png")):
            if "cartoon" not in str(file):
                save(Image.open(file), out / name / file.name)


def objects(out: Path, caltech: Path, every: int, most: int) -> None:
    categories = sorted(folder for folder in caltech.iterdir() if folder.is_dir())
    for category in categories[::every]:
        (out / category.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(category.glob("*.jpg"))[:most]:
            shutil.copy(file, out / category.name / file.name)


def main() -> None:
    match sys.argv[1:]:
        case [out, "digits"]:
            digits(Path(out))
        case [out, "emoji", package]:
            emoji(Path(out), Path(package))
        case [out, "stamps", folder]:
            stamps(Path(out), Path(folder))
        case [out, "objects", folder]:
            objects(Path(out), Path(folder), every=1, most=15)
        case [out, "objects15", folder]:
            objects(Path(out), Path(folder), every=7, most=40)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
