"""Features of all stages as a careful Python user computes them: Pillow, NumPy and ONNX Runtime; prints JSON.

    extract.py MODEL LISTING TAPS COUNT loop|threads|processes

`loop` decodes and runs batches of 32 in turn on ONNX Runtime's own threads; `threads` decodes in a pool beside it; `processes`
gives each core a process with a single-threaded session. TAPS are tensor names, separated by commas; their means over the
picture are kept. Preparation is that of the EfficientNet-Lite0 card with --squash: 224 × 224, bicubic, (x − 127) / 128.
"""

import csv
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
from PIL import Image

SIDE = 224


def prepare(path):
    picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return ((np.asarray(picture, np.float32) - 127) / 128).transpose(2, 0, 1)


def session(model, taps, threads):
    """A session whose outputs are the taps; the graph is the model's own."""
    graph = onnx.load(model)
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(tap) for tap in taps)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def pooled(session, batch):
    name = session.get_inputs()[0].name
    maps = session.run(None, {name: np.stack(batch)})
    return [m.mean(axis=(2, 3)) if m.ndim == 4 else m for m in maps]


def part(job):
    model, taps, paths = job
    one = session(model, taps, 1)
    return [pooled(one, [prepare(path)]) for path in paths]


def main():
    model, listing, taps, count, how = sys.argv[1:6]
    base = os.path.dirname(os.path.abspath(listing))
    paths = [os.path.join(base, row["path"]) for row in csv.DictReader(open(listing))][: int(count)]
    taps, cores = taps.split(","), os.cpu_count()
    start = time.perf_counter()
    if how == "processes":
        with multiprocessing.Pool(cores) as pool:
            pool.map(part, [(model, taps, paths[core::cores]) for core in range(cores)])
    else:
        one = session(model, taps, cores)
        batches = [paths[first : first + 32] for first in range(0, len(paths), 32)]
        if how == "loop":
            for batch in batches:
                pooled(one, [prepare(path) for path in batch])
        else:
            with ThreadPoolExecutor(cores) as pool:
                for batch in batches:
                    pooled(one, list(pool.map(prepare, batch)))
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
