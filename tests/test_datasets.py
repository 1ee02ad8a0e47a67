"""Data sets: fixed splits, checked downloads, and pickles that cannot run anything."""

import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from fsrepro.experiments import datasets, models
from fsrepro.experiments.download import fetched
from fsrepro.experiments.notebook import Study


def test_digits_split_is_fixed_and_covers_everything(digits):
    parts = (digits.train, digits.calibration, digits.test)
    assert [len(part) for part in parts] == [1097, 200, 500]
    pooled = np.concatenate([part.images for part in parts])
    from sklearn.datasets import load_digits

    every = np.round(load_digits().images * 255 / 16).astype(np.uint8)[..., None]
    assert sorted(im.tobytes() for im in pooled) == sorted(im.tobytes() for im in every)
    for part in parts:
        assert np.bincount(part.labels).min() >= 0.08 * len(part)  # stratified


def test_split_depends_on_the_seed_alone(digits):
    assert datasets.digits(seed=0).checksum == digits.checksum
    assert datasets.digits(seed=1).checksum != digits.checksum


def test_normalised_training_images_have_mean_0_and_deviation_1(digits):
    x = digits.normalise(digits.train.images)
    assert x.dtype == np.float32
    assert x.mean() == pytest.approx(0, abs=1e-4)
    assert x.std() == pytest.approx(1, abs=1e-4)


def test_a_data_set_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    path = tmp_path / "mine.npz"
    np.savez(path, images=rng.integers(0, 256, (120, 5, 4, 3)).astype(np.uint8), labels=labels)
    data = datasets.load(str(path), seed=1)
    assert [len(part) for part in (data.train, data.calibration, data.test)] == [84, 12, 24]
    assert (data.name, data.classes, data.image_shape) == ("mine", ("0", "1", "2"), (5, 4, 3))
    assert np.bincount(data.test.labels).tolist() == [8, 8, 8]
    for wrong, message in (
        ({"labels": labels - 1}, "whole numbers from 0"),
        ({"labels": labels / 2}, "whole numbers from 0"),
        ({"labels": labels[:5]}, "120 images need as many labels"),
        ({"labels": labels * 2}, "class 1 has 0 images"),
        ({"images": np.zeros((120, 5, 4, 3))}, "must be uint8"),
    ):
        arrays = {"images": data.train.images[np.zeros(120, int)], "labels": labels}
        np.savez(path, **{**arrays, **wrong})
        with pytest.raises(ValueError, match=message):
            datasets.load(str(path))
    np.savez(path, pictures=labels)
    with pytest.raises(ValueError, match="must hold the arrays images and labels"):
        datasets.load(str(path))


@pytest.mark.parametrize("images", [0, -5, 501, 100_000])
def test_more_images_than_there_are_are_refused(digits, images):
    with pytest.raises(ValueError, match=f"has 500 test images.*got {images:,}"):
        Study.on(digits, models.small_cnn(), "", images=images)


def test_unknown_data_set():
    with pytest.raises(ValueError, match="unknown data set 'mnist'; choose one of digits, cifar10"):
        datasets.load("mnist")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, int), "images must be uint8"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, int), r"of shape \(N, H, W, C\)"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, int), "2 images need as many labels"),
    ],
)
def test_parts_check_themselves(images, labels, message):
    with pytest.raises(ValueError, match=message):
        datasets.Part(images, labels)


def test_missing_cifar10_says_where_it_looked_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FSREPRO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError) as error:
        datasets.cifar10(download=False)
    for part in (str(tmp_path / "data"), str(tmp_path / "home"), datasets.CIFAR10_URL):
        assert part in str(error.value)


def test_wrong_file_is_refused_by_its_checksum(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in datasets.CIFAR10_FILES:
        (folder / name).write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"data_batch_1 is not the published file: its MD5 is"):
        datasets.cifar10(folder=tmp_path)


# A uint8 array of shape (3, 4), as Python 2 pickled it for the official batches.
PYTHON_2_ARRAY = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x03K\x04\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c%stb."
)


