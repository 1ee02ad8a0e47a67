"""Networks of others: the published file or none."""

import hashlib
import importlib

import keras
import numpy as np
import pytest

from fsrepro.experiments import models

module = importlib.import_module("fsrepro.experiments.models._published")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty home, and a network that cannot be reached."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def unreachable(*args, **kwargs):
        raise OSError("unreachable")

    monkeypatch.setattr("requests.get", unreachable)
    folder = tmp_path / ".keras" / "models"
    folder.mkdir(parents=True)
    return folder


def test_unknown_network():
    with pytest.raises(ValueError, match="unknown network 'resnet21'; choose one of resnet20-"):
        models.published("resnet21")


def test_says_where_to_put_what_cannot_be_fetched(cache):
    with pytest.raises(FileNotFoundError, match=r"is not in .*models, and https.*unreachable"):
        models.published("resnet20-12fca82f")


def test_refuses_another_file_of_that_name(cache):
    (cache / "resnet20-12fca82f.th").write_bytes(b"something else")
    with pytest.raises(FileNotFoundError, match="did not give the published file"):
        models.published("resnet20-12fca82f")


def test_loads_the_published_file(cache, monkeypatch):
    file = cache / "resnet20-12fca82f.th"
    file.write_bytes(b"published")
    sha256 = hashlib.sha256(b"published").hexdigest()
    answers = models.resnet(20, shortcut="identity").predict_on_batch(0 * module._RAMP)
    monkeypatch.setattr(module, "_CHECKPOINTS", {"resnet20-12fca82f": (20, sha256, answers[0])})
    monkeypatch.setattr(module, "_RAMP", 0 * module._RAMP)
    loaded = []
    monkeypatch.setattr(module, "import_torch", lambda model, path: loaded.append((model, path)))
    network = models.published("resnet20-12fca82f")
    assert loaded == [(network.model, file)]
    assert isinstance(network.model, keras.Model)
    np.testing.assert_array_equal(network.std, [0.229, 0.224, 0.225])


def test_refuses_a_network_that_does_not_answer_as_the_published_one(cache, monkeypatch):
    """As with another padding, which takes the same weights without a word."""
    file = cache / "resnet20-12fca82f.th"
    file.write_bytes(b"published")
    sha256 = hashlib.sha256(b"published").hexdigest()
    entry = (20, sha256, module._CHECKPOINTS["resnet20-12fca82f"][2])
    monkeypatch.setattr(module, "_CHECKPOINTS", {"resnet20-12fca82f": entry})
    monkeypatch.setattr(module, "import_torch", lambda model, path: None)
    with pytest.raises(ValueError, match="does not answer as PyTorch's"):
        models.published("resnet20-12fca82f")
