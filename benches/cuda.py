"""The row `cuda` of `make bench`: on a CUDA GPU the same rows as on the processor, and how fast. Adds nothing where there is no GPU.

Pictures are those of data/elpv.csv, named again and again until there are CUDA_PICTURES (20,000) of them.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
TAPLINE, STORE_MODEL, TIME_PICTURES = BUILT / "tapline", BUILT / "examples" / "store_model", BUILT / "examples" / "time_pictures"
PICTURES = int(os.environ.get("CUDA_PICTURES", "20000"))
# What is timed beside the start alone.
FEW = 64
BATCHES = (8, 32, 128)
WORKERS = (3, 6)


def extract(listing, network, store, device, *more):
    """Seconds of a whole extraction of all stages."""
    command = [TAPLINE, "extract", listing, "--model", network, "--squash", "--store", store, "--device", device, *more]
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(str(part) for part in command)}: {done.stderr}")
    return time.perf_counter() - start


def usable():
    """What `--device cuda` says where it cannot be used; none where it can."""
    with tempfile.TemporaryDirectory() as folder:
        command = [TAPLINE, "extract", ROOT / "data" / "elpv.csv", "--model", "squeezenet1.1", "--squash", "--store", f"{folder}/store"]
        done = subprocess.run([*command, "--device", "cuda:0", "--shard", "0/100"], capture_output=True, text=True, cwd=ROOT)
    return done.stderr.strip() if done.returncode else None


def named_again(folder, count):
    """A listing of `count` links to the pictures of data/elpv.csv."""
    source = ROOT / "data" / "elpv.csv"
    pictures = [(source.parent / line["path"]).resolve() for line in csv.DictReader(source.open())]
    listing = folder / f"{count}.csv"
    (folder / str(count)).mkdir()
    with listing.open("w") as file:
        file.write("path\n")
        for index in range(count):
            picture = pictures[index % len(pictures)]
            link = folder / str(count) / f"{index:07}{picture.suffix}"
            link.symlink_to(picture)
            file.write(f"{link}\n")
    return listing


def apart(a, b):
    """The largest difference of two stores' rows, as a part of the tap's largest number; and whether all are the same to the bit."""
    taps = json.loads((a / "store.json").read_text())["taps"]
    worst, same = 0.0, True
    for tap in taps:
        x, y = (np.load(store / "features" / tap["file"]).astype(np.float64) for store in (a, b))
        assert np.isfinite(x).all() and np.isfinite(y).all()
        worst, same = max(worst, np.abs(x - y).max() / np.abs(x).max()), same and np.array_equal(x, y)
    return worst, same


def network_alone(network, store, folder):
    """Pictures per second of the tapped network on tensors that are on the GPU, by batch; none without a Python runtime for it."""
    library = os.environ.get("ORT_DYLIB_PATH") or next(iter(sorted((ROOT / ".venv-cuda").glob("lib/*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))), None)
    graph = folder / f"{network}.onnx"
    subprocess.run([STORE_MODEL, library, ROOT / "models" / f"{network}.toml", store, graph], check=True, capture_output=True, cwd=ROOT)
    python = next((p for p in (ROOT / ".venv-cuda" / "bin" / "python", pathlib.Path(sys.executable)) if p.exists()), None)
    done = subprocess.run([python, ROOT / "benches" / "peers" / "cuda_network.py", graph, *map(str, BATCHES)], capture_output=True, text=True)
    if done.returncode:
        print(f"no figure of the network alone: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return {}
    return {int(batch): rate for batch, rate in json.loads(done.stdout).items()}


def decoding_alone(store, listing):
    """Pictures per second of decoding and preprocessing on all cores."""
    paths = "\n".join(listing.read_text().split()[1:])
    return json.loads(subprocess.run([TIME_PICTURES, store, str(os.cpu_count()), "3"], input=paths, check=True, capture_output=True, text=True).stdout)["pictures_per_second"]


def rows_of(network, short, row, folder):
    few, many = (named_again(folder / network, count) for count in (FEW, PICTURES))
    store = lambda name: folder / network / f"{name}.store"
    extract(few, network, store("cpu"), "cpu")
    start = extract(few, network, store("cuda"), "cuda")
    extract(few, network, store("one"), "cuda", "--batch", "1", "--workers", "1")
    extract(few, network, store("odd"), "cuda", "--batch", "7")
    extract(few, network, store("again"), "cuda")
    worst, _ = apart(store("cpu"), store("cuda"))
    row(f"cuda-{short}-equal", f"largest difference to the processor's rows, parts per million of a tap's largest number, {FEW} pictures", [worst * 1e6], [100.0], unit="ppm", goal=1)
    others = {name: apart(store("cuda"), store(name)) for name in ("one", "odd", "again")}
    said = ", ".join(f"{name} {'same bits' if same else f'{worst * 1e6:.2f}'}" for name, (worst, same) in others.items())
    row(f"cuda-{short}-batch", f"the same between batches of 32 and of 1, of 7, and a second run: {said}", [max(max(w for w, _ in others.values()) * 1e6, 1e-3)], [10.0], unit="ppm", goal=1)
    processor = extract(many, network, store("many-cpu"), "cpu")
    best = None
    alone = network_alone(network, store("cuda"), folder)
    for batch in BATCHES:
        for workers in WORKERS:
            clock = extract(many, network, store(f"many-{batch}-{workers}"), "cuda", "--batch", str(batch), "--workers", str(workers))
            rate = (PICTURES - FEW) / (clock - start)
            print(f"  {short}: batch {batch}, {workers} workers: {clock:.1f} s, {rate:.0f} pictures/s past the start ({start:.1f} s); network alone {alone.get(batch, 0):.0f}", flush=True)
            best = min(best or (clock, 0, 0, 0), (clock, rate, batch, workers))
    clock, rate, batch, workers = best
    cores = os.cpu_count()
    row(f"cuda-{short}-extract", f"{PICTURES} pictures, all stages, batch {batch}, {workers} workers, start included, against {cores} cores", [clock], [processor])
    if alone:
        decoding, network = decoding_alone(store("cuda"), many), max(alone.values())
        what = f"pictures per second past the start; reference the lower of decoding alone on {cores} cores ({decoding:.0f}) and the network alone ({network:.0f})"
        row(f"cuda-{short}-limit", what, [rate], [min(decoding, network)], unit="/s", ratio=rate / min(decoding, network))


def cuda(row):
    missing = usable()
    if missing:
        print(f"no row of cuda: {missing}", flush=True)
        return
    gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout
    print(f"on {gpu.strip()}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for network, short in (("squeezenet1.1", "squeezenet"), ("efficientnet-lite0", "lite0")):
            (pathlib.Path(folder) / network).mkdir()
            rows_of(network, short, row, pathlib.Path(folder))
