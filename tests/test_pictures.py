"""Pictures on disk: every layout gives the same labels, and no picture is lost in silence."""

import hashlib
import io
import threading
import time
from functools import cache

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat

from fsrepro.experiments import picture_stream, pictures
from fsrepro.experiments.preprocessing import Preprocessing

WNIDS = pictures.imagenet_classes()["wnid"].tolist()
LABELS = [65, 970, 0, 999, 65]  # of the five pictures below, in order of file name
NAMES = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, 6)]


def save(path, *, seed=0, size=(40, 30), mode="RGB", **options):
    """A picture of noise, so that no two seeds agree. ``size``: width, height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], channels), np.uint8)
    Image.frombytes(mode, size, noise.tobytes()).save(path, **options)
    return path


@pytest.fixture
def flat(tmp_path):
    for seed, name in enumerate(NAMES):
        save(tmp_path / "val" / name, seed=seed)
    return tmp_path / "val"


def table(folder, files, **columns):
    path = folder / "labels.csv"
    pd.DataFrame({"file": files, **columns}).to_csv(path, index=False)
    return path


def plain(picture):
    return np.asarray(picture)


def streamed(found, batch_size=2, preprocess=plain, **options):
    return list(picture_stream.batches(found, preprocess, batch_size, **options))


def alone(path):
    """The only picture of a data set, as its batch."""
    (batch,) = streamed(pictures.from_table(table(path.parent, [path.name], **{"class": [0]})))
    return batch


# --- classes -----------------------------------------------------------------------------------


def test_classes_are_the_thousand_in_the_order_of_keras():
    classes = pictures.imagenet_classes()
    assert len(classes) == classes["wnid"].nunique() == 1000
    assert classes["wnid"].is_monotonic_increasing
    assert classes["wnid"].str.fullmatch(r"n\d{8}").all()
    named = dict(classes["name"])
    # As keras.applications decodes them.
    assert named[0].startswith("tench")
    assert named[65] == "sea snake"
    assert named[285].startswith("Egyptian cat")
    assert named[999].startswith("toilet tissue")


# --- layouts -----------------------------------------------------------------------------------


DEVKIT_ORDER = np.random.default_rng(0).permutation(1000).tolist()  # id - 1 -> label


@cache
def meta_mat() -> bytes:
    """The devkit's struct array: the classes in an order of their own, then inner nodes."""
    synsets = [(n + 1, WNIDS[label]) for n, label in enumerate(DEVKIT_ORDER)]
    synsets += [(n, f"n9{n:07d}") for n in range(1001, 1861)]
    rows = [(float(i), wnid, "words", "a gloss", 0.0, np.zeros(0)) for i, wnid in synsets]
    names = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children")
    file = io.BytesIO()
    savemat(file, {"synsets": np.array(rows, [(name, object) for name in names])[:, None]})
    return file.getvalue()


