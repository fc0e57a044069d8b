"""What `tapline advise` says of batch norms, from the model file and the store's arrays.

python batch_norm_shift.py MODEL STORE: prints NAME SHIFT for each mean-pooled tap that is a batch norm's output.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

model, store = sys.argv[1:]
graph = onnx.load(model).graph
weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
norms = {node.output[0]: node.input for node in graph.node if node.op_type == "BatchNormalization"}
for tap in json.loads((Path(store) / "store.json").read_text())["taps"]:
    if tap["tensor"] in norms and tap["pooling"] == "mean":
        gamma, beta = (weights[name].astype(np.float64) for name in norms[tap["tensor"]][1:3])
        means = np.load(Path(store) / "features" / tap["file"]).astype(np.float64).mean(axis=0)
        print(tap["name"], np.median(np.abs(means - beta) / np.abs(gamma)))
