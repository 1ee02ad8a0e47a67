"""ONNX graphs become Keras models that compute the same; what would not is refused by name."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import UnsupportedLayerError
from fsrepro.frontends.onnx_graph import from_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RNG = np.random.default_rng(0)
MAP, SIGNAL, VOLUME, VECTOR = (4, 9, 8), (4, 10), (2, 5, 6, 4), (6,)
BIG = 2**63 - 1  # what PyTorch writes for "to the end"


def weights(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.5, 2, shape).astype(np.float32)


def whole(*numbers):
    return np.array(numbers, np.int64)


def number(value):
    return np.array(value, np.float32)


def graph(nodes, shape, constants, *, output="y", opset=20, batch="batch", kind=TensorProto.FLOAT):
    """A model from ``x`` to ``output``, the way PyTorch's exporter writes it."""
    used = {name for node in nodes for name in node.input}
    sizes = None if shape is None else [batch, *shape]
    made = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("x", kind, sizes)],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(constants[name], name) for name in constants if name in used],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def chain(shape, *steps, **options):
    """A model of one node after another, each ``(operator, [constants], attributes)``."""
    nodes, constants, x = [], {}, "x"
    for place, (operator, values, *attributes) in enumerate(steps):
        names = ["" if value is None else f"c{place}_{n}" for n, value in enumerate(values)]
        constants |= {name: value for name, value in zip(names, values, strict=True) if name}
        output = "y" if place == len(steps) - 1 else f"v{place}"
        given = attributes[0] if attributes else {}
        label = f"/block/{operator.lower()}{place}/{operator}"
        nodes.append(helper.make_node(operator, [x, *names], [output], name=label, **given))
        x = output
    return graph(nodes, shape, constants, **options)


def node(operator, inputs, outputs="y", **attributes):
    inputs, outputs = inputs.split(), outputs.split()
    return helper.make_node(operator, inputs, outputs, name=f"/{outputs[0]}/node", **attributes)


def images(shape, count=3):
    return np.random.default_rng(1).normal(0, 1, (count, *shape)).astype(np.float32)