def devkit(folder, ids=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.mat").write_bytes(meta_mat())
    ids = [DEVKIT_ORDER.index(label) + 1 for label in LABELS] if ids is None else ids
    path = folder / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("".join(f"{n}\n" for n in ids))
    return path


def kaggle(folder, labels=LABELS, names=NAMES):
    boxes = [f"{WNIDS[c]} 85 1 499 272 {WNIDS[c]} 1 1 9 9 " for c in labels]
    rows = [f"{name[:-5]},{box}\n" for name, box in zip(names, boxes, strict=True)]
    path = folder / "LOC_val_solution.csv"
    # Kaggle's rows are in no order.
    path.write_text("".join(["ImageId,PredictionString\n", *rows[::-1]]))
    return path


def caffe(folder, labels=LABELS, names=NAMES):
    path = folder / "val.txt"
    path.write_text("".join(f"{n} {c}\n" for n, c in zip(names, labels, strict=True)))
    return path


def class_folders(flat):
    for name, label in zip(NAMES, LABELS, strict=True):
        (flat / WNIDS[label]).mkdir(exist_ok=True)
        (flat / name).rename(flat / WNIDS[label] / name)


@pytest.mark.parametrize(
    "arrange",
    [
        class_folders,
        devkit,
        kaggle,
        caffe,
        lambda flat: devkit(flat.parent / "ILSVRC2012_devkit_t12" / "data"),
        lambda flat: caffe(flat.parent),
        lambda flat: table(flat.parent, [f"val/{n}" for n in NAMES], **{"class": LABELS}),
        lambda flat: table(
            flat.parent, [f"val/{n}" for n in NAMES], wnid=[WNIDS[c] for c in LABELS]
        ),
    ],
    ids=["folders", "devkit", "kaggle", "caffe", "devkit beside", "caffe beside", "class", "wnid"],
)
def test_every_layout_is_found_with_the_same_files_and_labels(flat, arrange):
    arrange(flat)
    found = pictures.find(flat.parent)
    assert [file.name for file in found.files] == NAMES
    assert all(file.is_file() for file in found.files)
    assert found.labels.tolist() == LABELS
    assert found.labels.dtype == np.int64
    assert found.classes[65] == "sea snake"


@pytest.mark.parametrize("arrange", [class_folders, devkit, kaggle, caffe])
def test_the_folder_of_the_pictures_itself_is_found_too(flat, arrange):
    arrange(flat)
    inside, above = pictures.find(flat), pictures.find(flat.parent)
    assert inside.files == above.files
    assert inside.checksum == above.checksum


def test_the_folders_of_kaggle_s_archive_are_found(flat):
    deep = flat.parent / "ILSVRC" / "Data" / "CLS-LOC"
    deep.mkdir(parents=True)
    flat.rename(deep / "val")
    kaggle(flat.parent)
    assert pictures.find(flat.parent).labels.tolist() == LABELS


def test_suffixes_in_any_case_and_nothing_else(tmp_path):
    for name in ("a.JPEG", "b.jpg", "c.PNG", "d.Jpeg"):
        save(tmp_path / WNIDS[7] / name)
    (tmp_path / WNIDS[7] / "._a.JPEG").write_bytes(b"what macOS leaves")
    (tmp_path / WNIDS[7] / "notes.txt").write_text("")
    found = pictures.from_folders(tmp_path)
    assert [file.name for file in found.files] == ["a.JPEG", "b.jpg", "c.PNG", "d.Jpeg"]
    assert found.labels.tolist() == [7] * 4


def test_nothing_that_fits_says_what_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        pictures.find(tmp_path)
    for part in (str(tmp_path), "no pictures", "labels.csv", "n01440764", "LOC_val_solution.csv"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", ["absent", "file.txt"])
def test_what_is_no_folder_has_no_pictures(tmp_path, name):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="no pictures"):
        pictures.find(tmp_path / name)


def test_pictures_without_labels_are_refused(flat):
    with pytest.raises(FileNotFoundError, match=r"found pictures in .*val, but no labels"):
        pictures.find(flat.parent)


def test_empty_folders_are_refused(tmp_path):
    (tmp_path / WNIDS[0]).mkdir()
    with pytest.raises(FileNotFoundError, match=r"no pictures .* in class folders"):
        pictures.from_folders(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no pictures \(.jpeg, .jpg, .png\) in"):
        pictures.from_flat(tmp_path, caffe(tmp_path))


@pytest.mark.parametrize("name", ["cats", "n00000001", "65"])
def test_class_folders_of_other_names_are_refused(tmp_path, name):
    save(tmp_path / WNIDS[0] / "a.JPEG")
    save(tmp_path / name / "b.JPEG")
    with pytest.raises(ValueError, match=f"folder '{name}' in .* is not one of the 1000 wnids"):
        pictures.find(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        lambda flat: devkit(flat, [1, 2, 3, 4]),
        lambda flat: kaggle(flat, LABELS[:4], NAMES[:4]),
        lambda flat: caffe(flat, LABELS[:4], NAMES[:4]),
    ],
    ids=["devkit", "kaggle", "caffe"],
)
def test_numbers_of_labels_and_pictures_must_match(flat, labels):
    with pytest.raises(ValueError, match=r"has 4 labels, but .*val has 5 pictures"):
        pictures.from_flat(flat, labels(flat))


@pytest.mark.parametrize("write", [kaggle, caffe])
def test_labels_of_other_pictures_are_refused(flat, write):
    names = [*NAMES[:4], "ILSVRC2012_val_00000006.JPEG"]
    message = r"val_00000005, ILSVRC2012_val_00000006: only .* \(2\)"
    with pytest.raises(ValueError, match=message):
        pictures.from_flat(flat, write(flat, LABELS, names))


@pytest.mark.parametrize(
    ("write", "strange"),
    [
        (lambda flat: devkit(flat, [1, 2, 3, 4, 1001]), f"{NAMES[4]} 1001"),
        (lambda flat: devkit(flat, [0, 2, 3, 4, 5]), f"{NAMES[0]} 0"),
        (lambda flat: caffe(flat, [1000, 1, 2, 3, 4]), f"{NAMES[0]} 1000"),
    ],
)
def test_labels_of_no_class_are_refused(flat, write, strange):
    with pytest.raises(ValueError, match=f"1 labels of .* are of no class .*: {strange}"):
        pictures.from_flat(flat, write(flat))


def test_devkit_without_its_order_of_classes(flat):
    path = devkit(flat)
    (flat / "meta.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"meta\.mat is missing.*put it beside"):
        pictures.from_flat(flat, path)


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b"", lambda b: b"no " + b])
def test_a_damaged_order_of_classes(flat, damage):
    path = devkit(flat)
    (flat / "meta.mat").write_bytes(damage(meta_mat()))
    with pytest.raises(ValueError, match=r"meta\.mat is not the devkit's meta\.mat, or is dam"):
        pictures.from_flat(flat, path)


