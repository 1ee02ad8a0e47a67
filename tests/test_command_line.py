"""The command line: what it writes, what it prints, and what it refuses."""

import os
import pickle
import re
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fsrepro
from fsrepro import archive, measures
from fsrepro.command_line import app
from fsrepro.conversion import SpikingModel

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits, trained):
    """A trained model, images with labels, and a spiking network made from them."""
    folder = tmp_path_factory.mktemp("cli")
    trained.save(folder / "model.keras")
    for name, part in (("calibration", digits.calibration), ("test", digits.test[:100])):
        images = digits.normalise(part.images)
        np.savez(folder / f"{name}.npz", images=images, labels=part.labels)
    result = run("convert", folder / "model.keras", "--calibration", folder / "calibration.npz",
                 "--steps", 6, "--spikes", 0.5, "-o", folder / "net.fs")  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def run(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def refused(*arguments):
    """The message of a command that must fail with exit code 1, without a traceback."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    *bars, message = result.stderr.strip("\n").split("\n")
    assert message.startswith("error: ")
    assert all("%|" in line for line in bars)
    return message


def test_convert_writes_a_network_of_that_budget(folder):
    snn = SpikingModel.load(folder / "net.fs")
    with np.load(folder / "test.npz") as test:
        report = measures.evaluate(snn, test["images"], test["labels"])
    assert snn.steps == 6
    assert 0.4 < report.spikes_per_neuron < 0.56
    assert report.accuracy > 80


@pytest.mark.parametrize("refit", [[], ["--refit"]])
def test_codes_by_channel_come_back_from_the_file(folder, refit):
    result = run("convert", folder / "model.keras", "--calibration", folder / "calibration.npz",
                 "--spikes", 0.3, "--by-channel", *refit, "-o", folder / f"{refit}.fs")  # fmt: skip
    assert result.exit_code == 0, result.output
    snn = SpikingModel.load(folder / f"{refit}.fs")
    assert all(len(code.channels) > 1 for code in snn.codes.values())
    with np.load(folder / "test.npz") as test:
        report = measures.evaluate(snn, test["images"], test["labels"])
    assert 0.27 < report.spikes_per_neuron < 0.33
    assert report.accuracy > 80


def test_a_budget_of_synaptic_operations_and_the_picture_in_spikes(folder):
    result = run("convert", folder / "model.keras", "--calibration", folder / "calibration.npz",
                 "--synops", 0.4, "--spiking-input", "-o", folder / "all.fs")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "synops per mac: asked 0.4, planned 0." in result.stdout
    snn = SpikingModel.load(folder / "all.fs")
    assert snn.budget.unit == "synops_per_mac"
    assert snn.synapses.macs == 0
    message = refused("convert", folder / "model.keras", "--calibration",
                      folder / "calibration.npz", "--spiking-input", "--allow-analog",
                      "-o", folder / "none.fs")  # fmt: skip
    assert "spiking_input=True needs analog='forbidden'" in message
    assert not (folder / "none.fs").exists()


def test_evaluate_prints_what_the_library_finds(folder):
    snn = SpikingModel.load(folder / "net.fs")
    with np.load(folder / "test.npz") as test:
        report = measures.evaluate(snn, test["images"], test["labels"])
    result = run("evaluate", folder / "net.fs", "--images", folder / "test.npz",
                 "--ann", folder / "model.keras", "-o", folder / "layers.csv")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"accuracy           {report.accuracy:.2f} % of 100 images" in result.stdout
    assert f"spikes per neuron  {report.spikes_per_neuron:.3f}" in result.stdout
    assert "same answer as ANN" in result.stdout
    table = pd.read_csv(folder / "layers.csv")
    whole, layers = table[:1], table[1:]
    np.testing.assert_allclose(layers["spikes_per_neuron"], report.layers["spikes_per_neuron"])
    found = whole.iloc[0].to_dict()
    assert found["accuracy"] == report.accuracy and found["ann_accuracy"] > 80
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    assert found["spikes_asked"] == 0.5 and found["spikes_planned"] > 0.4


def test_stderr_has_progress_and_nothing_else(folder):
    command = [sys.executable, "-m", "fsrepro", "evaluate", folder / "net.fs"]
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    done = subprocess.run(
        [*command, "--images", folder / "test.npz", "--ann", folder / "model.keras"],
        capture_output=True, text=True, env=quiet | {"TQDM_DISABLE": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "accuracy" in done.stdout


def test_diagnose_writes_table_and_figure(folder):
    result = run("diagnose", folder / "model.keras", folder / "net.fs", "--images",
                 folder / "test.npz", "--most", 50, "-o", folder / "diagnosis.csv",
                 "--figure", folder / "diagnosis.svg")  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_csv(folder / "diagnosis.csv")
    assert {"snr", "saturated", "dead", "accuracy_lost_alone"} <= set(table.columns)
    assert "<svg" in (folder / "diagnosis.svg").read_text()


def test_codes_designs_tables(folder):
    result = run("codes", "--steps", 8, "--snr", 30, "-o", folder / "tables.csv")
    assert result.exit_code == 0, result.output
    assert "0.516 spikes per neuron at 30" in result.stdout
    table = pd.read_csv(folder / "tables.csv")
    assert list(table.columns) == ["t", "threshold", "reset", "weight"]
    assert len(table) == 8
    np.save(folder / "samples.npy", np.random.default_rng(0).normal(size=1000))
    result = run("codes", "--steps", 4, "--snr", 15, "--samples", folder / "samples.npy")
    assert "on samples.npy" in result.stdout


def test_help_has_an_example_for_every_command():
    for command in ("convert", "evaluate", "diagnose", "codes"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert f"Example: fsrepro {command}" in " ".join(result.output.replace("│", "").split())


def test_nothing_is_overwritten(folder):
    before = (folder / "net.fs").read_bytes()
    arguments = ["convert", folder / "model.keras", "--calibration", folder / "calibration.npz",
                 "-o", folder / "net.fs"]  # fmt: skip
    assert "net.fs exists; choose another name or pass --overwrite" in refused(*arguments)
    assert (folder / "net.fs").read_bytes() == before
    evaluated = ["evaluate", folder / "net.fs", "--images", folder / "test.npz",
                 "-o", folder / "kept.csv"]  # fmt: skip
    (folder / "kept.csv").touch()
    assert "kept.csv exists" in refused(*evaluated)
    evaluated[-1] = folder / "table.xlsx"
    assert "table.xlsx must end in .csv or .json" in refused(*evaluated)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert"], "Missing argument"),
        (["convert", "model.keras", "--steps", "many"], "--steps"),
        (["codes", "--steps", "0"], "--steps"),
        (["codes", "--steps", "65"], "--steps"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert re.fullmatch(rf"error: .*{message}.*; see fsrepro( \w+)? --help\n", result.stderr)


def test_version_from_the_command_line_and_as_a_module():
    assert run("--version").output == f"fsrepro {fsrepro.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "fsrepro", "--version"], capture_output=True)
    assert done.stdout.decode() == f"fsrepro {fsrepro.__version__}\n"


@pytest.mark.parametrize("place", [0, 1])
def test_a_traceback_only_when_asked_for(place):
    arguments = ["codes", "--samples", "missing.npy"]
    assert "error: missing.npy does not exist" in refused(*arguments)
    arguments.insert(place, "--debug")
    assert isinstance(run(*arguments).exception, FileNotFoundError)


def test_errors_of_any_kind_are_one_line(monkeypatch):
    """Also those that nobody foresaw."""

    def fails(*_, **__):
        raise RecursionError("too deep\nand more")

    monkeypatch.setattr(archive, "read_arrays", fails)
    message = refused("codes", "--samples", "samples.npy")
    assert message == "error: RecursionError: too deep and more"


@pytest.mark.parametrize("values", [np.full(9, 2.0), np.arange(3.0)])
def test_codes_of_few_values(tmp_path, values):
    np.save(tmp_path / "samples.npy", values)
    result = run("codes", "--samples", tmp_path / "samples.npy", "--snr=-5")
    assert result.exit_code == 0, result.output


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_bad_networks(folder, tmp_path):
    calibrated = ["--calibration", folder / "calibration.npz", "-o", tmp_path / "out.fs"]
    assert "missing.keras does not exist" in refused("convert", "missing.keras", *calibrated)
    whole = (folder / "model.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    assert "cut.keras is not a Keras model, or is damaged" in refused(
        "convert", tmp_path / "cut.keras", *calibrated
    )
    (tmp_path / "bomb.keras").write_bytes(pickle.dumps(Bomb(tmp_path / "gone off")))
    assert "bomb.keras is not" in refused("convert", tmp_path / "bomb.keras", *calibrated)
    assert not (tmp_path / "gone off").exists()
    cut = (folder / "net.fs").read_bytes()[:500]
    (tmp_path / "cut.fs").write_bytes(cut)
    message = refused("evaluate", tmp_path / "cut.fs", "--images", folder / "test.npz")
    assert "cut.fs is not a spiking model, or is damaged" in message
    assert not (tmp_path / "out.fs").exists()


def arrays(images, labels=None):
    return {"images": images} | ({} if labels is None else {"labels": labels})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: arrays(x[:, :4], y), "must have shape"),
        (lambda x, y: arrays(x[0], y), r"images must have shape \(N, 8, 8, 1\), got \(8, 8, 1\)"),
        (lambda x, y: arrays(x[:0], y[:0]), "must have shape"),
        (lambda x, y: arrays((255 * x).astype(np.uint8), y), "looks like raw pixels"),
        (lambda x, y: arrays(255 * np.abs(x), y), "looks like raw pixels"),
        (lambda x, y: arrays(x * np.nan, y), "NaN or infinite"),
        (lambda x, y: arrays(x.astype(str), y), "must be numbers"),
        (lambda x, y: arrays(x, y + 1), "out of range|from 0 to 9"),
        (lambda x, y: arrays(x, y[:5]), "labels"),
        (lambda x, y: arrays(x), "has no array `labels`"),
        (lambda x, y: {"pictures": x}, "has no array `images`, only pictures"),
    ],
)
def test_bad_images(folder, tmp_path, change, message):
    with np.load(folder / "test.npz") as test:
        np.savez(tmp_path / "bad.npz", **change(test["images"], test["labels"]))
    found = refused("evaluate", folder / "net.fs", "--images", tmp_path / "bad.npz")

    assert re.search(message, found), found


def test_a_pickle_among_the_images_is_refused_unopened(folder, tmp_path):
    np.save(tmp_path / "bomb.npy", np.array([Bomb(tmp_path / "gone off")], dtype=object))
    message = refused("evaluate", folder / "net.fs", "--images", tmp_path / "bomb.npy")
    assert "bomb.npy is not a file of plain arrays, or is damaged" in message
    assert not (tmp_path / "gone off").exists()


def test_impossible_requests(folder, tmp_path):
    base = ["convert", folder / "model.keras", "--calibration", folder / "calibration.npz"]
    for options, message in (
        (["--spikes", -1], "spikes_per_neuron must be positive and finite, got -1"),
        (["--spikes", 0.5, "--snr", 20], "exclude each other"),
        (["--by-channel"], "by_channel needs a budget"),
        (["--code", "morse"], "unknown code 'morse'"),
    ):
        assert message in refused(*base, *options, "-o", tmp_path / "out.fs")
        assert not (tmp_path / "out.fs").exists()
    missing = tmp_path / "no" / "out.fs"
    assert "the folder" in refused(*base, "-o", missing)


def test_the_first_bar_is_seen_before_tensorflow_is_there(folder, tmp_path):
    command = [sys.executable, "-m", "fsrepro", "convert", folder / "model.keras",
               "--calibration", folder / "calibration.npz", "-o", tmp_path / "net.fs"]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    start = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as run:
        first = run.stderr.read(len("\rstarting TensorFlow"))
        seconds = time.perf_counter() - start
        rest, _ = run.stderr.read(), run.wait()
    assert first == b"\rstarting TensorFlow" and seconds < 6
    assert run.returncode == 0 and b"%|" in rest  # and others behind it
