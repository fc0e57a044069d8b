"""`make bench`: how fast, against references measured in the same run; benches/README.md explains each row.

Ours and the reference take turns (A B A B …); medians count, the spread is shown. Results go to benches/results/latest.json as an array
of rows: id, what, ours, reference, unit, ratio, goal, holds. Name rows to run only these: `bench.py solver-elpv extract`.
"""

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import pictures
from cuda import cuda
from limits import limits

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "target" / "release"
STREAM = BUILT / "examples" / "stream_file"
SOLVE, LINFA, TAPLINE = BUILT / "examples" / "solve_file", BUILT / "examples" / "linfa_file", BUILT / "tapline"
STORE_MODEL = BUILT / "examples" / "store_model"
PEERS = ROOT / "benches" / "peers"
STRENGTHS = [float(f"{10 ** (step / 4 - 6):.6g}") for step in range(45)]
TURNS = int(os.environ.get("TURNS", "3"))
GAP = 1e-4
# Seconds after which a peer that does not end counts as taking so long.
LIMIT = float(os.environ.get("PEER_SECONDS", "240"))
# The fold of rows that are always learnt from.
ALWAYS = 2**32 - 1
ROWS = []


def run(*command):
    """What a program prints, as JSON. The environment's choice of a BLAS kernel is left out: it may be another machine's."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, env=env)
    return json.loads(done.stdout)


def take_turns(ours, reference, turns=TURNS):
    """Seconds of both, in turns."""
    pairs = [(ours(), reference()) for _ in range(turns)]
    return [list(side) for side in zip(*pairs)]


def row(id, what, ours, reference, unit="s", goal=None, ratio=None, is_bound=False):
    """Adds a row; `is_bound` says that the ratio is at least what is measured, so that one below the goal shows nothing."""
    a = statistics.median(ours)
    b = statistics.median(reference) if reference else None
    ratio = ratio if ratio is not None else (b / a if b else None)
    holds = None if goal is None or is_bound and ratio < goal else bool(ratio >= goal)
    spread = f"{min(ours):.2f} to {max(ours):.2f}"
    ROWS.append({"id": id, "what": what, "ours": a, "reference": b, "unit": unit, "ratio": ratio, "goal": goal, "holds": holds})
    text = {None: "", True: "holds", False: "FALLS SHORT"}[holds]
    other = f"{b:10.2f}" if b else " " * 10
    print(f"{id:22} {a:9.2f} ({spread}) {other} {unit:4} {ratio or 0:7.2f}x  goal {f'{goal:.3g}' if goal else '-'}  {text}  {what}", flush=True)


class Raw:
    """A table in raw files, as solve_file reads it."""

    def __init__(self, folder, x, y, folds):
        self.folder, (self.rows, self.columns) = pathlib.Path(folder), x.shape
        self.classes = int(y.max()) + 1
        for name, values in (("x", x.astype("<f4")), ("y", y.astype("<u4")), ("folds", folds.astype("<u4"))):
            values.tofile(self.folder / name)
        self.files = [self.folder / name for name in ("x", "y", "folds")]
        self.sizes = [self.rows, self.columns, self.classes]

    def solve(self, tolerance, strengths, loss="logistic", scaling="none"):
        return run(SOLVE, *self.sizes, *self.files, tolerance, loss, scaling, *strengths)

    def best(self, strengths):
        """The lowest objectives known, splits × strengths."""
        fits = self.solve(GAP / 100, strengths)["fits"]
        order = sorted(fits, key=lambda fit: (fit["fold"], fit["c"]))
        return [[fit["objective"] for fit in order if fit["fold"] == split] for split in sorted({f["fold"] for f in order})]

    def peer(self, solver, jobs, strengths):
        return run(sys.executable, PEERS / "logistic.py", *self.sizes, *self.files, GAP, solver, jobs, self.folder / "best.json", LIMIT, *strengths)


def made(rows, columns, classes, seed=0):
    """Rectified mixtures of 40 directions, as correlated and skewed as features of a layer; labels follow hidden centres."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    centres = random.normal(size=(classes, 40))
    hidden = centres[y] * 0.6 + random.normal(size=(rows, 40)) * (3 / (1 + 0.1 * np.arange(40)))
    x = np.maximum(hidden @ random.normal(size=(40, columns)) + random.normal(size=(rows, columns)), 0).astype(np.float32)
    return standardised(x), y