def test_a_matlab_file_of_something_else(flat):
    path = devkit(flat)
    savemat(flat / "meta.mat", {"synsets": np.zeros(3)})
    with pytest.raises(ValueError, match=r"not the devkit's meta\.mat"):
        pictures.from_flat(flat, path)


def test_another_file_than_one_of_labels(flat):
    (flat / "val.txt").write_text("these are\nno labels\nat all you see\n\nbut\nwords\n")
    with pytest.raises(ValueError, match=r"val\.txt is not a label file"):
        pictures.from_flat(flat, flat / "val.txt")


def test_table_of_two_folders(tmp_path):
    rows = [("one", "b.png", 3), ("two", "b.png", 5), ("one", "a.png", 4)]
    for folder, name, _ in rows:
        save(tmp_path / folder / name)
    listed = pd.DataFrame(rows, columns=["folder", "filename", "class_index"])
    listed["wnid"] = [WNIDS[label] for label in listed["class_index"]]
    listed.to_csv(tmp_path / "some.csv", index=False)
    assert pictures.find(tmp_path / "some.csv").labels.tolist() == [3, 5, 4]
    one = pictures.from_table(tmp_path / "some.csv", folder="one")
    assert one.files == (tmp_path / "one" / "b.png", tmp_path / "one" / "a.png")  # its order
    assert one.labels.tolist() == [3, 4]
    with pytest.raises(ValueError, match="lists no pictures of folder 'three'"):
        pictures.from_table(tmp_path / "some.csv", folder="three")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"class": [0, 1000]}, r"1 rows of .* a class that is not one of the 1000 .*: 1000$"),
        ({"class": [-1, 0]}, ": -1$"),
        ({"class": [0.5, 0]}, ": 0.5, 0.0$"),
        ({"wnid": [WNIDS[1], "n00000001"]}, ": n00000001$"),
        ({"class": [2, 3], "wnid": [WNIDS[2], WNIDS[4]]}, "1 rows .* not the place .*: b.png$"),
        ({"class": [2, 3], "wnid": [WNIDS[2], "cat"]}, "1 rows .* not the place .*: b.png$"),
        ({"name": ["cat", "dog"]}, "needs the columns file .*; it has file, name"),
    ],
)
def test_tables_with_other_classes_are_refused(tmp_path, columns, message):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        pictures.find(table(tmp_path, ["a.png", "b.png"], **columns).parent)


