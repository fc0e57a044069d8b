"""The row `cuda` of `make bench`: on a CUDA GPU the same rows as on the processor, and how fast. Adds nothing where there is no GPU.

Pictures are those of data/elpv.csv, named again and again until there are CUDA_PICTURES (20,000) of them.
"""

import csv
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
TAPLINE, STORE_MODEL, TIME_PICTURES = BUILT / "tapline", BUILT / "examples" / "store_model", BUILT / "examples" / "time_pictures"
PEERS = ROOT / "benches" / "peers"
PICTURES = int(os.environ.get("CUDA_PICTURES", "20000"))
# What is timed beside the start alone.
FEW = 64
# Pictures of a pass of the network alone.
BATCHES = (64, 128)
# Pictures for the slower ways.
PEER_PICTURES = {"loop": 640, "threads": 3200, "processes": 12800}
CORES = os.cpu_count()


def extract(listing, network, store, device, *more):
    """Seconds of a whole extraction of all stages, and those of all processors."""
    command = [TAPLINE, "extract", listing, "--model", network, "--squash", "--store", store, "--device", device, *more]
    spent = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start, before = time.perf_counter(), spent()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(str(part) for part in command)}: {done.stderr}")
    return time.perf_counter() - start, spent() - before


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
    (folder / str(count)).mkdir(exist_ok=True)
    with listing.open("w") as file:
        file.write("path\n")
        for index in range(count):
            picture = pictures[index % len(pictures)]
            link = folder / str(count) / f"{index:07}{picture.suffix}"
            link.unlink(missing_ok=True)
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


def python(script, *arguments):
    """What a script of benches/peers prints, as JSON, in the environment for GPUs; none where it does not run."""
    interpreter = next((p for p in (ROOT / ".venv-cuda" / "bin" / "python", pathlib.Path(sys.executable)) if p.exists()), None)
    done = subprocess.run([str(part) for part in (interpreter, PEERS / script, *arguments)], capture_output=True, text=True)
    if done.returncode:
        print(f"no figure of {script}: {(done.stderr.strip().splitlines() or [f'it ended with {done.returncode}'])[-1]}", flush=True)
        return None
    return json.loads(done.stdout)


