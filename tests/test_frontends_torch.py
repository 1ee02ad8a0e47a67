"""PyTorch modules become Keras models that answer as PyTorch itself does."""

import copy
import sys

import keras
import numpy as np
import pytest

from fsrepro.conversion import UnsupportedLayerError
from fsrepro.frontends.torch_module import from_torch

sys.modules.setdefault("triton", None)  # torchvision imports it: after TensorFlow a crash
torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@pytest.fixture(autouse=True)
def weights_by_chance():
    torch.manual_seed(0)


def randomise(module):
    """Batch norms as after training, so that none of them can be left out unnoticed."""
    for layer in module.modules():
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.running_mean, 0, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
    return module


def answers(module, x):
    """With channels last."""
    with torch.no_grad():
        found = copy.deepcopy(module).eval()(torch.from_numpy(x)).numpy()
    return np.moveaxis(found, 1, -1) if found.ndim > 2 else found


def verify(module, *shape, count=2):
    """The Keras model of ``module``, which answers the same."""
    x = np.random.default_rng(0).normal(0, 1, (count, *shape)).astype(np.float32)
    expected = answers(randomise(module), x)
    read = from_torch(module, x)
    assert read.input_shape == (None, *shape)
    found = keras.ops.convert_to_numpy(read(x))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(expected).max() > 0
    return read


def kinds(model):
    return {type(layer).__name__ for layer in model.layers[2:]}


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1", "densenet121",
        "shufflenet_v2_x0_5", "googlenet",
    ],
)  # fmt: skip
def test_torchvision(name):
    models = pytest.importorskip("torchvision").models
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    read = verify(getattr(models, name)(weights=None, **options), 3, 64, 64)
    assert read.output_shape == (None, 1000)


def test_vgg():
    models = pytest.importorskip("torchvision").models
    # Its pooling to 7x7 does nothing at this size; of images that are no multiple it is refused.
    verify(models.vgg16_bn(weights=None, init_weights=False), 3, 224, 224)


def test_resnet_and_its_names():
    models = pytest.importorskip("torchvision").models
    names = [layer.name for layer in verify(models.resnet18(weights=None), 3, 64, 64).layers]
    assert names[:9] == [
        "x", "channels_last", "conv1.padding", "conv1", "relu", "maxpool.padding", "maxpool",
        "layer1.0.conv1", "layer1.0.relu",
    ]  # fmt: skip
    assert {"layer1.0.add", "layer2.0.downsample.0", "avgpool", "fc"} <= set(names)
    assert not any(set("/:") & set(name) for name in names)


class UNet(nn.Module):
    def __init__(self, transposed):
        super().__init__()
        self.down1, self.down2 = self.block(3, 8), self.block(8, 16)
        self.bottom = self.block(16, 16)
        if transposed:
            self.up2 = nn.ConvTranspose2d(16, 16, 2, stride=2)
            self.up1 = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
        else:
            self.up2, self.up1 = nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)
        self.join2, self.join1 = self.block(32, 16), self.block(16 if transposed else 24, 8)
        self.last = nn.Conv2d(8, 4, 1)

    def block(self, inputs, outputs):
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))

    def forward(self, x):
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        x = self.bottom(F.max_pool2d(two, 2))
        x = self.join2(torch.cat([self.up2(x), two], 1))
        return self.last(self.join1(torch.cat([self.up1(x), one], 1)))


@pytest.mark.parametrize("transposed", [True, False])
def test_unet(transposed):
    assert verify(UNet(transposed), 3, 16, 24).output_shape == (None, 16, 24, 4)


