"""What a new user does in the first hour, with networks and arrays as Keras makes them."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from sklearn.datasets import load_diabetes
from typer.testing import CliRunner

import fsrepro
from fsrepro import figures
from fsrepro.command_line import app
from fsrepro.measures import sample_words


@pytest.fixture(scope="module")
def pictures(digits):
    """As Keras's own data sets come: uint8 pictures, labels (N, 1)."""

    def of(part):
        return part.images, part.labels[:, None]

    return of(digits.train), of(digits.test)


@pytest.fixture(scope="module")
def model(pictures):
    """A Sequential that takes pixels; nothing in it has a name of the user's."""
    (x, y), _ = pictures
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input(x.shape[1:], dtype="uint8"),
            layers.Rescaling(1 / float(x.max())),
            layers.RandomTranslation(0.05, 0.05),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=12, batch_size=32, verbose=0)
    return model


def test_in_python(model, pictures, tmp_path):
    (x, _), (test_x, test_y) = pictures
    snn = fsrepro.convert(model, x[:300], spikes_per_neuron=0.6)
    report = fsrepro.evaluate(snn, test_x, test_y, ann=model)
    assert report.ann_quality["accuracy"] > 95
    assert report.accuracy > report.ann_quality["accuracy"] - 2
    assert 0.55 < report.spikes_per_neuron < 0.63
    assert report.budget.asked == 0.6 and 0.59 < report.budget.planned <= 0.6
    low, high = report.intervals["accuracy"]
    assert low < report.accuracy < high

    again = fsrepro.SpikingModel.load(snn.save(tmp_path / "net.fs"))
    np.testing.assert_array_equal(again(test_x), snn.predict(test_x))
    assert str(fsrepro.evaluate(again, test_x, test_y, ann=model)) == str(report)
    assert repr(again) == repr(snn) and "classification, 2 spiking layers" in repr(snn)

    table = fsrepro.diagnose(model, snn, test_x[:100], test_y[:100])
    assert (table["agreement_alone"] > 90).all()
    figures.diagnosis(table)
    figures.spikes_per_layer(report.layers)
    figures.raster(sample_words(snn, test_x[0]))

    for name in ("report.csv", "report.json"):
        report.write(tmp_path / name)
    (whole, *rest) = json.loads((tmp_path / "report.json").read_text())
    assert whole["accuracy"] == report.accuracy and whole["agreement"] == report.agreement
    assert [row["layer"] for row in rest] == list(snn.codes)
    assert list(pd.read_csv(tmp_path / "report.csv")["layer"][1:]) == list(snn.codes)
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json"):
        report.write(tmp_path / "report.xlsx")
    with pytest.raises(FileExistsError, match=r"report.csv exists"):
        report.write(tmp_path / "report.csv")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_on_the_command_line(model, pictures, tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    (x, _), (test_x, test_y) = pictures
    model.save(f"model{suffix}")
    np.savez("calibration.npz", images=x[:300])
    np.savez("test.npz", images=test_x, labels=test_y)

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    shown = run("convert", f"model{suffix}", "--calibration", "calibration.npz", "--spikes", 0.6,
                "-o", "net.fs")  # fmt: skip
    assert "asked 0.6, planned 0.5" in shown or "asked 0.6, planned 0.6" in shown
    shown = run("evaluate", "net.fs", "--images", "test.npz", "--ann", f"model{suffix}", "-o",
                "report.json")  # fmt: skip
    assert "same answer as ANN" in shown and "(asked 0.6, planned" in shown
    assert json.loads((tmp_path / "report.json").read_text())[0]["accuracy"] > 90
    run("diagnose", f"model{suffix}", "net.fs", "--images", "test.npz", "-o", "layers.json")
    assert "snr_to_ann" in json.loads((tmp_path / "layers.json").read_text())[0]


def test_a_regression_keeps_its_error_under_a_budget(tmp_path):
    """Of one spike per neuron: within 5 %, on real data, scaled as one would."""
    x, y = load_diabetes(return_X_y=True, scaled=True)
    x, y = (x / x.std(0)).astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [layers.Input((10,)), layers.Dense(16, activation="relu"),
         layers.Dense(16, activation="relu"), layers.Dense(1)]
    )  # fmt: skip
    model.compile("adam", "mse")
    model.fit(x[:300], y[:300], epochs=60, verbose=0)
    snn = fsrepro.convert(model, x[:300], spikes_per_neuron=1.0)
    report = fsrepro.evaluate(snn, x[300:], y[300:, None], ann=model)
    assert report.task.name == "regression" and report.spikes_per_neuron < 1.1
    assert report.quality["rmse"] < 1.05 * report.ann_quality["rmse"]
    assert report.agreement > 97 and "accuracy" not in report.row()
    assert "RMSE" in str(report) and "variance kept" in str(report)
    table = fsrepro.diagnose(model, snn, x[300:], y[300:])
    assert (table["rmse_added_alone"].abs() < 0.05).all()
    rows = json.loads(report.write(tmp_path / "r.json").read_text())
    assert rows[0]["rmse"] == report.quality["rmse"]


