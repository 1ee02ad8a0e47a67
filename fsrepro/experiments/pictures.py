"""ImageNet pictures on disk, in every standard layout.

:func:`find` takes the folder as it was downloaded;
:func:`~fsrepro.experiments.picture_stream.batches` reads the pictures. A class is its place among
the 1000 sorted wnids, the order of Keras and torchvision. Source of pictures and classes:
Russakovsky et al. 2015, ILSVRC2012.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..files import Refused, file_sha256, reading

__all__ = [
    "Pictures", "find", "from_flat", "from_folders", "from_table", "imagenet_classes", "shipped",
]  # fmt: skip

_LONGEST_HEADING = 10_000
SUFFIXES = (".jpeg", ".jpg", ".png")  # in any case
FLAT_FOLDERS = ("", "val", "ILSVRC/Data/CLS-LOC/val")  # the last is Kaggle's
_SHIPPED = {
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
    "skimage/data": ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png",
                     "rocket.jpg"),
}  # fmt: skip
LABEL_FILES = (
    "LOC_val_solution.csv",
    "val.txt",
    "ILSVRC2012_validation_ground_truth.txt",
    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Picture files and labels that belong together.

    Parameters
    ----------
    folder : Path
        What file names are relative to in the checksum.
    files : tuple of N Path
    labels : (N,) int64
        From 0; -1 where unknown.
    classes : tuple of str
        The name of each label; ImageNet has two cranes.
    """

    folder: Path
    files: tuple[Path, ...]
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self):
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.files),):
            raise ValueError(
                f"{len(self.files)} pictures need as many labels in int64, got "
                f"{self.labels.dtype} of shape {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index) -> Pictures:
        """The pictures and labels at ``index`` (a slice or an index array)."""
        positions = np.arange(len(self))[index]
        files = tuple(self.files[i] for i in positions)
        return Pictures(self.folder, files, self.labels[positions], self.classes)

    @property
    def checksum(self) -> str:
        """SHA-256 of all file names (relative, in order), sizes in bytes, and labels.

        Not of what is in the files: the 50,000 validation pictures are 6 GB. A picture changed
        without a change of its size goes unnoticed.
        """
        digest = hashlib.sha256()
        for file, name, label in zip(self.files, self._names, self.labels, strict=True):
            digest.update(f"{name}\0{file.stat().st_size}\0{label}\n".encode())
        return digest.hexdigest()

    @property
    def listed(self) -> pd.DataFrame:
        """A row for each picture: ``file`` in the folder, ``label``, ``bytes``, ``sha256``.

        So that others can tell whether they have the same ones. Reads them all.
        """
        return pd.DataFrame(
            {
                "file": self._names,
                "label": self.labels,
                "bytes": [file.stat().st_size for file in self.files],
                "sha256": [file_sha256(file) for file in tqdm(self.files, desc="checksums")],
            }
        )

    @property
    def _names(self) -> list[str]:
        """Of the files, as the folder has them."""
        return [Path(os.path.relpath(file, self.folder)).as_posix() for file in self.files]


def imagenet_classes() -> pd.DataFrame:
    """The 1000 classes of ILSVRC2012 by label: ``wnid``, sorted, and ``name``.

    A wnid is a WordNet 3.0 noun, a name the first two lemmas of its synset. Two classes are named
    "crane": bird and machine.
    """
    return pd.read_csv(Path(__file__).with_name("imagenet_classes.csv"))


# --- the layouts -------------------------------------------------------------------------------


def find(path: str | os.PathLike) -> Pictures:
    """The labelled pictures in a folder (or of a table), whatever the layout.

    Tried in this order: ``labels.csv`` (:func:`from_table`), class folders
    (:func:`from_folders`), and a flat folder with an official label file in it or beside it
    (:func:`from_flat`). Raises what these functions do, and ``FileNotFoundError`` where none of
    them is there, saying what was looked for.
    """
    path = Path(path)
    for table in (path, path / "labels.csv"):
        if table.is_file() and table.suffix.lower() == ".csv":
            return from_table(table)
    if any(folder.name in _wnids() for folder in _subfolders(_class_root(path))):
        return from_folders(path)
    flat = [path / name for name in FLAT_FOLDERS if _pictures_in(path / name)]
    for place in (*flat[:1], path, path.parent):
        for labels in (place / name for name in LABEL_FILES):
            if flat and labels.is_file():
                return from_flat(flat[0], labels)
    found = f"pictures in {flat[0]}, but no labels" if flat else "no pictures"
    looked = "\n".join(f"  {name}" for name in LABEL_FILES)
    raise FileNotFoundError(
        f"No ImageNet layout fits {path}: found {found}. Looked for labels.csv, for class folders "
        f"(val/n01440764/*.JPEG), and, in {path} and beside it, for the label files\n{looked}"
    )


def from_folders(folder: str | os.PathLike) -> Pictures:
    """One folder per class, named by its wnid, in ``folder`` or in its subfolder ``val``.

    Classes may be missing. The pictures are in order of file name, not of class, so that the
    validation set has the same order in every layout. Raises ``ValueError`` for a folder of
    pictures that is no wnid of the 1000 classes, ``FileNotFoundError`` if there are no pictures.
    """
    root = _class_root(Path(folder))
    label = _wnids()
    found = []
    for place in _subfolders(root):
        files = _pictures_in(place)
        if files and place.name not in label:
            raise ValueError(
                f"folder {place.name!r} in {root} is not one of the 1000 wnids of ILSVRC2012; "
                "class folders are named like 'n01440764'"
            )
        found += [(file.name, file, label[place.name]) for file in files]
    if not found:
        raise FileNotFoundError(f"no pictures ({', '.join(SUFFIXES)}) in class folders of {root}")
    _, files, labels = zip(*sorted(found), strict=True)
    return _pictures(root, files, labels)


def from_flat(folder: str | os.PathLike, labels: str | os.PathLike) -> Pictures:
    """All pictures in one folder, in order of file name, with an official label file.

    ``labels`` is one of

    - ``ILSVRC2012_validation_ground_truth.txt`` of the devkit, one ILSVRC2012_ID per line in order
      of file name. These ids are not in the order of wnids: ``meta.mat`` beside it tells them.
    - ``LOC_val_solution.csv`` of Kaggle: ``ImageId,PredictionString``, the latter beginning with
      the wnid.
    - ``val.txt`` of Caffe: file name and class per line.

    Raises ``FileNotFoundError`` if there are no pictures, no label file or no ``meta.mat``, and
    ``ValueError`` if not every picture has just one label, or if a label is of no class.
    """
    folder, path = Path(folder), Path(labels)
    files = _pictures_in(folder)
    if not files:
        raise FileNotFoundError(f"no pictures ({', '.join(SUFFIXES)}) in {folder}")
    with reading(path, "a label file"):
        lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip()]
    is_csv = path.suffix.lower() == ".csv"
    if is_csv:  # "ILSVRC2012_val_00048981,n03995372 85 1 499 272": the wnid and a box
        rows = [row[0].split(",") for row in rows[1:]]
    if len(rows) != len(files):
        raise ValueError(f"{path} has {len(rows)} labels, but {folder} has {len(files)} pictures")
    widths = {len(row) for row in rows}
    if widths == {1} and not is_csv:
        known = _devkit_ids(path.with_name("meta.mat"))
        rows = [[file.name, *row] for file, row in zip(files, rows, strict=True)]
    elif widths == {2}:
        known = _wnids() | _indices()
    else:
        raise ValueError(
            f"{path} is not a label file: expected one id, or a file name and a class, per line"
        )
    strange = [" ".join(row) for row in rows if row[1] not in known]
    if strange:
        raise ValueError(
            f"{len(strange)} labels of {path} are of no class of ILSVRC2012: {_some(strange)}"
        )
    label = {Path(name).stem: known[text] for name, text in rows}
    alone = sorted({file.stem for file in files} ^ label.keys())
    if alone:
        raise ValueError(f"{_some(alone)}: only {path} or only {folder} has them ({len(alone)})")
    return _pictures(folder, files, [label[file.stem] for file in files])


