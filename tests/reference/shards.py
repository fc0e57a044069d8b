"""Packs a folder of class folders as Python's tools do: shards.py FOLDER OUT.

OUT gets WebDataset shards with .cls and .json by tarfile, a packed folder, Hugging Face's Parquet with class names by pyarrow, one with
small pages, zstd and plain bytes, and a listing in Parquet by pandas.
"""

import io
import json
import pathlib
import sys
import tarfile

import pandas
import pyarrow
import pyarrow.parquet

folder, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(exist_ok=True)
files = sorted(path for path in folder.rglob("*") if path.is_file())
names = sorted({path.parent.name for path in files})


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


for shard, format in enumerate([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]):
    with tarfile.open(out / f"web-{shard:03d}.tar", "w", format=format) as tar:
        for number, path in list(enumerate(files))[shard::3]:
            # Names beyond the 100 bytes of the oldest header, and beyond ASCII.
            key = f"{'long-' * (24 if shard < 2 else 1)}{'ä' if shard == 0 else 'a'}{number:04d}"
            add(tar, f"./{key}.png", path.read_bytes())
            add(tar, f"./{key}.cls", path.parent.name.encode() + b"\n")
            add(tar, f"./{key}.json", json.dumps({"number": number, "box": [1, 2], "sha256": "theirs", "split": "test" if number % 4 == 0 else "train"}).encode())

with tarfile.open(out / "packed.tar", "w") as tar:
    tar.add(folder, arcname="photos")

labels = [names.index(path.parent.name) for path in files]
image = pyarrow.StructArray.from_arrays([pyarrow.array([path.read_bytes() for path in files]), pyarrow.array([path.name for path in files])], ["bytes", "path"])
schema = pyarrow.schema([("image", image.type), ("label", pyarrow.int64()), ("objects", pyarrow.list_(pyarrow.int64()))])
info = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
table = pyarrow.table([image, pyarrow.array(labels), pyarrow.array([[1]] * len(files))], schema=schema.with_metadata({"huggingface": json.dumps(info)}))
half = len(files) // 2
pyarrow.parquet.write_table(table[:half], out / "train-00000-of-00001.parquet", row_group_size=3)
pyarrow.parquet.write_table(table[half:], out / "test-00000-of-00001.parquet", row_group_size=3)

plain = pyarrow.table({"label": [path.parent.name for path in files], "weight": [0.5] * len(files), "data": [path.read_bytes() for path in files]})
pyarrow.parquet.write_table(plain, out / "plain.parquet", compression="zstd", use_dictionary=False, data_page_size=1, write_batch_size=1, data_page_version="2.0")

listing = pandas.DataFrame({"kind": [None] + [1.5] * (len(files) - 1), "label": pandas.Categorical([path.parent.name for path in files]), "number": range(len(files)), "path": [str(path) for path in files]})
listing.to_parquet(out / "listing.parquet", index=False)