def standardised(x):
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)


def elpv(tap):
    import pandas

    store = ROOT / "demo" / "elpv-efficientnet-lite0"
    x = np.load(store / "features" / f"{tap}.npy").astype(np.float32)
    y = pandas.factorize(pandas.read_parquet(store / "listing.parquet").label, sort=True)[0]
    return standardised(x), y


def logistic(id, what, x, y, folds, strengths, peers, goal, turns=TURNS):
    """Ours against LogisticRegressionCV with the best of `peers` (solver, jobs), both to the same gap of the objective."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Raw(folder, x, y, folds)
        best = raw.best(strengths)
        (raw.folder / "best.json").write_text(json.dumps(best))
        tried = {peer: raw.peer(*peer, strengths) for peer in peers}
        fastest = min(tried, key=lambda peer: tried[peer]["seconds"])
        ours, theirs = [], [tried[fastest]["seconds"]]
        for turn in range(turns):
            solved = raw.solve(GAP, strengths)
            ours.append(solved["seconds"])
            if turn + 1 < turns and tried[fastest]["finished"]:
                theirs.append(raw.peer(*fastest, strengths)["seconds"])
        worst = max(fit["objective"] / best[fit["fold"]][strengths.index(fit["c"])] - 1 for fit in solved["fits"])
        peer = tried[fastest]
        end = "" if peer["finished"] else ", stopped: it takes longer"
        row(id, f"{what}; gap ours {worst:.1e}, scikit-learn {peer['worst_gap']:.1e} ({fastest[0]}, {fastest[1]} jobs, tol {peer['tolerance']:g}{end})", ours, theirs, goal=goal, is_bound=not peer["finished"])


def five_folds(rows):
    return np.random.default_rng(1).permutation(rows) % 5


def one_split(rows):
    """A quarter left out."""
    return np.where(np.random.default_rng(1).random(rows) < 0.25, 0, ALWAYS)


def solver_elpv():
    x, y = elpv("head.mean")
    logistic("solver-elpv", "5 folds x 45 strengths, EfficientNet-Lite0 head on ELPV, 2,624 x 1,280", x, y, five_folds(len(y)), STRENGTHS, [("lbfgs", 1), ("newton-cholesky", 1)], 10)


def solver_101():
    x, y = made(3030, 1280, 101)
    logistic("solver-101", "one split x 45 strengths, 3,030 x 1,280, 101 classes, made up", x, y, one_split(3030), STRENGTHS, [("lbfgs", 1)], 10, turns=1)


def solver_50k():
    x, y = made(50_000, 2048, 10)
    logistic("solver-50k", "one split x 9 strengths, 50,000 x 2,048, 10 classes, made up", x, y, one_split(50_000), STRENGTHS[4:40:4], [("lbfgs", 1)], 5, turns=1)


def solver_linfa():
    x, y = elpv("head.mean")
    with tempfile.TemporaryDirectory() as folder:
        # One row is left out, for there to be a split.
        raw = Raw(folder, x, y, np.where(np.arange(len(y)) == 0, 0, ALWAYS))
        ours = lambda: raw.solve(GAP, [0.1], scaling="standardise")["seconds"]
        theirs = lambda: run(LINFA, *raw.sizes, *raw.files[:2], 0.1, GAP)["seconds"]
        row("solver-linfa", "one fit, C = 0.1, ELPV head, against linfa-logistic", *take_turns(ours, theirs), goal=20)


def compare_elpv():
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(TURNS):
            store = pathlib.Path(folder) / str(turn)
            shutil.copytree(ROOT / "demo" / "elpv-efficientnet-lite0", store)
            shutil.rmtree(store / "scores", ignore_errors=True)
            start = time.perf_counter()
            subprocess.run([TAPLINE, "compare", store, "--json"], check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    row("compare-elpv", "tapline compare: 19 taps of EfficientNet-Lite0, nested 5 folds x 45 strengths; goal: under 15 s", seconds, [15.0], goal=1)


def growth():
    base = {"rows": 2000, "columns": 256, "classes": 4, "folds": 5, "strengths": 12}

    def seconds(**changed):
        size = base | changed
        x, y = made(size["rows"], size["columns"], size["classes"])
        strengths = [10 ** (step * 6 / size["strengths"] - 4) for step in range(size["strengths"])]
        folds = np.random.default_rng(1).permutation(size["rows"]) % size["folds"]
        with tempfile.TemporaryDirectory() as folder:
            raw = Raw(folder, x, y, folds)
            return [raw.solve(GAP, strengths)["seconds"] for _ in range(TURNS)]

    one = seconds()
    for name in base:
        two = seconds(**{name: 2 * base[name]})
        ratio = 2 * statistics.median(one) / statistics.median(two)
        row(f"growth-{name}", f"twice the {name} ({base[name]} to {2 * base[name]}); linear is 1", two, one, goal=0.9, ratio=ratio)


def extract():
    import tomllib

    card = tomllib.loads((ROOT / "models" / "efficientnet-lite0.toml").read_text())
    stages = [stage["tensor"] for stage in card["stages"]]
    count = 2624
    model, listing = ROOT / "models" / "efficientnet-lite0.onnx", ROOT / "data" / "elpv.csv"

    def ours():
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            command = [TAPLINE, "extract", listing, "--model", "efficientnet-lite0", "--squash", "--store", f"{folder}/store", "--device", "cpu"]
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
            return time.perf_counter() - start

    for how, goal in (("loop", 1.6), ("threads", None), ("processes", 1.25)):
        peer = lambda: run(sys.executable, PEERS / "extract.py", model, listing, ",".join(stages), count, how)["seconds"]
        row(f"extract-{how}", f"{count} ELPV cells, all {len(stages)} stages of EfficientNet-Lite0, against Python: {how}", *take_turns(ours, peer), goal=goal)


def spent(work):
    """Seconds of the clock and of all processors that a program took."""
    processors = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start, before = time.perf_counter(), processors()
    work()
    return time.perf_counter() - start, processors() - before


def features(store):
    """The rows of each stage, by name."""
    taps = json.loads((store / "store.json").read_text())["taps"]
    return {tap["name"]: np.load(store / "features" / tap["file"]).astype(np.float64) for tap in taps}


def cosine(a, b):
    """Mean over the rows."""
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())


def accuracies(store):
    """Per cent right of each stage, by name."""
    taps = run(TAPLINE, "compare", store, "--json")["taps"]
    return {tap["name"]: 100 * tap["accuracy"]["correct"] / tap["accuracy"]["total"] for tap in taps}


def int8_of(network, short, goals, folder):
    """Speed of the network alone and of whole extractions, then cosine and accuracy by stage, on ELPV."""
    import onnxruntime
    import tomllib

    alone, whole, points = goals
    listing, card = ROOT / "data" / "elpv.csv", ROOT / "models" / f"{network}.toml"
    stages = [stage["tensor"] for stage in tomllib.loads(card.read_text())["stages"]]
    stores = {precision: folder / f"{short}-{precision}" for precision in ("int8", "float32")}

    def extraction(precision):
        shutil.rmtree(stores[precision], ignore_errors=True)
        command = [TAPLINE, "extract", listing, "--model", network, "--squash", "--store", stores[precision], "--device", "cpu"]
        return spent(lambda: subprocess.run([*command, "--precision", precision], check=True, capture_output=True, cwd=ROOT))

    peer = lambda: run(sys.executable, PEERS / "extract.py", card.with_suffix(".onnx"), listing, ",".join(stages), 2624, "processes")["seconds"]
    ours, both = take_turns(lambda: extraction("int8"), lambda: (extraction("float32"), peer()))
    (clock, processors), (float32, peers) = zip(*ours), zip(*both)
    what = f"2624 ELPV cells, all {len(stages)} stages of {network} in int8, calibration included"
    row(f"int8-{short}-extract", f"{what}, against Python in float32: processes", clock, peers, goal=whole)
    row(f"int8-{short}-clock", f"{what}, against tapline in float32", clock, [clock for clock, _ in float32])
    row(f"int8-{short}-processors", "the same, seconds of all processors", processors, [processors for _, processors in float32])
    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    graphs = {precision: folder / f"{short}-{precision}.onnx" for precision in stores}
    for precision, store in stores.items():
        subprocess.run([STORE_MODEL, library, card, store, graphs[precision]], check=True, capture_output=True, cwd=ROOT)
    bare = run(sys.executable, PEERS / "network.py", graphs["int8"], graphs["float32"], 3 * TURNS)
    row(f"int8-{short}-network", f"{network} with its {len(stages)} taps alone, one thread, int8 against float32, processor time", *bare, unit="ms", goal=alone)
    rows = {precision: features(store) for precision, store in stores.items()}
    right = {precision: accuracies(store) for precision, store in stores.items()}
    for stage, accuracy in right["int8"].items():
        alike = cosine(rows["int8"][stage], rows["float32"][stage])
        row(f"int8-{short}-{stage}", f"accuracy on ELPV, int8 and float32; cosine of rows {alike:.4f}", [accuracy], [right["float32"][stage]], unit="%", ratio=accuracy / right["float32"][stage])
    best = {precision: max(found.values()) for precision, found in right.items()}
    goal = (best["float32"] - points) / best["float32"] if points else None
    row(f"int8-{short}-best", f"accuracy of the best stage, int8 and float32{f'; goal: within {points} points' if points else ''}", [best["int8"]], [best["float32"]], unit="%", goal=goal, ratio=best["int8"] / best["float32"])


def int8():
    with tempfile.TemporaryDirectory() as folder:
        int8_of("efficientnet-lite0", "lite0", (1.8, 2, 0.5), pathlib.Path(folder))
        int8_of("squeezenet1.1", "squeezenet", (2.4, 2.5, None), pathlib.Path(folder))


def write_halves(path, rows, columns, classes):
    """A table as `made` makes them, in float16 and block by block; the labels."""
    random = np.random.default_rng(0)
    y = np.arange(rows) % classes
    centres, mix = random.normal(size=(classes, 40)), random.normal(size=(40, columns)).astype(np.float32)
    with open(path, "wb") as file:
        for block in np.array_split(y, max(1, rows // 10_000)):
            hidden = centres[block] * 0.6 + random.normal(size=(len(block), 40)) * (3 / (1 + 0.1 * np.arange(40)))
            noise = random.standard_normal(size=(len(block), columns), dtype=np.float32)
            np.maximum(hidden.astype(np.float32) @ mix + noise, 0).astype(np.float16).tofile(file)
    return y


def read_limit(path):
    """GB/s at which a file is read by itself, a block at a time."""
    buffer, start = bytearray(8 << 20), time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return path.stat().st_size / (time.perf_counter() - start) / 1e9


def product_limit(columns, outputs):
    """GB/s of float16 rows that the two products of a pass allow, by NumPy's BLAS."""
    x, w = np.ones((8192, columns), np.float32), np.ones((columns, outputs), np.float32)
    start = time.perf_counter()
    for _ in range(5):
        x.T @ (x @ w)
    return 5 * x.size * 2 / (time.perf_counter() - start) / 1e9


