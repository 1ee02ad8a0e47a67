"""Labelled images, the first link of the chain: data -> network -> code -> spiking network.

Every data set comes as one :class:`Dataset` with the same three parts: *train*, *calibration*
(held out from training; every choice of a scale or a code is made on it) and *test* (only ever
measured). The split depends on the seed alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..archive import checksum, read_arrays
from ..files import atomic
from .download import fetched

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Dataset", "Part", "cifar10", "digits", "load"]

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CIFAR10_ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
CIFAR10_FILES = {  # name -> MD5, as published by the authors of the data set
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
"""What many networks trained elsewhere expect, as in ``replace(data, mean=IMAGENET_MEAN, ...)``."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images, (N, H, W, C) uint8, and their labels from 0, (N,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (N, H, W, C), got {self.images.dtype} of shape "
                f"{self.images.shape}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"{len(self.images)} images need as many labels, got shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> Part:
        """The images and labels at ``index`` (a slice or an index array)."""
        return Part(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its fixed split and its normalisation.

    Parameters
    ----------
    name, checksum : str
        The latter is the SHA-256 of all images and labels, for provenance.
    train, calibration, test : Part
    classes : tuple of str
    mean, std : (C,) float
        Per channel, in units of the 0..255 scale divided by 255, measured on the training part.
    seed : int
    """

    name: str
    train: Part
    calibration: Part
    test: Part
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    seed: int
    checksum: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.train.images.shape[1:]

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """(x / 255 - mean) / std as float32: what the networks take. Shape unchanged."""
        scale = (1 / (255 * self.std)).astype(np.float32)
        return images * scale - (self.mean / self.std).astype(np.float32)

    def arrays(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Normalised images and labels of ``"train"``, ``"calibration"`` or ``"test"``."""
        chosen = getattr(self, part)
        return self.normalise(chosen.images), chosen.labels

    def summary(self) -> dict[str, object]:
        """What a result file records about its data."""
        return {
            "dataset": self.name,
            "data_sha256": self.checksum,
            "split_seed": self.seed,
            "train_images": len(self.train),
            "calibration_images": len(self.calibration),
            "test_images": len(self.test),
        }


def load(name: str, **options) -> Dataset:
    """``digits``, ``cifar10`` or an ``.npz`` file, as a notebook's parameter names it."""
    loaders = {"digits": digits, "cifar10": cifar10}
    if name.endswith(".npz"):
        return from_file(name, **options)
    if name not in loaders:
        raise ValueError(
            f"unknown data set {name!r}; choose one of {', '.join(loaders)}, or name an .npz file "
            "with arrays images and labels"
        )
    return loaders[name](**options)


def from_file(path: str | Path, *, seed: int = 0) -> Dataset:
    """A data set of one's own: an ``.npz`` file with ``images`` and ``labels``.

    Of the images, (N, H, W, C) uint8, a fifth is for tests and a tenth for calibration, chosen by
    ``seed`` and stratified by class; the labels, (N,), are classes from 0. Raises ``ValueError``
    for other arrays, what :func:`~fsrepro.archive.read_arrays` does, and for classes of fewer than
    ten images.
    """
    arrays = read_arrays(path)
    if not isinstance(arrays, dict) or not {"images", "labels"} <= arrays.keys():
        raise ValueError(f"{path} must hold the arrays images and labels")
    labels = arrays["labels"]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0 or labels.min() < 0:
        raise ValueError(f"{path}: labels must be whole numbers from 0, (N,)")
    everything = Part(arrays["images"], labels.astype(np.int64))
    counts = np.bincount(everything.labels)
    if counts.min() < 10:
        raise ValueError(
            f"{path}: class {counts.argmin()} has {counts.min()} images, and needs at least 10"
        )
    n = len(labels)
    split = _stratified(everything.labels, (n // 10, n // 5), seed)
    classes = tuple(map(str, range(len(counts))))
    return _dataset(Path(path).stem, everything, split, classes, seed)


def digits(*, seed: int = 0) -> Dataset:
    """1,797 handwritten digits, 8x8 grey, shipped with scikit-learn; needs no download.

    Split: 1,097 train, 200 calibration, 500 test, stratified by class. Source: Alpaydin & Kaynak
    1998, UCI repository; via ``sklearn.datasets.load_digits``.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # (N, 8, 8, 1)
    labels = bunch.target.astype(np.int64)
    split = _stratified(labels, (200, 500), seed)
    return _dataset("digits", Part(images, labels), split, tuple("0123456789"), seed)


def cifar10(
    *, folder: str | os.PathLike | None = None, seed: int = 0, download: bool = True
) -> Dataset:
    """60,000 colour pictures of 32x32 in ten classes (Krizhevsky 2009).

    The official test set is the test part; 5,000 of the 50,000 training pictures, chosen by
    ``seed`` and stratified by class, are the calibration part.

    Parameters
    ----------
    folder : str or os.PathLike
        Holds ``cifar-10-batches-py``. Without it, the environment variable ``FSREPRO_DATA`` and
        then ``~/.keras/datasets`` are tried.
    seed : int
    download : bool
        Whether what is not there is downloaded, once (170 MB).

    Raises
    ------
    FileNotFoundError
        Where the data is missing, saying where it was looked for and how to get it.
    ValueError
        For a file whose MD5 is not the published one.
    """
    from sklearn.model_selection import train_test_split

    root = _find_cifar10(folder, download)
    batches = (_read_cifar10_batch(root / name) for name in CIFAR10_FILES)
    images, labels = map(np.concatenate, zip(*batches, strict=True))
    train, calibration = train_test_split(
        np.arange(50_000), test_size=5_000, stratify=labels[:50_000], random_state=seed
    )
    split = np.sort(train), np.sort(calibration), slice(50_000, None)
    return _dataset("cifar10", Part(images, labels), split, CIFAR10_CLASSES, seed)


def _stratified(labels: np.ndarray, sizes: tuple[int, int], seed: int):
    """Indices of train, calibration and test; ``sizes`` are those of the latter."""
    from sklearn.model_selection import train_test_split

    calibration_size, test_size = sizes
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=seed
    )
    train, calibration = train_test_split(
        rest, test_size=calibration_size, stratify=labels[rest], random_state=seed
    )
    return train, calibration, test


def _dataset(name, everything: Part, split, classes, seed) -> Dataset:
    train, calibration, test = parts = [everything[index] for index in split]
    sha256 = checksum(*(array for part in parts for array in (part.images, part.labels)))
    # Sums of integers are exact, so mean and std are the same on every machine.
    counts = np.stack(
        [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(train.images, 3, 0)]
    )  # (C, 256)
    level = np.arange(256)
    mean = counts @ level / counts.sum(1) / 255
    std = np.sqrt(counts @ level**2 / counts.sum(1) / 255**2 - mean**2)
    return Dataset(name, train, calibration, test, classes, mean, std, seed, sha256)


# --- CIFAR-10: finding, downloading, reading ---------------------------------------------------


def _find_cifar10(folder, download) -> Path:
    places = [Path.home() / ".keras" / "datasets" if folder is None else Path(folder)]
    if folder is None and os.environ.get("FSREPRO_DATA"):
        places.insert(0, Path(os.environ["FSREPRO_DATA"]))
    for place in places:
        for root in (place / "cifar-10-batches-py", place):
            if all((root / name).is_file() for name in CIFAR10_FILES):
                return root
    if download:
        return _download_cifar10(places[0])
    looked = "\n".join(f"  {place / 'cifar-10-batches-py'}" for place in places)
    raise FileNotFoundError(
        f"CIFAR-10 was not found. Looked in\n{looked}\nEither pass download=True, or fetch "
        f"{CIFAR10_URL}, unpack it, and set FSREPRO_DATA to the folder that holds "
        "cifar-10-batches-py."
    )


def _download_cifar10(place: Path) -> Path:
    archive = fetched(CIFAR10_URL, place, f"md5:{CIFAR10_ARCHIVE_MD5}")
    root = archive.with_name("cifar-10-batches-py")
    root.mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in CIFAR10_FILES:  # only the files we name, never whole paths of the archive
            content = tar.extractfile(f"{root.name}/{name}")
            assert content is not None, f"{name} is a file in the published archive"
            with atomic(root / name) as partial:
                partial.write_bytes(content.read())
    return root


class _ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays of plain numbers and nothing else: all that CIFAR-10 batches hold."""

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"refused to load {module}.{name}: not part of CIFAR-10")


def _read_cifar10_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    data, md5 = path.read_bytes(), CIFAR10_FILES[path.name]
    found = hashlib.md5(data).hexdigest()
    if found != md5:
        raise ValueError(
            f"{path} is not the published file: its MD5 is {found}, expected {md5}. Delete it and "
            "download it again."
        )
    batch = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # NCHW -> NHWC
    return np.ascontiguousarray(images), np.array(batch[b"labels"], np.int64)
