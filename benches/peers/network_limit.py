"""Pictures per second of a network on tensors in memory, for some ways to share the cores; prints JSON.

    network_limit.py GRAPH.onnx SECONDS

A way is named `SESSIONSxTHREADS batch N`; all sessions run at once.
"""

import json
import os
import sys
import threading
import time

import numpy as np
import onnxruntime


def rate(graph, sessions, threads, batch, seconds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    made = [onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for _ in range(sessions)]
    name, shape = made[0].get_inputs()[0].name, made[0].get_inputs()[0].shape
    pictures = np.random.default_rng(0).uniform(-1, 1, (batch, *shape[1:])).astype(np.float32)
    done, barrier = [0.0] * sessions, threading.Barrier(sessions)

    def work(index):
        made[index].run(None, {name: pictures})
        barrier.wait()
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            made[index].run(None, {name: pictures})
            count += batch
        done[index] = count / (time.perf_counter() - start)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(sessions)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done)


def main():
    graph, seconds, cores = sys.argv[1], float(sys.argv[2]), os.cpu_count()
    ways = [(cores, 1, batch) for batch in (1, 8, 32)] + [(1, cores, batch) for batch in (1, 8, 32, 64)]
    print(json.dumps({f"{s}x{t} batch {b}": rate(graph, s, t, b, seconds) for s, t, b in ways}))


if __name__ == "__main__":
    main()