def big():
    rows, columns, classes = int(os.environ.get("BIG_ROWS", "1000000")), 2048, 10
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        folder = pathlib.Path(folder)
        y = write_halves(folder / "x", rows, columns, classes)
        y.astype("<u4").tofile(folder / "y")
        (np.arange(rows) // classes % 4).astype("<u4").tofile(folder / "folds")
        solve = lambda where: run(STREAM, rows, columns, classes, folder / "x", folder / "y", folder / "folds", GAP, where, *STRENGTHS[0:18:2])
        size = rows * columns * 2 / 1e9
        streamed, kept = solve("file"), solve("memory")
        passes = streamed["reads"]
        # With more memory a search may buy a better curvature, and so take other steps to the same end.
        for one, other in zip(streamed["fits"], kept["fits"]):
            assert abs(one["objective"] / other["objective"] - 1) <= 2 * GAP, "the same minimum, wherever the rows are"
        of_step = lambda run: run["seconds"] / sum(fit["iterations"] for fit in run["fits"])
        unsolved = sum(not fit["converged"] for fit in streamed["fits"])
        speed = size * passes / streamed["seconds"]
        limits = f"{speed:.2f} GB/s; reading alone {read_limit(folder / 'x'):.2f}, products alone {product_limit(columns, classes):.2f}"
        what = f"one split x 9 strengths, {rows:,} x {columns:,} in float16 ({size:.1f} GB), {classes} classes, {passes:.0f} passes in {streamed['seconds']:.0f} s, {unsolved} fits unconverged"
        row("big-pass", f"{what}: a step from the file against one over float32 in memory; {limits}", [of_step(streamed)], [of_step(kept)], goal=1 / 1.5)
        row("big-memory", "the same: resident memory against 1.5 GB", [streamed["resident"] / 1e9], [1.5], unit="GB", goal=1)


def watched(*command):
    """Seconds that a program took, those of all processors, and the most memory it had, in GB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def report_elpv():
    """Both networks, from stored features to the page: nothing is kept from the run before."""
    taken, processors, memory, page = [], [], [], 0
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as folder:
            stores = [pathlib.Path(folder) / name for name in ("elpv-squeezenet1.1", "elpv-efficientnet-lite0")]
            for store in stores:
                shutil.copytree(ROOT / "demo" / store.name, store)
                shutil.rmtree(store / "scores", ignore_errors=True)
            out = pathlib.Path(folder) / "report.html"
            pictures = ("--pictures", ROOT / "data" / "elpv.csv", "--out", out)
            steps = [watched(TAPLINE, command, *stores, *more) for command, more in (("compare", ()), ("advise", ()), ("report", pictures))]
            taken.append(sum(seconds for seconds, _, _ in steps))
            processors.append(sum(seconds for _, seconds, _ in steps))
            memory.append(max(peak for _, _, peak in steps))
            page = out.stat().st_size / 1e6
    what = "compare, advise and report of 33 taps of both networks over 2,624 ELPV cells, features stored"
    row("report-elpv", f"{what} ({statistics.median(processors):.0f} s of all processors); goal: under 60 s", taken, [60.0], goal=1)
    row("report-elpv-memory", "the most memory of the three; goal: under 2 GB", memory, [2.0], unit="GB", goal=1)
    row("report-elpv-page", "the page; goal: under 5 MB", [page], [5.0], unit="MB", goal=1)


def report_large():
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / "store"
        made = ["--rows", "50000", "--taps", "20", "--columns", "64,128,256", "--classes", "4", "--dtype", "f16"]
        subprocess.run([sys.executable, ROOT / "tools" / "make_store.py", store, *made], check=True)
        out = pathlib.Path(folder) / "report.html"
        seconds, processors, peak = watched(TAPLINE, "report", store, "--out", out, "--folds", "3", "--strengths", "0.001,0.01")
        page = out.stat().st_size / 1e6
    what = "report of 50,000 made-up rows x 20 taps of 64 to 256 numbers, 4 classes, 3 folds x 2 strengths"
    row("report-large", f"{what}; {processors:.0f} s of all processors, a page of {page:.1f} MB", [seconds], None)
    row("report-large-memory", "its memory; goal: under 2 GB", [peak], [2.0], unit="GB", goal=1)


BENCHES = {
    "solver-elpv": solver_elpv, "solver-101": solver_101, "solver-50k": solver_50k, "solver-linfa": solver_linfa,
    "compare-elpv": compare_elpv, "growth": growth, "extract": extract,
    "int8": int8, "big": big, "report-elpv": report_elpv, "report-large": report_large,
    "limits": lambda: limits(row), "cuda": lambda: cuda(row),
    "decode": lambda: pictures.decode(row), "extract-growth": lambda: pictures.extract_growth(row, watched),
    "rerun-100k": lambda: pictures.rerun_100k(row, watched), "listing-1m": lambda: pictures.listing_1m(row),
}


def main():
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
    results = ROOT / "benches" / "results"
    results.mkdir(exist_ok=True)
    (results / "latest.json").write_text(json.dumps(ROWS, indent=1) + "\n")
    short = [found["id"] for found in ROWS if found["holds"] is False]
    print(f"{len(ROWS)} rows in benches/results/latest.json; short of their goals: {', '.join(short) or 'none'}")


if __name__ == "__main__":
    main()