def graph_of(network, store, out):
    """The graph that computed a store's features, as a file."""
    library = os.environ.get("ORT_DYLIB_PATH") or next(iter(sorted((ROOT / ".venv-cuda").glob("lib/*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))), None)
    subprocess.run([STORE_MODEL, library, ROOT / "models" / f"{network}.toml", store, out], check=True, capture_output=True, cwd=ROOT)
    return out


def decoding_alone(store, listing):
    """Pictures per second of decoding and preprocessing on all cores."""
    paths = "\n".join(listing.read_text().split()[1:])
    return json.loads(subprocess.run([TIME_PICTURES, store, str(CORES), "3"], input=paths, check=True, capture_output=True, text=True).stdout)["pictures_per_second"]


class Utilisation:
    """What nvidia-smi sees of the GPU while something runs, ten times a second: per cent of the time that a kernel was at work, and GB."""

    def __enter__(self):
        query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", "100"]
        self.watcher = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.watcher.terminate()
        lines = [line.split(",") for line in self.watcher.communicate()[0].splitlines() if line.count(",") == 1]
        # The start is at work on the processor.
        late = lines[len(lines) // 2 :]
        self.busy = float(np.mean([float(line[0]) for line in late])) if late else float("nan")
        self.memory = max((float(line[1]) / 1024 for line in lines), default=float("nan"))


def speeds(network, short, row, folder, few):
    """Whole extractions, their limit and the peers."""
    many, part = (named_again(folder / network, count) for count in (PICTURES, PICTURES // 4))
    store = lambda name: folder / network / f"{name}.store"
    rate = lambda listing, start, seconds: (int(listing.stem) - FEW) / (seconds - start)
    started = {device: extract(few, network, store(f"start-{device}"), device)[0] for device in ("cpu", "cuda")}
    # The first settles how the cores share the work, for which it tries a second or two.
    cpu = min(extract(part, network, store(f"part-{turn}"), "cpu")[0] for turn in range(2))
    cpu = rate(part, started["cpu"], cpu)
    with Utilisation() as gpu:
        clock, processors = extract(many, network, store("many"), "cuda")
    ours = rate(many, started["cuda"], clock)
    row(f"cuda-{short}-cores", f"pictures per second past the start, all stages, against {CORES} cores; {PICTURES} pictures in {clock:.1f} s, {started['cuda']:.1f} s of it the start", [ours], [cpu], unit="/s", ratio=ours / cpu)
    row(f"cuda-{short}-utilisation", f"per cent of the later half in which the GPU computed; {gpu.memory:.1f} GB of its memory; {100 * processors / clock / CORES:.0f} % of {CORES} cores", [gpu.busy], None, unit="%")
    top, _ = extract(many, network, store("top"), "cuda", "--taps", json.loads((store("many") / "store.json").read_text())["taps"][-1]["name"])
    row(f"cuda-{short}-depth", "seconds of all stages in one pass, against the top one alone", [clock], [top], goal=1 / 1.15)
    graph = graph_of(network, store("start-cuda"), folder / f"{network}.onnx")
    if alone := python("cuda_network.py", graph, *BATCHES):
        decoding, network_alone = decoding_alone(store("start-cuda"), many), max(alone.values())
        lower = min(decoding, network_alone)
        what = f"pictures per second past the start; reference the lower of decoding alone on {CORES} cores ({decoding:.0f}) and the network alone ({network_alone:.0f})"
        row(f"cuda-{short}-limit", what, [ours], [lower], unit="/s", ratio=ours / lower)
    for how, count in PEER_PICTURES.items():
        if peer := python("cuda_extract.py", graph, many, min(count, PICTURES), how):
            peer = peer["pictures_per_second"]
            row(f"cuda-{short}-{how}", f"pictures per second past the start, against Python on the same GPU: {how}", [ours], [peer], unit="/s", ratio=ours / peer)
    half_start, half = (extract(listing, network, store(f"half-{listing.stem}"), "cuda", "--precision", "float16")[0] for listing in (few, many))
    halves = rate(many, half_start, half)
    graph = graph_of(network, store(f"half-{FEW}"), folder / f"{network}-half.onnx")
    if alone and (alone_half := python("cuda_network.py", graph, *BATCHES)):
        a, b = max(alone_half.values()), max(alone.values())
        row(f"cuda-{short}-float16-network", "pictures per second of the network alone, --precision float16 against float32", [a], [b], unit="/s", ratio=a / b)
    row(f"cuda-{short}-float16", f"the same of extraction past the start, which takes {half_start:.1f} s", [halves], [ours], unit="/s", ratio=halves / ours)


def rows_of(network, short, row, folder):
    few = named_again(folder / network, FEW)
    store = lambda name: folder / network / f"{name}.store"
    runs = {"cpu": ("cpu",), "cuda": ("cuda",), "one": ("cuda", "--batch", "1"), "odd": ("cuda", "--batch", "7"), "again": ("cuda",)}
    runs |= {"half": ("cuda", "--precision", "float16"), "half-all": ("cuda", "--precision", "float16", "--taps", "stages,*")}
    for name, (device, *more) in runs.items():
        extract(few, network, store(name), device, *more)
    worst, _ = apart(store("cpu"), store("cuda"))
    row(f"cuda-{short}-equal", f"largest difference to the processor's rows, parts per million of a tap's largest number, {FEW} pictures", [worst * 1e6], [100.0], unit="ppm", goal=1)
    others = {name: apart(store("cuda"), store(name)) for name in ("one", "odd", "again")}
    said = ", ".join(f"{name} {'same bits' if same else f'{worst * 1e6:.2f}'}" for name, (worst, same) in others.items())
    row(f"cuda-{short}-batch", f"the same between batches of 64 and of 1, of 7, and a second run: {said}", [max(max(w for w, _ in others.values()) * 1e6, 1e-3)], [10.0], unit="ppm", goal=1)
    worst, _ = apart(store("cuda"), store("half"))
    _, same = apart(store("half"), store("half-all"))
    row(f"cuda-{short}-float16-equal", "the same of --precision float16 to float32", [worst * 1e6], [40000.0], unit="ppm", goal=1)
    row(f"cuda-{short}-float16-taps", "taps of --precision float16 with other bits where other tensors are tapped, too; 0 is the goal", [float(not same)], None, goal=1, ratio=float(same))
    speeds(network, short, row, folder, few)


def cuda(row):
    missing = usable()
    if missing:
        print(f"no row of cuda: {missing}", flush=True)
        return
    gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True).stdout
    print(f"on {gpu.strip()}, {CORES} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for network, short in (("squeezenet1.1", "squeezenet"), ("efficientnet-lite0", "lite0")):
            (pathlib.Path(folder) / network).mkdir()
            rows_of(network, short, row, pathlib.Path(folder))