def test_unpickler_admits_arrays():
    stored = PYTHON_2_ARRAY % bytes(range(12))
    loaded = datasets._ArrayUnpickler(io.BytesIO(stored), encoding="bytes").load()
    assert np.array_equal(loaded, np.arange(12, dtype=np.uint8).reshape(3, 4))


def test_unpickler_runs_nothing(tmp_path):
    trap = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return Path.touch, (trap,)

    with pytest.raises(pickle.UnpicklingError, match="refused to load"):
        datasets._ArrayUnpickler(io.BytesIO(pickle.dumps(Trap(), protocol=2))).load()
    assert not trap.exists()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``content``, of which the first answers are cut off where ``cuts`` says."""

    content = bytes(range(256)) * 2000
    cuts: list = []  # noqa: RUF012
    resumes = True
    answers: list = []  # noqa: RUF012 - how many bytes each was to have

    def do_GET(self):
        start = 0
        if self.resumes and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(self.content):
            self.send_response(416)
            self.end_headers()
            return
        rest = self.content[start:]
        self.answers.append(len(rest))
        self.send_response(206 if start else 200)
        if start:
            end = len(self.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.cuts.pop() if self.cuts else None])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(Server, "content", Server.content)
    monkeypatch.setattr(Server, "answers", [])
    monkeypatch.setattr(Server, "cuts", [])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/file"
        running.shutdown()


def md5_of_content():
    return "md5:" + hashlib.md5(Server.content).hexdigest()


def seen(folder):
    """What is in a folder, but for the hidden lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".lock-"))


def test_downloaded_once(server, tmp_path):
    for _ in range(2):
        path = fetched(server, tmp_path / "new", md5_of_content())
        assert path == tmp_path / "new" / "file"
        assert path.read_bytes() == Server.content
    assert len(Server.answers) == 1
    assert seen(path.parent) == ["file"]


def test_another_file_of_that_name_is_replaced(server, tmp_path):
    (tmp_path / "file").write_bytes(b"something else")
    assert fetched(server, tmp_path, md5_of_content()).read_bytes() == Server.content


@pytest.mark.parametrize("resumes", [True, False])
def test_a_download_goes_on_where_it_was_cut(server, tmp_path, monkeypatch, resumes):
    monkeypatch.setattr(Server, "resumes", resumes)
    Server.cuts.append(100_000)
    with pytest.raises(FileNotFoundError, match=r"file is not in .*Call again, .*or fetch it"):
        fetched(server, tmp_path, md5_of_content())
    assert seen(tmp_path) == ["file.part"]
    kept = (tmp_path / "file.part").stat().st_size
    assert 0 < kept <= 100_000
    assert fetched(server, tmp_path, md5_of_content()).read_bytes() == Server.content
    whole = len(Server.content)
    assert Server.answers == [whole, whole - kept if resumes else whole]
    assert seen(tmp_path) == ["file"]


def test_a_download_killed_after_its_last_byte_is_complete(server, tmp_path):
    (tmp_path / "file.part").write_bytes(Server.content)
    assert fetched(server, tmp_path, md5_of_content()).read_bytes() == Server.content
    assert Server.answers == []


@pytest.mark.parametrize("wrong", [b"x" * 1000, b"y" * 10**6])
def test_the_beginning_of_another_file_is_dropped(server, tmp_path, wrong):
    (tmp_path / "file.part").write_bytes(wrong)
    assert fetched(server, tmp_path, md5_of_content()).read_bytes() == Server.content
    assert seen(tmp_path) == ["file"]


def test_wrong_download_leaves_nothing(server, tmp_path):
    with pytest.raises(FileNotFoundError, match="did not give the published file"):
        fetched(server, tmp_path, "md5:" + "0" * 32)
    assert seen(tmp_path) == []


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="did not give the published file"):
        fetched("http://127.0.0.1:9/file", tmp_path, md5_of_content())


