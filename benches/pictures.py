"""Rows of `make bench` about many and large pictures: `decode`, `extract-growth`, `rerun-100k`, `listing-1m`.

All pictures are made here. Smaller sizes for a quick look: GROWTH_SIZES="100,1000", RERUN_ROWS, LISTING_ROWS, DECODE_PICTURES.
"""

import csv
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
TAPLINE, TIME_DECODE = BUILT / "tapline", BUILT / "examples" / "time_decode"
PEER = ROOT / "benches" / "peers" / "decode.py"
TURNS = int(os.environ.get("TURNS", "3"))


def number(name, default):
    return int(os.environ.get(name, default))


def photograph(width, height, seed):
    """Noise of equal contrast in every octave, as natural pictures have (Field 1987), and a sensor's noise."""
    noise = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    step = max(width, height)
    while step >= 2:
        small = noise.normal(size=(height // step + 2, width // step + 2, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(small[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC)
            picture[:, :, channel] += np.asarray(layer)
        step //= 2
    picture *= 50 / picture.std()
    return Image.fromarray(np.clip(picture + 128 + noise.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))


def run(*command):
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, cwd=ROOT)
    return json.loads(done.stdout)


def extract(listing, store, *more):
    network = ["--model", "efficientnet-lite0", "--device", "cpu"]
    return run(TAPLINE, "extract", listing, "--store", store, "--json", *network, *more)


def features(store):
    taps = json.loads((store / "store.json").read_text())["taps"]
    return {tap["name"]: np.load(store / "features" / tap["file"]).astype(np.float64) for tap in taps}


def accuracies(store):
    taps = run(TAPLINE, "compare", store, "--json")["taps"]
    return {tap["name"]: 100 * tap["accuracy"]["correct"] / tap["accuracy"]["total"] for tap in taps}


def moved(stores):
    """The mean cosine between rows of the same picture, by stage."""
    exact, scaled = (features(store) for store in stores)
    cosine = lambda a, b: float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())
    return {stage: cosine(exact[stage], scaled[stage]) for stage in exact}


def both(listing, folder, *more):
    """Stores of the same pictures, exact and scaled."""
    stores = [folder / f"{listing.stem}-{decode}" for decode in ("exact", "scaled")]
    for store, decode in zip(stores, ("exact", "scaled")):
        extract(listing, store, "--decode", decode, *more)
    return stores


def enlarged_cells(folder, count, side):
    """Solar cells at a photograph's size and with a sensor's noise, as JPEG; a listing of them."""
    source = ROOT / "data" / "elpv.csv"
    rows = list(csv.DictReader(source.open()))
    rows = random.Random(1).sample(rows, min(count, len(rows)))
    listing = folder / "cells.csv"
    with listing.open("w") as file:
        file.write("path,label\n")
        for index, row in enumerate(rows):
            cell = Image.open(source.parent / row["path"]).convert("L").resize((side, side), Image.Resampling.BICUBIC)
            noisy = np.asarray(cell, np.float32) + np.random.default_rng(index).normal(0, 4, (side, side))
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"cell-{index}.jpg", quality=90)
            file.write(f"cell-{index}.jpg,{row['label']}\n")
    return listing


def decode(row):
    count = number("DECODE_PICTURES", 6)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        paths = [folder / f"photograph-{seed}.jpg" for seed in range(count)]
        for seed, path in enumerate(paths):
            photograph(4000, 3000, seed).save(path, quality=90)
        ways = {
            "scaled": lambda: run(TIME_DECODE, "scaled", *paths)["seconds"] / count,
            "exact": lambda: run(TIME_DECODE, "exact", *paths)["seconds"] / count,
            "Pillow": lambda: run(sys.executable, PEER, "exact", *paths)["seconds"] / count,
            "Pillow's draft": lambda: run(sys.executable, PEER, "scaled", *paths)["seconds"] / count,
        }
        seconds = {way: [] for way in ways}
        for _ in range(TURNS):
            for way, once in ways.items():
                seconds[way].append(once())
        what = f"a 12-megapixel JPEG ({statistics.mean(path.stat().st_size for path in paths) / 1e6:.1f} MB) to the input, one thread"
        milliseconds = {way: [1000 * second for second in found] for way, found in seconds.items()}
        row("decode-scaled", f"{what}: --decode scaled against exact", milliseconds["scaled"], milliseconds["exact"], unit="ms", goal=3)
        row("decode-pillow", f"{what}: exact against Pillow and NumPy", milliseconds["exact"], milliseconds["Pillow"], unit="ms", goal=1)
        row("decode-draft", f"{what}: scaled against Pillow's draft", milliseconds["scaled"], milliseconds["Pillow's draft"], unit="ms")
        listing = folder / "photographs.csv"
        listing.write_text("path\n" + "".join(f"{path.name}\n" for path in paths))
        alike = moved(both(listing, folder))
        for stage in (min(alike, key=alike.get), list(alike)[-1]):
            row(f"decode-{stage}", f"mean cosine of {count} photographs' rows, scaled and exact: {alike[stage]:.5f} (of {len(alike)} stages: the least alike, and the last)", [alike[stage]], [1.0], unit="cos", ratio=alike[stage])
        cells = number("DECODE_CELLS", 600)
        stores = both(enlarged_cells(folder, cells, 1200), folder, "--squash")
        alike, (exact, scaled) = moved(stores), map(accuracies, stores)
        best = max(exact, key=exact.get)
        row("decode-accuracy", f"accuracy of the best stage ({best}) on {cells} solar cells enlarged to 1,200 pixels, scaled by 1/2 and exact; cosine {alike[best]:.4f}", [scaled[best]], [exact[best]], unit="%", ratio=scaled[best] / exact[best])