def from_table(csv: str | os.PathLike, *, folder: str | None = None) -> Pictures:
    """The pictures that a CSV file lists, in its order.

    Parameters
    ----------
    csv : str or os.PathLike
        With the columns ``file``, or ``folder`` and ``filename``, relative to the CSV file;
        ``class`` or ``class_index`` (0..999), or ``wnid``, or both. Others are ignored.
    folder : str
        Keep only the rows of this folder, written as in the table.

    Raises
    ------
    ValueError
        For missing columns, no rows, a class that does not exist, or one that is not its wnid's.
    FileNotFoundError
        For missing pictures.
    """
    path = Path(csv)
    with reading(path, "a table of pictures"):
        with path.open(encoding="utf-8") as file:
            if len(file.readline(_LONGEST_HEADING)) == _LONGEST_HEADING:
                raise Refused("has a first line without an end")
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if {"folder", "filename"} <= {*table}:
        table["file"] = table["folder"] + "/" + table["filename"]
    column = next((name for name in ("class", "class_index", "wnid") if name in table), None)
    if column is None or "file" not in table:
        raise ValueError(
            f"{path} needs the columns file (or folder and filename) and class (or class_index, "
            f"or wnid); it has {', '.join(table)}"
        )
    if folder is not None:
        table = table[[Path(file).parent == Path(folder) for file in table["file"]]]
    if table.empty:
        raise ValueError(f"{path} lists no pictures" + (f" of folder {folder!r}" if folder else ""))

    known = _wnids() if column == "wnid" else _indices()
    strange = [text for text in table[column] if text not in known]
    if strange:
        raise ValueError(
            f"{len(strange)} rows of {path} have a {column} that is not one of the 1000 (0..999, "
            f"or their wnids): {_some(strange)}"
        )
    labels = [known[text] for text in table[column]]
    if "wnid" in table:
        differ = table["file"][table["wnid"].map(_wnids()).to_numpy() != np.array(labels)]
        if not differ.empty:
            raise ValueError(
                f"{len(differ)} rows of {path} have a {column} that is not the place of their wnid "
                f"among the sorted wnids: {_some(differ)}"
            )
    files = tuple(path.parent / file for file in table["file"])
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(files)} pictures of {path} are missing: {_some(missing)}"
        )
    return _pictures(path.parent, files, labels)


