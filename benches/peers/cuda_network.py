"""Pictures per second of a network on tensors that are on the GPU already, for some batches; prints JSON.

    cuda_network.py GRAPH.onnx BATCH…

Outputs stay on the GPU. The settings are those of tapline: no TF32, convolutions chosen by heuristics.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

SECONDS = 2.0


def rate(session, batch):
    shape = [batch, *session.get_inputs()[0].shape[1:]]
    pictures = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(pictures, "cuda", 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda", 0)
    for _ in range(10):
        session.run_with_iobinding(binding)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        session.run_with_iobinding(binding)
        done += batch
    return done / (time.perf_counter() - start)


def main():
    onnxruntime.preload_dlls()
    options = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    session = onnxruntime.InferenceSession(sys.argv[1], quiet, providers=[("CUDAExecutionProvider", options)])
    assert session.get_providers()[0] == "CUDAExecutionProvider", "no CUDA"
    print(json.dumps({batch: rate(session, int(batch)) for batch in sys.argv[2:]}))


if __name__ == "__main__":
    main()