def test_table_names_the_pictures_that_are_missing(tmp_path):
    files = [f"{n}.png" for n in range(6)]
    save(tmp_path / files[2])
    message = r"5 of 6 pictures of .* are missing: .*0\.png, .*1\.png, .*3\.png, \.\.\.$"
    with pytest.raises(FileNotFoundError, match=message):
        pictures.from_table(table(tmp_path, files, **{"class": range(6)}))


def test_empty_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"labels\.csv lists no pictures$"):
        pictures.from_table(table(tmp_path, [], **{"class": []}))


# --- the collection ----------------------------------------------------------------------------


def test_slices_and_index_arrays(flat):
    found = pictures.from_flat(flat, caffe(flat))
    assert len(found[1:3]) == 2
    for index in (slice(1, 4), np.array([4, 0, 2]), np.array(LABELS) == 65):
        part = found[index]
        assert part.labels.tolist() == np.array(LABELS)[index].tolist()
        assert [file.name for file in part.files] == np.array(NAMES)[index].tolist()
        assert part.classes == found.classes


def test_checksum_is_of_names_order_sizes_and_labels(flat, tmp_path):
    found = pictures.from_flat(flat, caffe(flat))
    first = found.checksum
    moved = flat.rename(tmp_path / "elsewhere")
    found = pictures.from_flat(moved, moved / "val.txt")
    assert found.checksum == first  # the place does not matter
    assert found[::-1].checksum != first
    assert pictures.from_flat(moved, caffe(moved, [64, *LABELS[1:]])).checksum != first
    with (moved / NAMES[0]).open("ab") as file:
        file.write(b"\0")
    assert found.checksum != first
    (moved / NAMES[0]).unlink()
    with pytest.raises(FileNotFoundError):
        _ = found.checksum


def test_the_list_of_files_tells_one_picture_from_another(flat):
    found = pictures.from_flat(flat, caffe(flat))[1:4]
    listed = found.listed
    assert list(listed["file"]) == NAMES[1:4] and list(listed["label"]) == LABELS[1:4]
    contents = [(flat / name).read_bytes() for name in NAMES[1:4]]
    assert list(listed["bytes"]) == [len(content) for content in contents]
    assert list(listed["sha256"]) == [hashlib.sha256(content).hexdigest() for content in contents]


def test_labels_must_be_as_many_as_pictures(tmp_path):
    with pytest.raises(ValueError, match=r"1 pictures need as many labels in int64, got int64"):
        pictures.Pictures(tmp_path, (tmp_path / "a.png",), np.zeros(2, np.int64), ("cat",))


# --- the stream --------------------------------------------------------------------------------


@pytest.fixture
def eleven(tmp_path):
    """Eleven pictures; the last two are broken."""
    files = [f"{n:02d}.png" for n in range(11)]
    for n, name in enumerate(files):
        save(tmp_path / name, seed=n, size=(8, 6))
    (tmp_path / files[9]).write_bytes((tmp_path / files[9]).read_bytes()[:90])
    (tmp_path / files[10]).write_text("not a picture")
    return pictures.from_table(table(tmp_path, files, **{"class": range(100, 111)}))


def expected(found, positions):
    return np.stack([np.asarray(Image.open(found.files[i])) for i in positions])


