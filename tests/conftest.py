"""What several test files share: digits, a small network trained on them once, a browser."""

import os
import subprocess
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the Makefile does

import keras
import pytest
from scripts import BROWSER

from fsrepro import training
from fsrepro.conversion import few_spikes
from fsrepro.experiments import datasets
from fsrepro.experiments.models import small_cnn
from fsrepro.networks import execution


def pytest_fixture_setup():
    """Weights that a fixture leaves to chance are the same, whichever tests ran before."""
    keras.utils.set_random_seed(0)


def pytest_runtest_call():
    """The same for what a test leaves to chance."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def digits():
    return datasets.digits()


@pytest.fixture(scope="session")
def trained(digits):
    """A small CNN after eight epochs without augmentation. Tests must not change it."""
    model = small_cnn(seed=0)
    training.train(
        model, *digits.arrays("train"), epochs=8, batch_size=64, learning_rate=0.1, seed=0
    )
    return model


@pytest.fixture(scope="session")
def calibration_images(digits):
    return digits.normalise(digits.calibration.images)


@pytest.fixture(scope="session")
def test_images(digits):
    return digits.normalise(digits.test.images)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """The address at which a headless Chromium listens."""
    profile = tmp_path_factory.mktemp("profile")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--remote-debugging-port=0", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = profile / "DevToolsActivePort"  # Chromium writes here where it listens
        for _ in range(600):
            if port.exists() and len(port.read_text().splitlines()) == 2:
                break
            time.sleep(0.1)
        number, path = port.read_text().splitlines()
        yield f"ws://127.0.0.1:{number}{path}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(autouse=True)
def layer_by_layer(monkeypatch):
    """To trace a graph for a model that is asked once takes longer than its answer."""

    def predict(model, x, **options):
        return keras.tree.map_structure(
            keras.ops.convert_to_numpy, model(keras.ops.convert_to_tensor(x), training=False)
        )

    monkeypatch.setattr(keras.Model, "predict", predict)


@pytest.fixture
def uncompiled(monkeypatch):
    """Where hundreds of networks answer one batch each, tracing takes most of the time."""
    monkeypatch.setattr(few_spikes, "_at_once", few_spikes._at_once.__wrapped__)
    monkeypatch.setattr(execution, "traced", lambda function: function)