def test_yes_or_no(digits, tmp_path):
    """Even or odd: one output with a sigmoid, labels as floats in a column."""
    x = digits.normalise(digits.train.images)
    y = (digits.train.labels % 2).astype(np.float32)[:, None]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [layers.Input(x.shape[1:]), layers.Flatten(), layers.Dense(48, activation="tanh"),
         layers.Dense(1, activation="sigmoid")]
    )  # fmt: skip
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, epochs=15, verbose=0)
    snn = fsrepro.convert(model, x[:400], spikes_per_neuron=1.5)
    assert snn.task.name == "binary" and len(snn.codes) == 1
    test_x, test_y = digits.normalise(digits.test.images), digits.test.labels % 2
    report = fsrepro.evaluate(snn, test_x, test_y, ann=model)
    assert report.ann_quality["accuracy"] > 95 and report.agreement > 98
    values = snn.task.values(snn.predict(test_x))
    assert np.abs(values - model.predict(test_x, verbose=0)).max() < 0.5
    assert set(np.unique(report.predictions)) == {0, 1}


def test_masks_of_a_u_net(digits):
    """Which pixels of a noisy digit are ink: K = 12, 99 % of the pixels as of the network."""
    rng = np.random.default_rng(0)
    clean = digits.train.images.astype(np.float32) / digits.train.images.max()
    x = (clean + rng.normal(0, 0.15, clean.shape)).astype(np.float32)
    y = (clean > 0.4).astype(np.float32)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    a = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(24, 3, padding="same", activation="relu")(layers.MaxPooling2D()(a))
    up = layers.Conv2DTranspose(12, 2, strides=2)(b)
    c = layers.Conv2D(12, 3, padding="same", activation="relu")(layers.Concatenate()([a, up]))
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(c))
    model.compile("adam", "binary_crossentropy")
    model.fit(x[:1000], y[:1000], epochs=8, verbose=0)
    snn = fsrepro.convert(model, x[:300], steps=12)
    assert snn.task.name == "segmentation"
    report = fsrepro.evaluate(snn, x[1000:], y[1000:], ann=model)
    assert report.agreement >= 99
    assert report.ann_quality["mean_iou"] > 70
    assert report.quality["mean_iou"] > report.ann_quality["mean_iou"] - 1
    under = fsrepro.convert(model, x[:300], spikes_per_neuron=0.5, steps=12)
    assert fsrepro.evaluate(under, x[1000:], ann=model).agreement > 95


def test_a_file_of_onnx(model, digits, tmp_path, monkeypatch):
    """The network of a PyTorch user, (N, C, H, W), in Python and on the command line."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper

    monkeypatch.chdir(tmp_path)
    x = digits.train.images.transpose(0, 3, 1, 2) / np.float32(digits.train.images.max())
    x, y = x.astype(np.float32), digits.train.labels
    keras.utils.set_random_seed(0)
    trained = keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(12, 3, padding="same", activation="relu"),
         layers.MaxPooling2D(), layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(10)]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile("adam", loss)
    trained.fit(x.transpose(0, 2, 3, 1), y, epochs=8, verbose=0)
    kernel, bias, dense, last = trained.get_weights()
    tensors = {"w": kernel.transpose(3, 2, 0, 1), "b": bias, "d": dense.T, "e": last}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], name="/conv"),
            helper.make_node("Relu", ["c"], ["r"], name="/relu"),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "d", "e"], ["y"], transB=1, name="/fc"),
        ],
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), "net.onnx")
    test_x = digits.test.images.transpose(0, 3, 1, 2) / np.float32(digits.train.images.max())
    np.savez("images.npz", images=x[:300])
    np.savez("test.npz", images=test_x.astype(np.float32), labels=digits.test.labels)
    runner = CliRunner()
    for line in (
        "convert net.onnx --calibration images.npz --spikes 0.7 -o net.fs",
        "evaluate net.fs --images test.npz --ann net.onnx -o report.json",
        "diagnose net.onnx net.fs --images test.npz",
    ):
        result = runner.invoke(app, line.split())
        assert result.exit_code == 0, result.output
    whole = json.loads((tmp_path / "report.json").read_text())[0]
    snn = fsrepro.convert("net.onnx", x[:300], spikes_per_neuron=0.7)
    report = fsrepro.evaluate(snn, test_x, digits.test.labels, ann="net.onnx")
    assert whole["accuracy"] == report.accuracy > 85
    assert report.agreement > 95