def computed(model, x):
    """What ONNX makes of ``x``, with channels last."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        found = ReferenceEvaluator(model).run(None, {"x": x})[0]
    else:
        session = onnxruntime.InferenceSession(model.SerializeToString())
        found = session.run(None, {"x": x})[0]
    return np.moveaxis(found, 1, -1) if found.ndim > 2 else found


def kinds(model):
    """Its layers after the input and the permutation at the door."""
    found = [type(layer).__name__ for layer in model.layers[1:]]
    return found[found[:1] == ["Permute"] :]


def verify(model, shape):
    """The Keras model of ``model``, which computes the same."""
    x = images(shape)
    expected, before = computed(model, x), model.SerializeToString()
    read = from_onnx(model, x)
    assert model.SerializeToString() == before
    assert read.input_shape == (None, *shape)
    found = read.predict(x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 0
    return read


def batch_norm(channels, spread=positive):
    return [weights(channels), weights(channels), weights(channels), spread(channels)]


PAD, EVEN = {"pads": [1, 1, 1, 1]}, {"kernel_shape": [2, 2], "strides": [2, 2]}
THREE = {"kernel_shape": [3, 3]}
RELU = ("Relu", [])
REFERENCE_FAILS = ("global maximum", "zeros and cuts")  # that of onnx 1.23
OPERATORS = {
    # convolutions
    "convolution": (MAP, [("Conv", [weights(5, 4, 3, 3), weights(5)])], "Conv2D"),
    "same": (MAP, [("Conv", [weights(5, 4, 3, 3)], PAD)], "Conv2D"),
    "same, even": (MAP, [("Conv", [weights(5, 4, 2, 2)], {"pads": [0, 0, 1, 1]})], "Conv2D"),
    "padding on the other side": (MAP, [("Conv", [weights(5, 4, 2, 2)], {"pads": [1, 1, 0, 0]})],
        "ZeroPadding2D Conv2D"),
    "strides of odd and even sizes": (MAP,
        [("Conv", [weights(5, 4, 3, 3)], PAD | {"strides": [2, 2]})], "ZeroPadding2D Conv2D"),
    "strides where same is the same": ((4, 9, 9),
        [("Conv", [weights(5, 4, 3, 3)], PAD | {"strides": [2, 2]})], "Conv2D"),
    "padding that no window reaches": ((4, 8, 8),
        [("Conv", [weights(5, 4, 2, 2)], {"pads": [0, 0, 1, 1], "strides": [2, 2]})], "Conv2D"),
    "dilation": (MAP,
        [("Conv", [weights(5, 4, 3, 3)], {"dilations": [2, 1], "pads": [2, 1, 2, 1]})], "Conv2D"),
    "groups": (MAP, [("Conv", [weights(6, 2, 3, 3)], {"group": 2})], "Conv2D"),
    "depthwise": (MAP, [("Conv", [weights(8, 1, 3, 3)], {"group": 4})], "DepthwiseConv2D"),
    "auto_pad": (MAP,
        [("Conv", [weights(5, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], "Conv2D"),
    "auto_pad lower": (MAP, [("Conv", [weights(5, 4, 2, 2)], {"auto_pad": "SAME_LOWER"})],
        "ZeroPadding2D Conv2D"),
    "signal": (SIGNAL, [("Conv", [weights(5, 4, 3), weights(5)], {"pads": [2, 0], "strides": [2]})],
        "ZeroPadding1D Conv1D"),
    "depthwise signal": (SIGNAL, [("Conv", [weights(4, 1, 3)], {"group": 4})], "DepthwiseConv1D"),
    "volume": (VOLUME, [("Conv", [weights(3, 2, 3, 3, 2)], {"pads": [1] * 6})],
        "ZeroPadding3D Conv3D"),
    "depthwise volume": (VOLUME, [("Conv", [weights(2, 1, 3, 3, 2)], {"group": 2})], "Conv3D"),
    "dilated volume": (VOLUME, [("Conv", [weights(3, 2, 2, 2, 2)], {"dilations": [2] * 3})],
        "Conv3D"),
    "bias added": (MAP, [("Conv", [weights(5, 4, 3, 3)]), ("Add", [weights(1, 5, 1, 1)])],
        "Conv2D"),
    "transposed": (MAP, [("ConvTranspose", [weights(4, 5, 2, 2), weights(5)], {"strides": [2, 2]})],
        "Conv2DTranspose"),
    "transposed, cropped": (MAP,
        [("ConvTranspose", [weights(4, 5, 4, 4)], PAD | {"strides": [2, 2]})],
        "Conv2DTranspose Cropping2D"),
    "transposed, output_padding": (MAP,
        [("ConvTranspose", [weights(4, 5, 3, 3), weights(5)],
          PAD | {"strides": [2, 2], "output_padding": [1, 1]})],
        "Conv2DTranspose Cropping2D"),
    "transposed with gaps": (MAP,
        [("ConvTranspose", [weights(4, 5, 2, 2), weights(5)], {"strides": [3, 3]})],
        "Conv2DTranspose Cropping2D"),
    "transposed, dilated": (MAP, [("ConvTranspose", [weights(4, 5, 2, 2)], {"dilations": [2, 2]})],
        "Conv2DTranspose"),
    "transposed signal": (SIGNAL,
        [("ConvTranspose", [weights(4, 5, 3)], {"strides": [2], "pads": [1, 0]})],
        "Conv1DTranspose Cropping1D"),
    "transposed volume": (VOLUME,
        [("ConvTranspose", [weights(2, 3, 2, 2, 2)], {"strides": [2, 2, 2]})], "Conv3DTranspose"),
    # matrices and norms
    "gemm": (VECTOR, [("Gemm", [weights(5, 6), weights(5)], {"transB": 1})], "Dense"),
    "gemm with factors": (VECTOR,
        [("Gemm", [weights(6, 5), weights(1, 5)], {"alpha": 0.5, "beta": 2.0})], "Dense"),
    "matmul": (VECTOR, [("MatMul", [weights(6, 5)])], "Dense"),
    "matmul and bias": (VECTOR, [("MatMul", [weights(6, 5)]), ("Add", [weights(5)])], "Dense"),
    "matmul along a signal": (SIGNAL, [("MatMul", [weights(10, 3)])], "Permute Dense Permute"),
    "batch norm": (MAP, [("BatchNormalization", batch_norm(4), {"epsilon": 0.1})],
        "BatchNormalization"),
    "batch norm of a vector": (VECTOR, [("BatchNormalization", batch_norm(6))],
        "BatchNormalization"),
    # activations
    "relu": (MAP, [RELU], "Activation"),
    "leaky relu": (MAP, [("LeakyRelu", [], {"alpha": 0.2})], "LeakyReLU"),
    "prelu": (MAP, [("PRelu", [weights(4, 1, 1)])], "PReLU"),
    "prelu of one slope": (MAP, [("PRelu", [weights(1)])], "PReLU"),
    "prelu of a vector": (VECTOR, [("PRelu", [weights(6)])], "PReLU"),
    "elu": (MAP, [("Elu", [], {"alpha": 0.7})], "ELU"),
    "selu": (MAP, [("Selu", [])], "Activation"),
    "sigmoid": (MAP, [("Sigmoid", [])], "Activation"),
    "tanh": (MAP, [("Tanh", [])], "Activation"),
    "hard sigmoid": (MAP, [("HardSigmoid", [], {"alpha": 1 / 6})], "Activation"),
    "hard swish": (MAP, [("HardSwish", [])], "Activation"),
    "softplus": (MAP, [("Softplus", [])], "Activation"),
    "softsign": (MAP, [("Softsign", [])], "Activation"),
    "mish": (MAP, [("Mish", [])], "Activation"),
    "gelu": (MAP, [("Gelu", [])], "Activation"),
    "gelu by tanh": (MAP, [("Gelu", [], {"approximate": "tanh"})], "Activation"),
    "hard_tanh": (MAP, [("Clip", [number(-1), number(1)])], "Activation"),
    "relu6": (MAP, [("Clip", [number(0), number(6)])], "ReLU"),
    "clip from 0": (MAP, [("Clip", [number(0)])], "Activation"),
    "clip by attributes": (MAP, [("Clip", [], {"min": 0.0, "max": 6.0})], "ReLU", {"opset": 10}),
    "clip of nothing": (MAP, [RELU, ("Clip", [None, number(np.inf)])], "Activation"),
    "maximum with 0": (MAP, [("Max", [number(0)])], "Activation"),
    "softmax": (VECTOR, [("Softmax", [], {"axis": 1})], "Softmax"),
    "softmax of channels": (MAP, [("Softmax", [], {"axis": 1})], "Softmax"),
    "softmax of opset 11": (VECTOR, [("Softmax", [])], "Softmax", {"opset": 11}),
    # arithmetic with constants
    "normalised": (MAP, [("Sub", [weights(1, 4, 1, 1)]), ("Div", [positive(4, 1, 1)])],
        "Rescaling Rescaling"),
    "pixels": (MAP, [("Div", [number(255)]), ("Sub", [number(0.5)])], "Rescaling Rescaling"),
    "scaled rows": (MAP, [("Mul", [weights(9, 1)])], "Permute Rescaling Permute"),
    "scaled vector": (VECTOR, [("Mul", [weights(6)]), ("Add", [number(2)])], "Rescaling Rescaling"),
    "negative": (MAP, [("Neg", [])], "Rescaling"),
    "times 1, plus 0": (MAP, [RELU, ("Mul", [number(1)]), ("Add", [number(0)])], "Activation"),
    # pooling
    "maximum": (MAP, [("MaxPool", [], EVEN)], "MaxPooling2D"),
    "maximum, same": (MAP, [("MaxPool", [], THREE | PAD)], "MaxPooling2D"),
    "maximum after relu": (MAP, [RELU, ("MaxPool", [], THREE | PAD | {"strides": [2, 2]})],
        "Activation ZeroPadding2D MaxPooling2D"),
    "maximum, ceil_mode": ((4, 8, 8),
        [("MaxPool", [], THREE | {"strides": [2, 2], "ceil_mode": 1})], "MaxPooling2D"),
    "maximum, ceil_mode without need": ((4, 9, 9),
        [("MaxPool", [], THREE | {"strides": [2, 2], "ceil_mode": 1})], "MaxPooling2D"),
    "average": (MAP, [("AveragePool", [], EVEN)], "AveragePooling2D"),
    "average with padding": (MAP, [("AveragePool", [], THREE | PAD | {"count_include_pad": 1})],
        "ZeroPadding2D AveragePooling2D"),
    "average without padding": (MAP, [("AveragePool", [], THREE | PAD)], "AveragePooling2D"),
    "average, ceil_mode": ((4, 8, 8),
        [("AveragePool", [], THREE | {"strides": [2, 2], "ceil_mode": 1})], "AveragePooling2D"),
    "average of a signal": (SIGNAL, [("AveragePool", [], {"kernel_shape": [3]})],
        "AveragePooling1D"),
    "maximum of a volume": (VOLUME,
        [("MaxPool", [], {"kernel_shape": [2] * 3, "strides": [2] * 3})], "MaxPooling3D"),
    "global average": (MAP, [("GlobalAveragePool", [])], "GlobalAveragePooling2D"),
    "global maximum": (SIGNAL, [("GlobalMaxPool", [])], "GlobalMaxPooling1D"),
    "mean of a map": (MAP, [("ReduceMean", [whole(-1, -2)], {"keepdims": 0})],
        "GlobalAveragePooling2D"),
    "mean by attributes": (MAP, [("ReduceMean", [], {"axes": [2, 3]})], "GlobalAveragePooling2D",
        {"opset": 13}),
    "mean of rows": (MAP, [("ReduceMean", [whole(2)], {"keepdims": 0})],
        "AveragePooling2D Reshape"),
    "maximum of columns": (MAP, [("ReduceMax", [whole(3)])], "MaxPooling2D"),
    # what moves values
    "flatten": (MAP, [("Flatten", [])], "Permute Flatten"),
    "flatten 1x1": (MAP, [("GlobalAveragePool", []), ("Flatten", [])],
        "GlobalAveragePooling2D Flatten"),
    "flatten a vector": (VECTOR, [RELU, ("Flatten", [])], "Activation"),
    "reshape to a vector": (MAP, [("Reshape", [whole(0, -1)])], "Permute Flatten"),
    "reshape a vector": (VECTOR, [("Gemm", [weights(6, 12)]), ("Reshape", [whole(-1, 3, 2, 2)])],
        "Dense Reshape Permute"),
    "map as a signal": (MAP, [("Flatten", []), ("Reshape", [whole(0, 4, 72)])],
        "Permute Flatten Reshape Permute"),
    "pixels as a signal": (MAP, [("Reshape", [whole(0, 4, -1)])], "Reshape"),
    "squeeze": (MAP, [("GlobalMaxPool", []), ("Squeeze", [whole(2, 3)])],
        "GlobalMaxPooling2D Flatten"),
    "squeeze all": (MAP, [("GlobalMaxPool", []), ("Squeeze", [])], "GlobalMaxPooling2D Flatten"),
    "unsqueeze": (VECTOR, [("Unsqueeze", [whole(2, 3)])], "Reshape"),
    "transpose": (MAP, [("Transpose", [], {"perm": [0, 1, 3, 2]})], "Permute"),
    "transpose there and back": (MAP,
        [("Transpose", [], {"perm": [0, 2, 3, 1]}), RELU,
         ("Transpose", [], {"perm": [0, 3, 1, 2]})],
        "Activation"),
    "channel shuffle": (MAP,
        [("Reshape", [whole(-1, 2, 2, 9, 8)]), ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}),
         ("Reshape", [whole(-1, 4, 9, 8)])],
        "Reshape Permute Reshape"),
    "pixel shuffle": (MAP, [("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"})],
        "Reshape Permute Reshape"),
    "depth to space": (MAP, [("DepthToSpace", [], {"blocksize": 2})], "Reshape Permute Reshape"),
    "rows and columns": (MAP, [("Slice", [whole(1, 2), whole(-1, BIG), whole(2, 3), whole(1, 1)])],
        "Cropping2D"),
    "every second pixel": (MAP,
        [("Slice", [whole(0, 1), whole(BIG, BIG), whole(2, 3), whole(2, 2)])],
        "Cropping2D AveragePooling2D"),
    "slice by attributes": (MAP, [("Slice", [], {"starts": [1], "ends": [3], "axes": [2]})],
        "Cropping2D", {"opset": 9}),
    "some channels": (MAP, [("Slice", [whole(1), whole(3), whole(1)])],
        "Reshape Cropping2D Reshape"),
    "part of a vector": (VECTOR, [("Slice", [whole(-2), whole(BIG), whole(1)])],
        "Reshape Cropping1D Reshape"),
    "one channel": (MAP, [("Gather", [np.int64(-1)], {"axis": 1})],
        "Reshape Cropping2D Reshape Reshape Permute"),
    "zeros around": (MAP, [("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 0)])], "ZeroPadding2D"),
    "zeros around, by axes": (SIGNAL, [("Pad", [whole(1, 2), number(0), whole(2)])],
        "ZeroPadding1D"),
    "zeros and cuts": (MAP, [("Pad", [whole(0, 0, -1, 2, 0, 0, 3, 0)])],
        "Cropping2D ZeroPadding2D"),
    "more channels": (MAP, [("Pad", [whole(0, 2, 0, 0, 0, 1, 0, 0)])],
        "Reshape ZeroPadding2D Reshape"),
    "longer vector": (VECTOR, [("Pad", [whole(0, 2, 0, 1)])], "Reshape ZeroPadding1D Reshape"),
    "nearest neighbours": (MAP,
        [("Resize", [None, number([1, 1, 2, 3])],
          {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})],
        "UpSampling2D"),
    "nearest neighbours to a size": (SIGNAL, [("Resize", [None, None, whole(3, 4, 30)])],
        "UpSampling1D", {"batch": 3}),
    "upsample": (MAP, [("Upsample", [number([1, 1, 2, 2])])], "UpSampling2D", {"opset": 9}),
    "one pixel made a map": (MAP,
        [("GlobalAveragePool", []), ("Resize", [None, number([1, 1, 4, 5])], {"mode": "linear"})],
        "GlobalAveragePooling2D UpSampling2D"),
    "expand": (MAP, [("GlobalAveragePool", []), ("Expand", [whole(1, 4, 3, 2)])],
        "GlobalAveragePooling2D UpSampling2D"),
    "nothing": (MAP, [("Identity", []), RELU, ("Dropout", []), ("Cast", [], {"to": 1})],
        "Activation"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    shape, steps, expected, *options = OPERATORS[name]
    if name in REFERENCE_FAILS:
        pytest.importorskip("onnxruntime")
    model = chain(shape, *steps, **(options[0] if options else {}))
    assert kinds(verify(model, shape)) == expected.split()


# --- several nodes, several values --------------------------------------------------------------

CONSTANTS = {
    "sqrt2": number(2**0.5), "half": number(0.5), "one": number(1), "three": number(3),
    "six": number(6), "zero": number(0), "twenty": number(20), "first": np.int64(0),
    "axis": whole(0), "axes": whole(2, 3), "parts": whole(4, 5), "rest": whole(-1),
    "zeros": np.zeros((3, 2, 9, 8), np.float32),
}  # fmt: skip
FUSED = {
    "silu": [node("Sigmoid", "x", "s"), node("Mul", "x s")],
    "silu, swapped": [node("Sigmoid", "x", "s"), node("Mul", "s x")],
    "hard_silu": [node("HardSigmoid", "x", "s", alpha=1 / 6), node("Mul", "x s")],
    "hard_silu of old": [node("Add", "x three", "a"), node("Clip", "a zero six", "b"),
        node("Mul", "x b", "c"), node("Div", "c six")],
    "hard_sigmoid of old": [node("Add", "x three", "a"), node("Clip", "a zero six", "b"),
        node("Div", "b six")],
    "mish": [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t")],
    "softplus": [node("Softplus", "x", "s"), node("Greater", "x twenty", "g"),
        node("Where", "g x s")],
    "softsign": [node("Abs", "x", "a"), node("Add", "a one", "b"), node("Div", "x b")],
    "gelu": [node("Div", "x sqrt2", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"),
        node("Mul", "x c", "d"), node("Mul", "d half")],
    "gelu, halved first": [node("Mul", "x half", "h"), node("Div", "x sqrt2", "a"),
        node("Erf", "a", "b"), node("Add", "b one", "c"), node("Mul", "h c")],
}  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_several_nodes_are_one_activation(name):
    read = verify(graph(FUSED[name], MAP, CONSTANTS), MAP)
    assert kinds(read) == ["Activation"]
    assert read.layers[-1].activation.__name__ == name.split(",")[0].split()[0]


def test_a_part_of_a_silu_that_is_used_elsewhere_stays():
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Add", "m s")]
    assert sorted(kinds(verify(graph(nodes, MAP, {}), MAP))) == ["Activation", "Activation", "Add"]


def test_what_looks_like_a_silu():
    nodes = [node("Relu", "x", "r"), node("Sigmoid", "x", "s"), node("Mul", "r s")]
    assert "Multiply" in kinds(verify(graph(nodes, MAP, {}), MAP))


TWO = {
    "add": ([node("Relu", "x", "r"), node("Add", "r x")], "Activation Add"),
    "subtract": ([node("Relu", "x", "r"), node("Sub", "r x")], "Activation Subtract"),
    "sum": ([node("Relu", "x", "r"), node("Tanh", "x", "t"), node("Sum", "one r t")],
            "Activation Activation Rescaling Add"),
    "constant minus value": ([node("Sub", "one x")], "Rescaling"),
    "constant plus value": ([node("Add", "one x")], "Rescaling"),
    "concat": ([node("Relu", "x", "r"), node("Concat", "r x", axis=1)], "Activation Concatenate"),
    "concat of rows": ([node("Relu", "x", "r"), node("Concat", "r x", axis=-2)],
                       "Activation Concatenate"),
    "concat with zeros": ([node("Concat", "zeros x zeros", axis=1)],
                          "Reshape ZeroPadding2D Reshape"),
    "split": ([node("Split", "x", "a b", axis=1, num_outputs=2), node("Concat", "b a", axis=1)],
              "Reshape Cropping2D Reshape Reshape Cropping2D Reshape Concatenate"),
    "split into parts": ([node("Split", "x parts", "a b", axis=2), node("Relu", "b")],
                         "Cropping2D Activation"),
    "gate": ([node("GlobalAveragePool", "x", "p"), node("Sigmoid", "p", "g"), node("Mul", "g x")],
             "GlobalAveragePooling2D Activation Multiply"),
    "gate of a vector": ([node("ReduceMean", "x axes", "p", keepdims=0),
                          node("Unsqueeze", "p axes", "u"), node("Mul", "x u")],
                         "GlobalAveragePooling2D Reshape Multiply"),
    "shapes": ([node("Shape", "x", "s"), node("Gather", "s first", "n"),
                node("Unsqueeze", "n axis", "m"), node("Concat", "m rest", "t", axis=0),
                node("Reshape", "x t")], "Permute Flatten"),
    "unused": ([node("Sin", "x", "s"), node("Relu", "x")], "Activation"),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_several_values(name):
    nodes, expected = TWO[name]
    read = verify(graph(nodes, MAP, CONSTANTS, batch=3), MAP)
    assert sorted(kinds(read)) == sorted(expected.split())


# --- refusals -----------------------------------------------------------------------------------

REFUSED = {
    "operator": ([("Sin", [])], "supported are Add, AveragePool"),
    "instance norm": ([("InstanceNormalization", [weights(4), weights(4)])], "InstanceNormal"),
    "quantised": (
        [("QuantizeLinear", [number(0.1), np.uint8(0)]), ("DequantizeLinear", [number(0.1)])],
        "QuantizeLinear",
    ),
    "absolute": ([("Abs", [])], "(Abs)"),
    "hard sigmoid of 0.2": ([("HardSigmoid", [])], "alpha is 0.2"),
    "limits": ([("Clip", [number(-1), number(2)])], "its limits are -1.0 and 2.0"),
    "maximum with 1": ([("Max", [number(1)])], "the larger of a value and 0"),
    "slope of a pixel": ([("PRelu", [weights(4, 9, 8)])], "differ along one axis only"),
    "slope of a row": ([("PRelu", [weights(9, 1)])], "one per channel"),
    "constant map": ([("Add", [weights(1, 4, 9, 8)])], "differ along one axis only"),
    "constant larger": ([("Add", [weights(1, 1, 4, 9, 8)])], "would enlarge"),
    "log-softmax within": ([("LogSoftmax", [], {"axis": 1}), RELU], "only at the end"),
    "old softmax": ([("Softmax", [])], "several axes at once", {"opset": 11}),
    "maximum of what may be negative": (
        [("MaxPool", [], THREE | PAD | {"strides": [2, 2]})],
        "may be negative",
    ),
    "pooling with dilations": ([("MaxPool", [], THREE | {"dilations": [2, 2]})], "dilations"),
    "average without padding": (
        [("AveragePool", [], THREE | PAD | {"strides": [2, 2]})],
        "leave out this padding",
    ),
    "average, ceil_mode and padding": (
        [("AveragePool", [], THREE | {"pads": [1, 0, 0, 0], "strides": [2, 2], "ceil_mode": 1,
                                      "count_include_pad": 1})],
        "ceil_mode together with",
    ),
    "window too large": ([("MaxPool", [], {"kernel_shape": [20, 2]})], "larger than its input"),
    "strides and dilations": (
        [("Conv", [weights(5, 4, 2, 2)], {"strides": [2, 2], "dilations": [2, 2]})],
        "strides and dilations",
    ),
    "transposed in groups": ([("ConvTranspose", [weights(4, 2, 2, 2)], {"group": 2})], "groups"),
    "transposed, too much padding": (
        [("ConvTranspose", [weights(4, 5, 2, 2)], {"strides": [2, 2], "output_padding": [1, 1]})],
        "output_padding",
    ),
    "transposed, output_shape": (
        [("ConvTranspose", [weights(4, 5, 2, 2)], {"output_shape": [12, 12]})],
        "output_shape",
    ),
    "mean of channels": ([("ReduceMean", [whole(1)])], "supported are spatial ones"),
    "mean of everything": ([("ReduceMean", [])], "supported are spatial ones"),
    "batch in training": (
        [("BatchNormalization", batch_norm(4), {"training_mode": 1})],
        "in training mode",
    ),
    "matrix from the left": ([("Transpose", [], {"perm": [1, 0, 2, 3]})], "batch axis"),
    "images mixed": ([("Reshape", [whole(-1, 9, 8)])], "mix the images"),
    "images joined": ([("Flatten", [], {"axis": 0})], "mix the images"),
    "part of the batch": ([("Slice", [whole(0), whole(1), whole(0)])], "part of the batch"),
    "backwards": ([("Slice", [whole(-1), whole(-BIG), whole(2), whole(-1)])], "steps of -1"),
    "every second channel": ([("Slice", [whole(0), whole(4), whole(1), whole(2)])], "steps of 2"),
    "channels in another order": ([("Gather", [whole(2, 0)], {"axis": 1})], "than a range"),
    "reflected": ([("Pad", [whole(0, 0, 1, 1, 0, 0, 1, 1)], {"mode": "reflect"})], "by reflect"),
    "ones around": ([("Pad", [whole(0, 0, 1, 1, 0, 0, 1, 1), number(1)])], "another number than 0"),
    "linear": ([("Resize", [None, number([1, 1, 2, 2])], {"mode": "linear"})], "mode 'linear'"),
    "one and a half": ([("Resize", [None, number([1, 1, 1.5, 2])])], "whole number of times"),
    "uneven neighbours": (
        [("Resize", [None, number([1, 1, 3, 3])],
          {"coordinate_transformation_mode": "asymmetric"})],
        "are uneven",
    ),
    "more channels by repetition": ([("Resize", [None, number([1, 2, 1, 1])])], "only spatial"),
    "integers": ([("Cast", [], {"to": TensorProto.INT64})], "must stay floating-point"),
    "matmul of a stack": ([("MatMul", [weights(4, 8, 3)])], "not that of a matrix"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    steps, message, *options = REFUSED[name]
    model = chain(MAP, *steps, **(options[0] if options else {}))
    with pytest.raises(UnsupportedLayerError) as caught:
        from_onnx(model, images(MAP))
    words = str(caught.value)
    operator = steps[0][0]
    assert words.startswith(f"node '/block/{operator.lower()}0/{operator} ({operator})'")
    assert "has no form in Keras layers" in words and message in words


REFUSED_TOGETHER = {
    "division": ([node("Div", "x x")], "division by what depends"),
    "one divided": ([node("Div", "one x")], "division by what depends"),
    "ranks": ([node("ReduceMean", "x axes", "p", keepdims=0), node("Add", "x p")], "4 and 2 axes"),
    "product of maps": ([node("MatMul", "x x")], "constant matrix on the right"),
    "weights of images": ([node("Conv", "x x")], "its weights must be constant"),
    "constants joined": ([node("Concat", "x zeros x", axis=1)], "must come first or last"),
    "numbers joined": ([node("Concat", "x ones", axis=1)], "must be 0"),
    "indices of a maximum": ([node("MaxPool", "x", "m i", kernel_shape=[2, 2]),
                              node("Identity", "i", "j"), node("Cast", "j", to=1)],
                             "'i' is not computed at inference"),
    "random": ([node("RandomNormalLike", "x", "r"), node("Add", "x r")], "RandomNormalLike"),
    "other domain": ([helper.make_node("Fused", ["x"], ["y"], name="odd", domain="com.corp")],
                     "node 'odd (com.corp::Fused)'"),
    "no name": ([helper.make_node("Sin", ["x"], ["y"])], "node 'y (Sin)'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_TOGETHER)
def test_refused_together(name):
    nodes, message = REFUSED_TOGETHER[name]
    constants = CONSTANTS | {"ones": np.ones((3, 1, 9, 8), np.float32)}
    with pytest.raises(UnsupportedLayerError) as caught:
        from_onnx(graph(nodes, MAP, constants, batch=3), images(MAP))
    assert message in str(caught.value)


# --- files, inputs and outputs ------------------------------------------------------------------


def small(**options):
    steps = [("Conv", [weights(5, 4, 3, 3)], PAD), RELU, ("GlobalAveragePool", []), ("Flatten", [])]
    return chain(MAP, *steps, ("Gemm", [weights(5, 3), weights(3)]), **options)


@pytest.mark.parametrize("how", ["path", "string", "bytes", "model"])
def test_sources(how, tmp_path):
    path, model = tmp_path / "net.onnx", small()
    onnx.save(model, path)
    source = {"path": path, "string": str(path), "bytes": path.read_bytes(), "model": model}[how]
    found = from_onnx(source, images(MAP)).predict(images(MAP))
    np.testing.assert_allclose(found, computed(model, images(MAP)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "content", [b"", b"no network at all", small().SerializeToString()[:-40], b"\x08\x07"]
)
def test_damaged_files(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.onnx.* no ONNX file$"):
        from_onnx(path, images(MAP))
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "other.onnx", images(MAP))


def test_weights_in_another_file(tmp_path):
    path, model = tmp_path / "net.onnx", small()
    options = {"save_as_external_data": True, "location": "net.data", "size_threshold": 0}
    onnx.save(model, path, **options)
    assert kinds(from_onnx(path, images(MAP))) == kinds(from_onnx(small(), images(MAP)))
    with pytest.raises(ValueError, match="weights in another file; give the path"):
        from_onnx(path.read_bytes(), images(MAP))
    (tmp_path / "net.data").unlink()
    with pytest.raises(ValueError, match=r"weights of .*net\.onnx are missing"):
        from_onnx(path, images(MAP))


def test_damaged_tensor():
    model = small()
    model.graph.initializer[0].raw_data = b"1234567"
    with pytest.raises(ValueError, match="tensor 'c0_0' is damaged"):
        from_onnx(model, images(MAP))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(bad):
    kernel = weights(5, 4, 3, 3)
    kernel[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"tensor 'c0_0' of node .*\(Conv\)' holds NaN or inf"):
        from_onnx(chain(MAP, ("Conv", [kernel])), images(MAP))


def test_several_inputs_or_outputs():
    model = small()
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    with pytest.raises(ValueError, match="must have one input, it has x, z; pick one"):
        from_onnx(model, images(MAP))
    model = small()
    model.graph.output.append(helper.make_tensor_value_info("v1", TensorProto.FLOAT, None))
    with pytest.raises(ValueError, match="must have one output, it has y, v1; pick one"):
        from_onnx(model, images(MAP))


def test_weights_among_the_inputs():
    """As exporters of old list them."""
    model = small()
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    verify(model, MAP)


def test_an_output_that_is_always_the_same():
    nodes = [node("Relu", "one"), node("Relu", "x", "z")]
    with pytest.raises(ValueError, match="'y' does not depend on the images"):
        from_onnx(graph(nodes, MAP, CONSTANTS), images(MAP))


@pytest.mark.parametrize("shape", [(4, 9), (3, 9, 8), (4, 9, 9)])
def test_images_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"takes images of shape \(N, 4, 9, 8\), got \(3, "):
        from_onnx(small(), images(shape))


def test_no_images():
    with pytest.raises(ValueError, match="at least one"):
        from_onnx(small(), images(MAP, 0))


def test_sizes_left_open_are_those_of_the_images():
    model = small()
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_param = "any"
    assert verify(model, (4, 12, 7)).input_shape == (None, 4, 12, 7)
    with pytest.raises(ValueError, match=r"\(N, 4, any, any\)"):
        from_onnx(model, images((3, 12, 7)))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert verify(model, MAP).input_shape == (None, *MAP)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_file_for_a_batch_of_a_certain_size(batch):
    steps = [("Conv", [weights(5, 4, 3, 3)]), ("Reshape", [whole(batch, 210)])]
    x, model = images(MAP, 6), chain(MAP, *steps, batch=batch)
    read = from_onnx(model, x)
    expected = computed(model, x[:batch])
    np.testing.assert_allclose(read.predict(x[:batch]), expected, rtol=1e-4, atol=1e-5)
    assert read.predict(x).shape == (6, 210)


def test_integers_at_the_door():
    steps = [("Cast", [], {"to": 1}), ("Div", [number(255)]), ("Conv", [weights(5, 4, 3, 3)])]
    model = chain(MAP, *steps, kind=TensorProto.UINT8)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    x = np.random.default_rng(0).integers(0, 256, (3, *MAP)).astype(np.uint8)
    expected = computed(model, x)
    found = from_onnx(model, x).predict(x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_numbers_of_another_precision_become_float32(kind):
    def steps(change):
        return [("Conv", [change(kernel), change(bias)]), ("Add", [change(number(0.3))])]

    kernel, bias = weights(5, 4, 3, 3), weights(5)
    number_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    read = from_onnx(chain(MAP, *steps(lambda x: x.astype(kind)), kind=number_type), images(MAP))
    same = chain(MAP, *steps(lambda x: x.astype(kind).astype(np.float32)))
    assert {weight.dtype for weight in read.weights} == {"float32"}
    found, expected = read.predict(images(MAP)), computed(same, images(MAP))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_quantised_weights_are_numbers():
    scale, zero = np.full(5, 0.02, np.float32), np.zeros(5, np.int8)
    constants = {"w": RNG.integers(-127, 127, (5, 4, 3, 3)).astype(np.int8), "s": scale, "z": zero}
    nodes = [node("DequantizeLinear", "w s z", "k", axis=0), node("Conv", "x k")]
    assert kinds(verify(graph(nodes, MAP, constants), MAP)) == ["Conv2D"]


def test_a_log_softmax_at_the_end_is_dropped():
    steps = [("Gemm", [weights(6, 5)]), ("LogSoftmax", [], {"axis": 1})]
    read = from_onnx(chain(VECTOR, *steps), images(VECTOR))
    assert kinds(read) == ["Dense"]
    expected = images(VECTOR) @ steps[0][1][0]
    np.testing.assert_allclose(read.predict(images(VECTOR)), expected, rtol=1e-5)


def test_functions_of_the_file_are_unfolded():
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])]
    made = helper.make_function("own", "Twice", ["a"], ["c"], body, opsets[:1])
    model = graph([helper.make_node("Twice", ["x"], ["y"], domain="own")], MAP, {})
    model.functions.append(made)
    model.opset_import.append(opsets[1])
    assert kinds(verify(model, MAP)) == ["Activation", "Rescaling"]


def test_an_old_opset():
    with pytest.raises(ValueError, match=r"has opset 6; onnx\.version_converter"):
        from_onnx(small(opset=6), images(MAP))


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install fsrepro\[onnx\]"):
        from_onnx("net.onnx", images(MAP))


# --- the model ----------------------------------------------------------------------------------


def test_names_are_those_of_weights_and_nodes():
    constants = {"layer1.0.conv1.weight": weights(5, 4, 3, 3), "layer1.0.conv2.weight":
                 weights(5, 5, 3, 3), "onnx::MatMul_7": weights(5, 3)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "layer1.0.conv1.weight"], ["a"], name="node_Conv_7"),
        helper.make_node("Relu", ["a"], ["b"], name="/layer1/layer1.0/relu/Relu"),
        helper.make_node("Conv", ["b", "layer1.0.conv2.weight"], ["c"], **PAD),
        helper.make_node("Add", ["b", "c"], ["d"], name="/layer1/layer1.0/Add"),
        helper.make_node("Relu", ["d"], ["e"], name="/layer1/layer1.0/relu_1/Relu"),
        helper.make_node("Conv", ["e", "layer1.0.conv2.weight"], ["f"], **PAD),
        helper.make_node("Sigmoid", ["f"], ["g"]),
        helper.make_node("GlobalAveragePool", ["g"], ["h"], name="net/pool:0"),
        helper.make_node("Flatten", ["h"], ["i"], name="/Flatten"),
        helper.make_node("MatMul", ["i", "onnx::MatMul_7"], ["y"], name="/fc/MatMul"),
    ]
    read = verify(graph(nodes, MAP, constants), MAP)
    assert [layer.name for layer in read.layers] == [
        "x", "channels_last", "layer1.0.conv1", "layer1.0.relu", "layer1.0.conv2", "layer1.0.add",
        "layer1.0.relu_1", "layer1.0.conv2_2", "sigmoid", "net.pool.0", "flatten", "fc",
    ]  # fmt: skip


def test_names_of_torch_export():
    relu = helper.make_node("Relu", ["x"], ["y"], name="node_relu")
    for key, value in [
        ("name_scopes", ["", "stage", "stage.0", "stage.0.act", "relu_3"]),
        ("class_hierarchy", ["Net", "torch.nn.modules.container.Sequential", "Block",
                             "torch.nn.modules.activation.ReLU", "aten.relu.default"]),
    ]:  # fmt: skip
        relu.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=str(value))
    assert from_onnx(graph([relu], MAP, {}), images(MAP)).layers[-1].name == "stage.0.act"


@pytest.mark.parametrize(
    "shape, dims", [(VECTOR, None), (SIGNAL, (2, 1)), (MAP, (2, 3, 1)), (VOLUME, (2, 3, 4, 1))]
)
def test_the_first_layer_puts_channels_last(shape, dims):
    first = from_onnx(chain(shape, RELU), images(shape)).layers[1]
    if dims is None:
        assert isinstance(first, layers.Activation)
    else:
        assert isinstance(first, layers.Permute) and tuple(first.dims) == dims


def test_global_settings_of_keras_leave_no_trace():
    steps = [("Conv", [weights(5, 4, 3, 3)], PAD | {"strides": [2, 2]}), RELU]
    steps += [("MaxPool", [], EVEN), ("Flatten", []), ("Gemm", [weights(40, 3)])]
    model, policy = chain((4, 9, 16), *steps), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.set_image_data_format("channels_first")
    try:
        read = verify(model, (4, 9, 16))
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format("channels_last")
    assert {layer.compute_dtype for layer in read.layers[1:]} == {"float32"}
    assert {getattr(x, "data_format", "channels_last") for x in read.layers} == {"channels_last"}


def test_saved_and_loaded(tmp_path):
    steps = [("Sub", [weights(4, 1, 1)]), ("Conv", [weights(5, 4, 3, 3)]), ("PRelu", [weights(1)])]
    read = from_onnx(chain(MAP, *steps), images(MAP))
    read.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    x = images(MAP)
    np.testing.assert_array_equal(again.predict(x), read.predict(x))


@pytest.mark.parametrize("runtime", ["as it is", "without"])
def test_a_wrong_layer_is_found(runtime, monkeypatch):
    from fsrepro.frontends import _onnx_operators

    if runtime == "without":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = small()
    assert len(from_onnx(model, images(MAP)).layers) == 7
    monkeypatch.setitem(_onnx_operators._ACTIVATIONS, "Relu", "tanh")
    message = (
        r"by .* of its largest output; the first node that does, .*'/block/relu1/Relu \(Relu\)"
    )
    with pytest.raises(ValueError, match=message):
        from_onnx(model, images(MAP))


def test_outputs_that_are_not_finite():
    steps = [("Mul", [number(1e30)]), ("Mul", [number(1e30)])]
    with pytest.raises(ValueError, match="network gives NaN or infinite outputs for these images"):
        from_onnx(chain(MAP, *steps), images(MAP))


def test_a_node_that_is_nonsense():
    with pytest.raises(ValueError, match=r"node '/block/conv0/Conv \(Conv\)' cannot be read: "):
        from_onnx(chain(MAP, ("Conv", [weights(5, 4, 3)])), images(MAP))


def test_a_network_that_onnx_itself_cannot_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"does not run, .* with onnxruntime it may"):
        from_onnx(chain(MAP, *OPERATORS["zeros and cuts"][1]), images(MAP))