@pytest.mark.parametrize("workers", [1, 4, None])
@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
def test_same_pictures_in_order_for_any_workers_and_batch_size(eleven, workers, batch_size):
    def unevenly(picture):  # so that a later picture is often ready before an earlier one
        time.sleep(int(np.asarray(picture)[0, 0, 0]) / 255 * 0.01)
        return np.asarray(picture)

    got = streamed(eleven, batch_size, unevenly, workers=workers)
    assert len(got) == -(-11 // batch_size)
    assert np.concatenate([b.index for b in got]).tolist() == list(range(9))
    assert np.concatenate([b.labels for b in got]).tolist() == list(range(100, 109))
    images = np.concatenate([b.images for b in got if len(b.index)])
    assert np.array_equal(images, expected(eleven, range(9)))
    for number, batch in enumerate(got):
        assert len(batch.images) == len(batch.labels) == len(batch.index)
        assert len(batch.index) + len(batch.unreadable) == min(batch_size, 11 - number * batch_size)


def test_unreadable_pictures_are_reported_with_their_reason(eleven):
    last = streamed(eleven, 3)[-1]
    assert last.images.shape == (0, 256, 256, 3)  # the shape that preprocessing gives
    assert last.index.shape == last.labels.shape == (0,)
    (cut, why_cut), (text, why_text) = last.unreadable
    assert (cut, text) == eleven.files[9:]
    assert "truncated" in why_cut.lower()
    assert why_text.startswith("UnidentifiedImageError: cannot identify")


def test_no_images_have_the_shape_of_the_preprocessing(eleven):
    (batch,) = streamed(eleven[9:], 5, Preprocessing(size=7))
    assert batch.images.shape == (0, 7, 7, 3)
    assert batch.images.dtype == np.float32


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5, 0.95])
def test_cut_jpeg_is_not_half_a_picture(tmp_path, fraction):
    path = save(tmp_path / "a.JPEG", size=(200, 200))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    assert [file for file, _ in alone(path).unreadable] == [path]


def test_picture_that_is_gone_is_reported(eleven):
    eleven.files[0].unlink()
    assert streamed(eleven, 2)[0].unreadable[0][1].startswith("FileNotFoundError")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [100, 1100, 1199])
def test_too_large_pictures_are_reported(tmp_path, monkeypatch, limit):
    path = save(tmp_path / "a.png", size=(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    ((file, reason),) = alone(path).unreadable
    assert file == path
    assert "pixels" in reason


def test_largest_picture_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1200)
    assert alone(save(tmp_path / "a.png", size=(40, 30))).images.shape == (1, 30, 40, 3)


def test_errors_of_the_preprocessing_are_passed_on(eleven):
    def wrong(picture):
        raise OSError("a mistake, not a broken picture")

    with pytest.raises(OSError, match="a mistake") as error:
        streamed(eleven, preprocess=wrong)
    assert "00.png" in error.value.__notes__[0]


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (1, 3), (4, 1), (4, 2)])
def test_reading_ahead_is_bounded(tmp_path, batch_size, workers):
    for n in range(40):
        save(tmp_path / f"{n:02d}.png", size=(4, 4))
    files = [f"{n:02d}.png" for n in range(40)]
    found = pictures.from_table(table(tmp_path, files, **{"class": [0] * 40}))
    read = []

    def counted(picture):
        read.append(1)
        return np.asarray(picture)

    bound = max(batch_size, 2 * workers)
    consumed = furthest = 0
    for batch in picture_stream.batches(found, counted, batch_size, workers):
        consumed += len(batch.index)
        time.sleep(0.02)  # a slow consumer, while the threads go as far as they may
        furthest = max(furthest, len(read) - consumed)
        assert len(read) - consumed <= bound
    assert furthest > 0  # it does read ahead
    assert len(read) == 40


def test_threads_end_when_the_stream_is_closed_early(eleven):
    before = set(threading.enumerate())
    stream = picture_stream.batches(eleven, plain, 2, workers=3)
    next(stream)
    assert set(threading.enumerate()) > before
    stream.close()
    assert set(threading.enumerate()) == before


def test_threads_end_after_an_error(eleven):
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        streamed(eleven, preprocess=lambda picture: 1 / 0, workers=3)
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(("batch_size", "workers"), [(0, 1), (1, 0), (-1, None)])
def test_impossible_batches_are_refused_at_once(eleven, batch_size, workers):
    with pytest.raises(ValueError, match="batch_size and workers must be at least 1"):
        picture_stream.batches(eleven, plain, batch_size, workers)


def test_no_pictures_are_no_batches(eleven):
    assert streamed(eleven[:0]) == []


# --- other modes than RGB ----------------------------------------------------------------------


def test_grey_becomes_three_equal_channels(tmp_path):
    path = save(tmp_path / "a.png", mode="L")
    grey = np.asarray(Image.open(path))
    assert np.array_equal(alone(path).images[0], np.repeat(grey[..., None], 3, 2))


