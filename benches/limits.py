"""The rows `limit-*`, `layout-*` and `depth-*` of `make bench`: how near extraction is to what the machine can do.

The limit of a machine is cores ÷ (core-seconds of decoding + core-seconds of the network), each measured alone on all cores.
"""

import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
TAPLINE, EXAMPLES = BUILT / "tapline", BUILT / "examples"
PEERS = ROOT / "benches" / "peers"
NETWORKS = {"squeezenet1.1": "squeezenet", "efficientnet-lite0": "lite0"}
TURNS = int(os.environ.get("TURNS", "3"))
COUNT, FEW = 2624, 64
SECONDS = 3


def ran(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, cwd=ROOT, **more).stdout


def extract(listing, network, store, *more):
    """Seconds of an extraction on the processor, and how its work was shared."""
    start = time.perf_counter()
    said = ran(TAPLINE, "extract", listing, "--model", network, "--squash", "--store", store, "--device", "cpu", "--json", *more)
    return time.perf_counter() - start, json.loads(said)["sharing"]


def graph_of(network, store, out):
    import onnxruntime

    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    ran(EXAMPLES / "store_model", library, ROOT / "models" / f"{network}.toml", store, out)
    return out


def solar_cells():
    """Grey PNGs of 300 × 300 pixels."""
    listing = ROOT / "data" / "elpv.csv"
    return [str((listing.parent / line["path"]).resolve()) for line in csv.DictReader(listing.open())]


def photographs(folder):
    """The colour pictures of data/imagenet20.csv with a long side of 500 pixels as JPEG, again and again, each a file of its own."""
    from PIL import Image

    listing = ROOT / "data" / "imagenet20.csv"
    encoded = []
    for line in csv.DictReader(listing.open()):
        picture = Image.open((listing.parent / line["path"]).resolve()).convert("RGB")
        scale = 500 / max(picture.size)
        path = folder / f"{len(encoded)}.jpg"
        picture.resize([round(side * scale) for side in picture.size], Image.Resampling.LANCZOS).save(path, quality=90)
        encoded.append(path.read_bytes())
    paths = [folder / f"copy-{index:05}.jpg" for index in range(COUNT)]
    for index, path in enumerate(paths):
        path.write_bytes(encoded[index % len(encoded)])
    return [str(path) for path in paths]


def listed(paths, path):
    path.write_text("path\n" + "".join(f"{picture}\n" for picture in paths))
    return path


def limit_of(network, kind, paths, row, folder):
    few, many = (listed(paths[:count], folder / f"{kind}-{count}.csv") for count in (FEW, COUNT))
    extract(few, network, folder / f"{kind}-{network}-few")
    graph = graph_of(network, folder / f"{kind}-{network}-few", folder / f"{network}.onnx")
    # Once outside the turns: trials of how to share the work are made once for a machine.
    extract(many, network, folder / f"warm-{kind}-{network}")
    ratios, rates, limits, parts = [], [], [], []
    for turn in range(TURNS):
        start, _ = extract(few, network, folder / f"few-{kind}-{network}-{turn}")
        whole, sharing = extract(many, network, folder / f"many-{kind}-{network}-{turn}")
        decode = json.loads(ran(EXAMPLES / "time_pictures", folder / f"{kind}-{network}-few", os.cpu_count(), SECONDS, input="\n".join(paths)))
        layouts = json.loads(ran(sys.executable, PEERS / "network_limit.py", graph, SECONDS / 2))
        alone = max(layouts.values())
        parts.append((decode["pictures_per_second"], alone))
        limits.append(1 / (1 / parts[-1][0] + 1 / alone))
        rates.append((COUNT - FEW) / (whole - start))
        ratios.append(rates[-1] / limits[-1])
    decode, alone = (statistics.median(side) for side in zip(*parts))
    what = f"pictures per second past the start, all stages, {COUNT} of {kind}; the limit, of decoding alone {decode:.0f} and the network alone {alone:.0f}, whose share of the time is {statistics.median(rates) / alone:.0%}"
    row(f"limit-{NETWORKS[network]}-{kind}", what, rates, limits, unit="/s", goal=0.95, ratio=statistics.median(ratios))
    return layouts, sharing


def layout_of(network, layouts, sharing, row):
    """What trials chose against the best of all layouts, by the network alone."""
    chosen = layouts[f"{sharing['sessions']}x{sharing['threads']} batch {sharing['batch']}"]
    said = ", ".join(f"{name}: {rate:.0f}" for name, rate in layouts.items())
    what = f"the network alone as extraction shares it ({sharing['by']}), against the best of (sessions x threads) {said}"
    row(f"layout-{NETWORKS[network]}", what, [chosen], [max(layouts.values())], unit="/s", goal=0.95, ratio=chosen / max(layouts.values()))


def depth_of(network, listing, row, folder):
    """All stages against the top alone; a stage of the first third against that part of the network alone."""
    import onnx.utils

    stages = tomllib.loads((ROOT / "models" / f"{network}.toml").read_text())["stages"]
    features = [stage for stage in stages if stage["name"] != "logits"]
    top, early = features[-1]["name"], features[len(features) // 3 - 1]
    each = lambda taps, turn: extract(listing, network, folder / f"depth-{network}-{taps}-{turn}", "--taps", taps, "--workers", str(os.cpu_count()))[0]
    turns = [(each("stages", turn), each(top, turn)) for turn in range(TURNS)]
    row(f"depth-{NETWORKS[network]}-all", f"{COUNT} solar cells: all {len(stages)} stages in one pass, against {top} alone; goal: at most 1.15 times", *map(list, zip(*turns)), goal=1 / 1.15)
    each(early["name"], "early")
    ours = graph_of(network, folder / f"depth-{network}-{early['name']}-early", folder / f"{network}-early.onnx")
    model = ROOT / "models" / f"{network}.onnx"
    entry = onnx.load(model).graph.input[0].name
    onnx.utils.extract_model(model, folder / f"{network}-part.onnx", [entry], [early["tensor"]], check_model=False)
    bare = json.loads(ran(sys.executable, PEERS / "network.py", ours, folder / f"{network}-part.onnx", 5 * TURNS))
    row(f"depth-{NETWORKS[network]}-early", f"{early['name']} alone, network only, one thread, against that part of the network cut by onnx.utils; goal: no slower (within 5 %)", *bare, unit="ms", goal=0.95)


def limits(row):
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        folder = pathlib.Path(folder)
        (folder / "photographs").mkdir()
        for kind, paths in (("png", solar_cells()), ("jpeg", photographs(folder / "photographs"))):
            for network in NETWORKS:
                layouts, sharing = limit_of(network, kind, paths, row, folder)
                if kind == "png":
                    layout_of(network, layouts, sharing, row)
        for network in NETWORKS:
            depth_of(network, folder / f"png-{COUNT}.csv", row, folder)