def test_signals():
    module = nn.Sequential(
        nn.Conv1d(2, 8, 5, stride=2, padding=2), nn.BatchNorm1d(8), nn.ELU(),
        nn.MaxPool1d(2), nn.Conv1d(8, 8, 3, groups=8), nn.PReLU(8), nn.AvgPool1d(2),
        nn.Flatten(), nn.Linear(48, 5), nn.LogSoftmax(1),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(0, 1, (3, 2, 60)).astype(np.float32)
    read = from_torch(randomise(module), x)
    expected = answers(module[:-1], x)
    np.testing.assert_allclose(read.predict_on_batch(x), expected, rtol=1e-3, atol=1e-5)


def test_volumes():
    module = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(4, 6, 3), nn.SiLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    verify(module, 1, 8, 10, 8)


def test_vectors():
    module = nn.Sequential(
        nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(20, 20, bias=False), nn.Tanh(), nn.Linear(20, 4), nn.Softmax(1),
    )  # fmt: skip
    read = verify(module, 12)
    assert kinds(read) == {"Dense", "Activation", "Softmax"}  # batch norm is in the weights


class Block(nn.Module):
    """Of a ResNet for CIFAR, with the shortcut that He et al. (2016) call option A."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.zeros = (outputs - inputs) // 2

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.zeros:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))
        return F.relu(x + y)


def test_resnet_with_option_a():
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), Block(8, 8, 1),
        Block(8, 16, 2), Block(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    read = verify(module, 3, 32, 32)
    assert {"AveragePooling2D", "ZeroPadding2D", "Add"} <= kinds(read)


# --- functions ----------------------------------------------------------------------------------


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FUNCTIONS = {
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardswish of old": lambda x: x * F.relu6(x + 3) / 6,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "selu": F.selu,
    "glu": lambda x: F.glu(x, 1),
    "relu": lambda x: torch.max(x, torch.zeros_like(x)),
    "normalised": lambda x: (x - 0.45) / torch.tensor([0.2, 0.3, 0.4, 0.5]).view(1, 4, 1, 1),
    "gate": lambda x: x * torch.sigmoid(x.mean((2, 3)))[:, :, None, None],
    "gate, expanded": lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)).expand_as(x),
    "reversed chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "zeros joined": lambda x: torch.cat([x, torch.zeros_like(x)], 1),
    "crop": lambda x: x[:, 1:3, 1:-1, 2:],
    "one channel": lambda x: x[:, 0],
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "divided pooling": lambda x: F.adaptive_avg_pool2d(x, 4),
    "padded average": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "pooled to one": lambda x: F.adaptive_max_pool2d(x, 1),
    "squeeze": lambda x: x.mean((2, 3), keepdim=True).squeeze(),
    "view": lambda x: x.view(x.size(0), -1),
    "tokens": lambda x: x.flatten(2).transpose(1, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    verify(Function(FUNCTIONS[name]), 4, 8, 8)


# --- what may go wrong --------------------------------------------------------------------------


def test_the_module_stays_as_it_is(capfd):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    module = module.to(torch.float64).train()
    before = copy.deepcopy(module.state_dict())
    from_torch(module, np.random.default_rng(0).normal(0, 1, (1, 3, 8, 8)))
    assert all(layer.training for layer in module.modules())
    assert {x.dtype for x in module.parameters()} == {torch.float64}
    after = module.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert capfd.readouterr() == ("", "")


def test_images_may_be_tensors():
    x = torch.randn(2, 3, requires_grad=True)
    assert from_torch(nn.Linear(3, 4), x).output_shape == (None, 4)


def test_what_cannot_be_exported():
    def branch(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match=r"^PyTorch cannot export Function: .+$"):
        from_torch(Function(branch), np.ones((2, 3), np.float32))


def test_images_that_the_module_does_not_take():
    with pytest.raises(ValueError, match=r"^PyTorch cannot export Linear: .+$"):
        from_torch(nn.Linear(3, 4), np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match="at least one"):
        from_torch(nn.Linear(3, 4), np.ones((0, 3), np.float32))


def test_several_outputs():
    with pytest.raises(ValueError, match=r"must have one output, it has .*; pick one"):
        from_torch(Function(lambda x: (x + 1, x * 2)), np.ones((2, 3), np.float32))


def test_refusals_name_the_node():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    with pytest.raises(UnsupportedLayerError, match=r"node '.+ \(.+\)' has no form in Keras"):
        from_torch(module, np.ones((2, 3, 8, 8), np.float32))


@pytest.mark.parametrize("name", ["onnx", "onnxscript"])
def test_without_the_exporter(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"need {name}: pip install fsrepro\[torch\]"):
        from_torch(nn.Linear(3, 4), np.ones((2, 3), np.float32))