def shipped() -> Pictures:
    """What scikit-learn and scikit-image ship, for demonstrations, without labels: all are -1.

    Where scikit-image is not installed, there are two pictures.
    """
    found = []
    for package, names in _SHIPPED.items():
        spec = find_spec(package.partition("/")[0])
        if spec is not None and spec.origin is not None:
            found += [Path(spec.origin).parents[1] / package / name for name in names]
    files = [file for file in found if file.is_file()]
    return _pictures(files[0].parents[3], files, [-1] * len(files))


def _pictures(folder, files, labels) -> Pictures:
    names = tuple(imagenet_classes()["name"])
    return Pictures(folder, tuple(files), np.array(labels, np.int64), names)


@cache
def _wnids() -> dict[str, int]:
    """wnid -> label."""
    return {wnid: label for label, wnid in enumerate(imagenet_classes()["wnid"])}


def _indices() -> dict[str, int]:
    """A label as text -> label."""
    return {str(label): label for label in range(len(_wnids()))}


def _class_root(folder: Path) -> Path:
    return folder / "val" if (folder / "val").is_dir() else folder


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[!.]*") if p.is_dir())


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    # Hidden files are none: macOS puts a "._name.JPEG" beside each picture it copies.
    return tuple(sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in SUFFIXES))


def _some(values: Sequence) -> str:
    return ", ".join(map(str, list(values)[:3])) + (", ..." if len(values) > 3 else "")


def _devkit_ids(path: Path) -> dict[str, int]:
    """ILSVRC2012_ID, as text -> label, from the devkit's ``meta.mat``."""
    from scipy.io import loadmat

    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing. The devkit's ground truth numbers the classes in an order of its "
            "own, which only the devkit's meta.mat tells; put it beside the label file."
        )
    with reading(path, "the devkit's meta.mat", "take it from the devkit again"):
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        ids = list(zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True))
    # Ids above 1000 are inner nodes of the hierarchy, and no classes.
    return {str(int(number)): _wnids()[wnid] for number, wnid in ids if wnid in _wnids()}