def test_cifar10_is_downloaded_and_unpacked_by_several_at_once(server, tmp_path, monkeypatch):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in (*datasets.CIFAR10_FILES, "not_ours", "../outside"):
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    monkeypatch.setattr(Server, "content", archive.getvalue())
    monkeypatch.setattr(datasets, "CIFAR10_URL", server)
    monkeypatch.setattr(datasets, "CIFAR10_ARCHIVE_MD5", md5_of_content().removeprefix("md5:"))
    with ThreadPoolExecutor() as pool:
        (root,) = set(pool.map(datasets._find_cifar10, [tmp_path] * 8, [True] * 8))
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        name: name for name in datasets.CIFAR10_FILES
    }
    assert seen(tmp_path) == [root.name, "file"]
    assert len(Server.answers) == 1


def test_cifar10_itself():
    try:
        data = datasets.cifar10(download=False)
    except FileNotFoundError:
        pytest.skip("CIFAR-10 is not on this machine")
    assert [len(p) for p in (data.train, data.calibration, data.test)] == [45_000, 5_000, 10_000]
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert np.bincount(data.calibration.labels).tolist() == [500] * 10
    assert data.mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-3)


# --- trained weights ---------------------------------------------------------------------------


def test_checkpoint_round_trip(tmp_path):
    first, second = models.small_cnn(seed=1), models.small_cnn(seed=2)
    path = models.save_checkpoint(first, tmp_path / "net.weights.h5", {"network": "small_cnn"})
    card = models.load_checkpoint(second, path)
    assert card["network"] == "small_cnn"
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "net.weights.h5"]


def unsealed(path):
    """Weights as they were kept before the card was within."""
    with h5py.File(path, "a") as file:  # HDF5 cuts off what is behind its end
        del file.attrs["card"]
    card = path.with_name("net.json")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(json.dumps({"weights_sha256": sha256}))


def test_the_card_beside_is_for_readers(tmp_path):
    """A kill between weights and card leaves the card of earlier weights, or none."""
    model = models.small_cnn()
    path = models.save_checkpoint(model, tmp_path / "net.weights.h5", {"epochs": 2})
    (tmp_path / "net.json").write_text('{"epochs": 1, "weights_sha256": "0"}')
    assert models.load_checkpoint(model, path)["epochs"] == 2
    (tmp_path / "net.json").unlink()
    assert models.load_checkpoint(model, path)["epochs"] == 2


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path = models.save_checkpoint(models.small_cnn(), tmp_path / "net.weights.h5", {})
    damaged = bytearray(path.read_bytes())
    damaged[5000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="does not match the SHA-256 at its end"):
        models.load_checkpoint(models.small_cnn(), path)
    path = models.save_checkpoint(models.small_cnn(), path, {})
    unsealed(path)
    models.load_checkpoint(models.small_cnn(), path)
    with pytest.raises(ValueError, match="does not fit model 'small_cnn'"):
        models.load_checkpoint(models.small_cnn(width=4), path)
    card = json.loads((tmp_path / "net.json").read_text())
    for wrong, message in (
        (card | {"weights_sha256": "0"}, r"does not match the SHA-256 in net\.json"),
        ({"epochs": 1}, r"has a card, net\.json, without weights_sha256"),
    ):
        (tmp_path / "net.json").write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=message):
            models.load_checkpoint(models.small_cnn(), path)
    (tmp_path / "net.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.json is missing"):
        models.load_checkpoint(models.small_cnn(), path)
    with pytest.raises(ValueError, match=r"ends in \.weights\.h5"):
        models.load_checkpoint(models.small_cnn(), tmp_path / "net.h5")


def test_networks_by_name():
    assert models.build("resnet14", (32, 32, 3), 10).name == "resnet14"
    with pytest.raises(ValueError, match="unknown network 'vgg'"):
        models.build("vgg", (32, 32, 3), 10)
    with pytest.raises(ValueError, match="depth must be 8, 14, 20"):
        models.resnet(9)
