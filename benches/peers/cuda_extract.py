"""Features of all taps on a GPU as a careful Python user computes them: Pillow, NumPy and ONNX Runtime; prints JSON.

    cuda_extract.py GRAPH.onnx LISTING COUNT loop|threads|processes

GRAPH pools its taps itself, so that small rows come back and not maps: it is the one that tapline runs. `loop` decodes a batch of
32 and runs it, in turn; `threads` decodes in a pool of threads, two batches ahead of the GPU; `processes` decodes whole batches in a
process for each core, into memory they share, as PyTorch's DataLoader does. Preparation is that of the EfficientNet-Lite0 card with
--squash. The rate is that past the first batch, in which CUDA starts.
"""

import csv
import json
import multiprocessing
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

SIDE, BATCH = 224, 32
SHAPE = (BATCH, 3, SIDE, SIDE)
CORES = os.cpu_count()


def prepare(path, out):
    picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    np.subtract(np.asarray(picture, np.float32).transpose(2, 0, 1), 127, out=out)
    out /= 128


def view(memory):
    return np.frombuffer(memory, np.float32).reshape(SHAPE)


def share(memories):
    global SHARED
    SHARED = [view(memory) for memory in memories]


def prepare_batch(job):
    slot, paths = job
    for path, out in zip(paths, SHARED[slot]):
        prepare(path, out)
    return slot


def batches_in_turn(batches):
    out = np.empty(SHAPE, np.float32)
    for paths in batches:
        for path, one in zip(paths, out):
            prepare(path, one)
        yield out


def batches_of_threads(batches):
    slots = deque(np.empty(SHAPE, np.float32) for _ in range(3))
    with ThreadPoolExecutor(CORES) as pool:
        ahead = deque()
        for paths in [*batches, None, None]:
            if paths is not None:
                out = slots.popleft()
                ahead.append((out, [pool.submit(prepare, *job) for job in zip(paths, out)]))
            if len(ahead) == 3 or (paths is None and ahead):
                out, jobs = ahead.popleft()
                for job in jobs:
                    job.result()
                yield out
                slots.append(out)


def batches_of_processes(batches):
    memories = [multiprocessing.RawArray("f", int(np.prod(SHAPE))) for _ in range(2 * CORES)]
    slots = [view(memory) for memory in memories]
    with multiprocessing.Pool(CORES, share, (memories,)) as pool:
        waiting, ahead = iter(batches), deque()
        for slot in range(len(slots)):
            if paths := next(waiting, None):
                ahead.append(pool.apply_async(prepare_batch, ((slot, paths),)))
        while ahead:
            slot = ahead.popleft().get()
            yield slots[slot]
            if paths := next(waiting, None):
                ahead.append(pool.apply_async(prepare_batch, ((slot, paths),)))


def main():
    graph, listing, count, how = sys.argv[1:5]
    base = os.path.dirname(os.path.abspath(listing))
    paths = [os.path.join(base, row["path"]) for row in csv.DictReader(open(listing))][: int(count)]
    batches = [paths[first : first + BATCH] for first in range(0, len(paths) - BATCH + 1, BATCH)]
    ways = {"loop": batches_in_turn, "threads": batches_of_threads, "processes": batches_of_processes}
    filled = ways[how](batches)
    # Processes are forked before CUDA starts.
    first = next(filled)
    import onnxruntime

    onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    settings = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    session = onnxruntime.InferenceSession(graph, options, providers=[("CUDAExecutionProvider", settings)])
    assert session.get_providers()[0] == "CUDAExecutionProvider", "no CUDA"
    name = session.get_inputs()[0].name
    session.run(None, {name: first})
    start, rows = time.perf_counter(), []
    for pictures in filled:
        rows.append(session.run(None, {name: pictures}))
    print(json.dumps({"pictures_per_second": BATCH * len(rows) / (time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
