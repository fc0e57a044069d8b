"""Make small networks of unusual make, and compare tapped rows with the Python ONNX Runtime.

Usage: odd_models.py make FOLDER          writes NAME.onnx and pictures/*.png, prints the names
       odd_models.py check MODEL STORE    compares every array of the store; one line for each tap that differs
       odd_models.py int8 MODEL STORE     the same for a store of the network in bytes
       odd_models.py half MODEL STORE     the same for one in float16
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE = 12
# Rows may differ from NumPy's pooling of the runtime's tensor by this share of the tap's largest number.
TOLERANCE = 1e-4
# float16 sums are rounded to 11 bits on the way.
TOLERANCE_FLOAT16 = 2e-3
# Three quantised layers in a row, each number rounded to 1/255 of its tensor's range.
TOLERANCE_INT8 = 3e-2

random = np.random.default_rng(0)


def weight(name, *shape, dtype=np.float32):
    return numpy_helper.from_array((random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(dtype), name)


def tensor(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(folder, name, nodes, weights, picture, opset, ir=8, **options):
    graph = helper.make_graph(nodes, name, [picture, *options.pop("inputs", [])], [tensor("out", options.pop("out", 1), None)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, folder / f"{name}.onnx", **options)
    return name


def convs(dtype=np.float32):
    """Two convolutions with a branch between them: nodes and weights."""
    nodes = [
        helper.make_node("Conv", ["picture", "w1", "b1"], ["conv1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("Conv", ["relu1", "w2"], ["conv2"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Add", ["relu1", "conv2"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["out"]),
    ]
    return nodes, [weight("w1", 6, 3, 3, 3, dtype=dtype), weight("b1", 6, dtype=dtype), weight("w2", 6, 6, 3, 3, dtype=dtype)]


def make(folder):
    (folder / "pictures").mkdir()
    for index in range(5):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")
    nchw = ["batch", 3, SIDE, SIDE]
    fixed = [1, 3, SIDE, SIDE]
    nodes, weights = convs()
    names = [save(folder, "opset21", nodes, weights, tensor("picture", 1, nchw), 21, ir=10)]
    # Operator set 7, IR version 3: weights are graph inputs too, and so is an unused one.
    listed = [tensor(w.name, 1, w.dims) for w in weights]
    names += [save(folder, "opset7", nodes, weights, tensor("picture", 1, fixed), 7, ir=3, inputs=listed)]
    names += [save(folder, "opset11", nodes, weights, tensor("picture", 1, nchw), 11)]
    half, half_weights = convs(np.float16)
    names += [save(folder, "float16", half, half_weights, tensor("picture", 10, fixed), 13, out=10)]
    side_file = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    names += [save(folder, "side_file", nodes, weights, tensor("picture", 1, nchw), 17, **side_file)]
    turn = helper.make_node("Transpose", ["pixels"], ["picture"], perm=[0, 3, 1, 2])
    back = helper.make_node("Transpose", ["sum"], ["last"], perm=[0, 2, 3, 1])
    relu = helper.make_node("Relu", ["last"], ["out"])
    nhwc = tensor("pixels", 1, ["batch", SIDE, SIDE, 3])
    names += [save(folder, "nhwc", [turn, *nodes[:-1], back, relu], weights, nhwc, 15)]
    names += [save(folder, "fixed_reshape", *reshaped(), tensor("picture", 1, fixed), 13)]
    names += [save(folder, "uint8", *from_bytes(), tensor("bytes", 2, nchw), 13)]
    names += [save(folder, "quantised", *quantised(), tensor("picture", 1, nchw), 13)]
    names += [save(folder, "gelu", *gelu(), tensor("picture", 1, nchw), 17)]
    names += [save(folder, "norms", *norms(), tensor("picture", 1, nchw), 11)]
    print(*names)


def reshaped():
    """A channel shuffle and a classifier whose Reshapes name the batch size 1."""
    nodes, weights = convs()
    nodes[-1].output[0] = "relu2"
    shapes = {"apart": [1, 2, 3, 6, 6], "together": [1, 6, 6, 6], "flat": [1, 216]}
    weights += [numpy_helper.from_array(np.array(shape), f"to_{name}") for name, shape in shapes.items()]
    nodes += [
        helper.make_node("Reshape", ["relu2", "to_apart"], ["apart"]),
        helper.make_node("Transpose", ["apart"], ["shuffled"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["shuffled", "to_together"], ["together"]),
        helper.make_node("Reshape", ["together", "to_flat"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3"], ["out"]),
    ]
    return nodes, [*weights, weight("w3", 216, 4)]


def scalar(name, value):
    return numpy_helper.from_array(np.float32(value), name)


def small(weights):
    """Weights that make of pixels numbers of about 1, on which the error function and Clip are no steps."""
    return numpy_helper.from_array(numpy_helper.to_array(weights) / 128, weights.name)


def gelu():
    """A border, an activation made of the error function, parts that are put together again, and a Dropout between two convolutions."""
    weights = [small(weight("w1", 6, 3, 3, 3)), weight("w2", 6, 6, 3, 3), scalar("root", np.sqrt(2)), scalar("one", 1), scalar("half", 0.5)]
    weights += [numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "border")]
    nodes = [
        helper.make_node("Pad", ["picture", "border"], ["padded"]),
        helper.make_node("Conv", ["padded", "w1"], ["conv1"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Div", ["conv1", "root"], ["divided"]),
        helper.make_node("Erf", ["divided"], ["erf"]),
        helper.make_node("Add", ["one", "erf"], ["raised"]),
        helper.make_node("Mul", ["conv1", "raised"], ["product"]),
        helper.make_node("Mul", ["half", "product"], ["gelu"]),
        helper.make_node("Split", ["gelu"], ["left", "right"], axis=1),
        helper.make_node("Concat", ["right", "left"], ["swapped"], axis=1),
        helper.make_node("Dropout", ["swapped"], ["dropped", "mask"]),
        helper.make_node("Conv", ["dropped", "w2"], ["conv2"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["conv2"], ["out"]),
    ]
    return nodes, weights


def norms():
    """Batch normalisation behind a convolution that it alone reads, and behind one that is read elsewhere, too; Clip before operator set 12."""
    nodes, (first, *weights) = convs()
    weights.append(small(first))
    norm = lambda place: [f"{part}{place}" for part in ("gamma", "beta", "mean", "variance")]
    for place in (1, 2):
        numbers = [random.uniform(0.5, 2, 6), random.normal(size=6), random.normal(size=6), random.uniform(0.5, 2, 6)]
        weights += [numpy_helper.from_array(values.astype(np.float32), name) for values, name in zip(numbers, norm(place))]
    weights += [scalar("zero", 0), scalar("six", 6)]
    nodes = [
        nodes[0],
        helper.make_node("BatchNormalization", ["conv1", *norm(1)], ["norm1"]),
        helper.make_node("Clip", ["norm1", "zero", "six"], ["relu1"]),
        nodes[2],
        helper.make_node("BatchNormalization", ["conv2", *norm(2)], ["norm2"]),
        helper.make_node("Add", ["conv2", "norm2"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["out"]),
    ]
    return nodes, weights


def from_bytes():
    nodes, weights = convs()
    return [helper.make_node("Cast", ["bytes"], ["picture"], to=1), *nodes], weights


def quantised():
    """QLinearConv and MaxPool on bytes."""
    scale = lambda name, value: numpy_helper.from_array(np.float32(value), name)
    zero = lambda name, value, dtype: numpy_helper.from_array(dtype(value), name)
    # Seven bits: without optimisation, sums of larger ones saturate on processors that have AVX2 but no VNNI.
    kernel = random.integers(-64, 64, (6, 3, 3, 3), dtype=np.int8)
    weights = [
        scale("sx", 1.0), zero("zx", 0, np.uint8), scale("sw", 0.01), zero("zw", 0, np.int8), scale("sy", 3.0),
        zero("zy", 90, np.uint8), numpy_helper.from_array(kernel, "k"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "sx", "zx"], ["bytes"]),
        helper.make_node("QLinearConv", ["bytes", "sx", "zx", "k", "sw", "zw", "sy", "zy"], ["conv"], kernel_shape=[3, 3]),
        helper.make_node("MaxPool", ["conv"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("DequantizeLinear", ["pool", "sy", "zy"], ["real"]),
        helper.make_node("Relu", ["real"], ["out"]),
    ]
    return nodes, weights


def cells(n, k):
    return [slice(i * n // k, -(-(i + 1) * n // k)) for i in range(k)]


def pooled(maps, pooling):
    """Rows [n, features] of maps [n, c, h, w] or of any tensor where everything is kept."""
    maps = maps.astype(np.float64)
    if pooling == "flatten":
        return maps.reshape(len(maps), -1)
    flat = maps.reshape(*maps.shape[:2], -1)
    if pooling == "mean":
        return flat.mean(2)
    if pooling == "max":
        return flat.max(2)
    if pooling == "mean+max":
        return np.concatenate([flat.mean(2), flat.max(2)], 1)
    kind, _, value = pooling.partition(":")
    if kind == "gem":
        return (np.maximum(flat, 0) ** float(value)).mean(2) ** (1 / float(value))
    k = int(value)
    means = [maps[:, :, r, c].mean((2, 3)) for r in cells(maps.shape[2], k) for c in cells(maps.shape[3], k)]
    return np.stack(means, 2).reshape(len(maps), -1)


def all_tensors(path, wanted, inputs):
    """The wanted tensors for each picture, one pass a picture, by the Python ONNX Runtime without optimisation."""
    model = onnx.load(path)
    model.graph.output.extend([onnx.ValueInfoProto(name=name) for name in wanted if name != "out"])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    runs = []
    for picture in inputs:
        picture = picture if feed.shape[1] == 3 else picture.transpose(1, 2, 0)
        runs.append(session.run(wanted, {feed.name: picture[None].astype(kinds[feed.type])}))
    return {name: np.concatenate([run[i] for run in runs]) for i, name in enumerate(wanted)}


def as_maps(values, name, path):
    """Real numbers with channels first."""
    if values.dtype == np.uint8:
        scale, zero = (1.0, 0) if name == "bytes" else (3.0, 90)
        values = (values.astype(np.float32) - zero) * scale
    channels_last = path.stem == "nhwc" and name in ("last", "out")
    return values.transpose(0, 3, 1, 2) if channels_last else values


def check(path, store, verb):
    manifest = json.loads((store / "store.json").read_text())
    files = sorted((path.parent / "pictures").glob("*.png"))
    inputs = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files]
    wanted = sorted({tap["tensor"] for tap in manifest["taps"]})
    tensors = all_tensors(path, wanted, inputs)
    stored = TOLERANCE_FLOAT16 if path.stem == "float16" else TOLERANCE
    tolerance = {"int8": TOLERANCE_INT8, "half": TOLERANCE_FLOAT16, "check": stored}[verb]
    poolings, bad, furthest = set(), 0, 0.0
    for tap in manifest["taps"]:
        ours = np.load(store / "features" / tap["file"])
        expected = pooled(as_maps(tensors[tap["tensor"]], tap["tensor"], path), tap["pooling"])
        poolings.add(tap["pooling"])
        worst = np.abs(ours - expected).max() / max(np.abs(expected).max(), 1e-6) if ours.shape == expected.shape else np.inf
        furthest = max(furthest, worst)
        if not worst <= tolerance:
            print(f"{path.stem} {tap['tensor']} {tap['pooling']}: {ours.shape} {expected.shape} off by {worst:.1e}")
            bad += 1
    if len(poolings) < 6:
        print(f"{path.stem}: only {sorted(poolings)} were tapped")
        bad += 1
    if verb != "check" and furthest <= TOLERANCE / 10:
        print(f"{path.stem}: the rows are those of float32")
        bad += 1
    sys.exit(bad > 0)


if __name__ == "__main__":
    verb, first, *rest = sys.argv[1:]
    make(pathlib.Path(first)) if verb == "make" else check(pathlib.Path(first), pathlib.Path(rest[0]), verb)