def test_cmyk_by_the_plain_formula(tmp_path):
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    cmyk.save(tmp_path / "a.JPEG", quality=100)
    assert Image.open(tmp_path / "a.JPEG").mode == "CMYK"
    assert np.abs(alone(tmp_path / "a.JPEG").images[0] - np.array([255.0, 0, 0])).max() <= 3


def test_palette_gives_its_colours(tmp_path):
    indexed = Image.new("P", (3, 1))
    indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    indexed.putdata([2, 0, 1])
    indexed.save(tmp_path / "a.png")
    assert alone(tmp_path / "a.png").images[0].tolist() == [
        [[70, 80, 90], [10, 20, 30], [40, 50, 60]]
    ]
    indexed.save(tmp_path / "b.png", transparency=0)
    assert alone(tmp_path / "b.png").images[0, 0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pictures_lie_on_white(tmp_path, mode):
    path = save(tmp_path / "a.png", mode=mode)
    rgba = np.asarray(Image.open(path).convert("RGBA"), float)
    alpha = rgba[..., 3:] / 255
    white = alpha * rgba[..., :3] + (1 - alpha) * 255
    assert np.abs(alone(path).images[0] - white).max() <= 1


def test_sixteen_bits_are_reported_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "a.png")
    ((_, reason),) = alone(tmp_path / "a.png").unreadable
    assert "more than 8 bits per channel" in reason


def test_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    path = save(tmp_path / "a.JPEG", size=(40, 30), exif=exif)
    assert Image.open(path).getexif()[0x0112] == 6
    assert alone(path).images.shape == (1, 30, 40, 3)


# --- preprocessing -----------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (257, 256), (20, 30)])
def test_preprocessing_crops_resizes_and_normalises(tmp_path, size, interpolation):
    picture = Image.open(save(tmp_path / "a.png", size=size))
    got = Preprocessing(
        size=64, crop=224 / 256, mean=127.0, scale=128.0, interpolation=interpolation
    )(picture)
    side = round(min(size) * 224 / 256)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    square = Image.fromarray(np.asarray(picture)[top : top + side, left : left + side])
    resampling = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}[interpolation]
    resized = np.asarray(square.resize((64, 64), resampling), np.float32)
    assert got.dtype == np.float32
    assert got.shape == (64, 64, 3)
    assert np.array_equal(got, (resized - 127) / 128)


def test_square_picture_of_the_right_size_is_unchanged(tmp_path):
    picture = Image.open(save(tmp_path / "a.png", size=(24, 24)))
    assert np.array_equal(Preprocessing(size=24)(picture), np.asarray(picture))


def test_blue_first_with_mean_and_scale_of_the_result(tmp_path):
    picture = Image.new("RGB", (5, 4), (10, 20, 30))
    got = Preprocessing(size=2, mean=(1.0, 2.0, 3.0), scale=(1.0, 2.0, 7.0), bgr=True)(picture)
    assert got[1, 0].tolist() == [29.0, 9.0, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a whole number of pixels from 1, got 0"),
        ({"size": 224.0}, "size must be a whole number"),
        ({"crop": 0.0}, "crop must be above 0 and at most 1, got 0.0"),
        ({"crop": 256 / 224}, "crop must be"),
        ({"crop": float("nan")}, "crop must be"),
        ({"mean": (1.0, 2.0)}, "mean must be one number, or one per channel"),
        ({"mean": float("inf")}, "mean must be"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
        ({"scale": (1.0, -1.0, 1.0)}, "scale must be above 0"),
        ({"scale": np.ones((3, 1))}, "scale must be one number, or one per channel"),
        ({"interpolation": "nearest"}, "'bicubic' or 'bilinear', got 'nearest'"),
    ],
)
def test_impossible_preprocessing(options, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**{"size": 224} | options)


def test_pictures_that_packages_ship():
    found = pictures.shipped()
    assert len(found) >= 2 and (found.labels == -1).all()
    assert {"china", "flower"} <= {file.stem for file in found.files}
    (batch,) = picture_stream.batches(found, Preprocessing(size=16), len(found))
    assert batch.images.shape == (len(found), 16, 16, 3) and not batch.unreadable
