"""Write a convolutional network as a plain ONNX graph whose bytes are the same on every machine.

Both models are built node by node rather than exported, so that every inner tensor has a name a person can read,
batch normalisation stays a node of its own, and the file's SHA-256 can be pinned in its model card.
A node has the name of its output.
"""

import hashlib
import pathlib
import tomllib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
CLASSES = 1000
SIDE = 224


class Graph:
    """Nodes in execution order and the weights they read; every method returns the name of the tensor it adds."""

    def __init__(self, name):
        self.name = name
        self.nodes = []
        self.weights = {}

    def weight(self, name, array):
        """Adds an initialiser, or finds the one of that name."""
        self.weights.setdefault(name, np.ascontiguousarray(array, dtype=np.float32))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x, output, kernel, bias=None, *, stride=1, pads=(0, 0, 0, 0), groups=1):
        """2-D convolution; kernel `[out, in / groups, h, w]`, pads top, left, bottom, right."""
        inputs = [x, self.weight(f"{output}.weight", kernel)]
        if bias is not None:
            inputs.append(self.weight(f"{output}.bias", bias))
        return self.node(
            "Conv",
            inputs,
            output,
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
            pads=list(pads),
            group=groups,
        )

    def batch_norm(self, x, output, scale, bias, mean, variance, *, epsilon):
        """Batch normalisation with running statistics, kept apart from the convolution before it."""
        parts = {"scale": scale, "bias": bias, "mean": mean, "variance": variance}
        inputs = [x] + [self.weight(f"{output}.{part}", array) for part, array in parts.items()]
        return self.node("BatchNormalization", inputs, output, epsilon=epsilon)

    def relu(self, x, output):
        return self.node("Relu", [x], output)

    def relu6(self, x, output):
        low, high = self.weight("relu6.min", np.float32(0)), self.weight("relu6.max", np.float32(6))
        return self.node("Clip", [x, low, high], output)

    def max_pool(self, x, output, *, size, stride):
        return self.node("MaxPool", [x], output, kernel_shape=[size, size], strides=[stride, stride])

    def model(self):
        """The checked model: float32, a free batch axis, every inner tensor's shape stated."""
        image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
        weights = [numpy_helper.from_array(np.array(array), name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, self.name, [image], [logits], weights)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="tapline")
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model, full_check=True)
        return model


def save(graph, card):
    """Writes the card's ONNX file beside it, or stops with one sentence if its digest is not the pinned one."""
    card = pathlib.Path(card)
    path = card.with_suffix(".onnx")
    data = graph.model().SerializeToString(deterministic=True)
    digest, pinned = hashlib.sha256(data).hexdigest(), tomllib.loads(card.read_text(encoding="utf-8"))["sha256"]
    if digest != pinned:
        raise SystemExit(
            f"{path.name} came out with SHA-256 {digest}, but {card.name} pins {pinned}: install the pinned packages "
            f"(make setup) or, after a wanted change of the network, pin the new digest"
        )
    part = path.with_suffix(".onnx.part")
    part.write_bytes(data)
    part.replace(path)
    print(f"models/{path.name}: {len(data) / 1e6:.1f} MB, SHA-256 as pinned")
