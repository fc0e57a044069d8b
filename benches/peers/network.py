"""Processor milliseconds per picture of two networks on tensors in memory, one thread, in turns; prints JSON.

    network.py A.onnx B.onnx TURNS

Both take the same float32 input. Processor time is counted, not the clock's, so that other work on the machine weighs less.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

PICTURES = 16


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def milliseconds(session, pictures):
    name = session.get_inputs()[0].name
    start = time.process_time()
    for picture in pictures:
        session.run(None, {name: picture})
    return (time.process_time() - start) / len(pictures) * 1e3


def main():
    sessions, turns = [session(path) for path in sys.argv[1:3]], int(sys.argv[3])
    shape = [1, *sessions[0].get_inputs()[0].shape[1:]]
    pictures = np.random.default_rng(0).uniform(-1, 1, (PICTURES, *shape)).astype(np.float32)
    for one in sessions:
        milliseconds(one, pictures)
    print(json.dumps([list(side) for side in zip(*([milliseconds(one, pictures) for one in sessions] for _ in range(turns)))]))


if __name__ == "__main__":
    main()