def small_pictures(folder, count):
    """Small pictures, each of its own bytes."""
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC).save(folder / f"{index:06}.png")
    # Long enough ago for their times to say something.
    ago = time.time() - 3600
    for path in folder.iterdir():
        os.utime(path, (ago, ago))


def linked(folder, originals, count):
    """A listing of `count` files that are hard links to `originals`, in folders of a thousand."""
    listing = folder / f"{count}.csv"
    with listing.open("w") as file:
        file.write("path,label\n")
        for index in range(count):
            if index % 1000 == 0:
                (folder / f"{count}-{index // 1000}").mkdir()
            name = f"{count}-{index // 1000}/{index:06}.png"
            os.link(originals[index % len(originals)], folder / name)
            file.write(f"{name},{index % 3}\n")
    return listing


def quick(watched, listing, store, *more):
    """An extraction of one early tap of SqueezeNet, its first convolution after its pooling: seconds by the clock, seconds of all
    processors, and GB."""
    network = ["--model", "squeezenet1.1", "--taps", "pool1", "--device", "cpu", "--squash"]
    return watched(TAPLINE, "extract", listing, "--store", store, *network, *more)


def extract_growth(row, watched):
    sizes = [int(size) for size in os.environ.get("GROWTH_SIZES", "1000,10000,100000").split(",")]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "made").mkdir()
        small_pictures(folder / "made", sizes[0])
        originals = sorted((folder / "made").iterdir())
        found = {}
        for size in sizes:
            listing = linked(folder, originals, size)
            few = folder / f"few-{size}.csv"
            few.write_text("".join(listing.read_text().splitlines(keepends=True)[:2]))
            found[size] = []
            for turn in range(TURNS if size < 50_000 else 1):
                start, busy, _ = quick(watched, few, folder / f"few-{size}-{turn}")
                seconds, processors, peak = quick(watched, listing, folder / f"store-{size}-{turn}")
                found[size].append((1000 * (seconds - start) / (size - 1), 1000 * (processors - busy) / (size - 1), 1000 * peak))
        clock, processors, memory = zip(*found[sizes[0]])
        for size in sizes[1:]:
            each, busy, peak = zip(*found[size])
            what = f"{size:,} small pictures, pool1 of SqueezeNet, against {sizes[0]:,}"
            row(f"extract-growth-{size}", f"{what}: time of each, start-up aside", each, clock, unit="ms", goal=0.95)
            row(f"extract-growth-{size}-processors", f"{what}: time of all processors", busy, processors, unit="ms")
            row(f"extract-growth-{size}-memory", f"{what}: resident memory", peak, memory, unit="MB", goal=0.95)
        row("extract-growth-bound", f"{sizes[-1]:,} small pictures: resident memory, the network and the runtime included; goal: under 600 MB", peak, [600.0], unit="MB", goal=1)


def rerun_100k(row, watched):
    rows, distinct = number("RERUN_ROWS", 100_000), 500
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "made").mkdir()
        small_pictures(folder / "made", distinct)
        originals = sorted((folder / "made").iterdir())
        store = folder / "store"
        # The network sees each picture once; the rows of the listing are copied from there.
        quick(watched, linked(folder, originals, distinct), store)
        listing = linked(folder, originals, rows)
        quick(watched, listing, store)
        before = (store / "store.json").stat().st_mtime_ns
        trusted = [quick(watched, listing, store)[0] for _ in range(TURNS)]
        verified = [quick(watched, listing, store, "--verify")[0] for _ in range(TURNS)]
        assert (store / "store.json").stat().st_mtime_ns == before, "nothing was to do"
        row("rerun-100k", f"tapline extract over an unchanged store of {rows:,} rows; goal: under 2 s", trusted, [2.0], goal=1)
        row("rerun-100k-verify", "the same without --verify and with it", trusted, verified)


def listing_1m(row):
    rows = number("LISTING_ROWS", 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        listing = folder / "listing.csv"
        with listing.open("w") as file:
            file.write("path,label,split\n")
            file.writelines(f"class-{index % 100:02}/picture-{index:07}.jpg,class-{index % 100:02},train\n" for index in range(rows))
        seconds, memory = [], []
        for turn in range(TURNS):
            # No picture is there, and --strict ends the run at the first.
            command = [TAPLINE, "extract", listing, "--model", "squeezenet1.1", "--store", folder / f"store-{turn}", "--device", "cpu", "--strict"]
            start = time.perf_counter()
            process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
            said = process.stderr.read().decode()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 1 and "--strict stops" in said, said
            seconds.append(time.perf_counter() - start)
            memory.append(used.ru_maxrss * 1024 / 1e9)
        row("listing-1m", f"tapline extract on a CSV listing of {rows:,} rows up to the first picture; goal: under 10 s", seconds, [10.0], goal=1)
        row("listing-1m-memory", "its resident memory; goal: under 1 GB", memory, [1.0], unit="GB", goal=1)
