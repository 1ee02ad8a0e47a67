"""What README and CONTRIBUTING show is run as it is printed."""

import re
import shlex
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scripts import PROJECT
from typer.testing import CliRunner

from fsrepro import SpikingModel, command_line, genn


def blocks(document, language):
    """The code blocks of a document, those in lists too."""
    text = (PROJECT / document).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in found]


@pytest.fixture
def names(trained, calibration_images, test_images, digits):
    """What the examples take for given."""
    return {
        "model": trained, "images": calibration_images, "test_images": test_images[:100],
        "test_labels": digits.test.labels[:100],
    }  # fmt: skip


def test_readme_goes_from_a_model_to_a_report_in_four_lines(names, capsys):
    first, _, second, third = blocks("README.md", "python")
    assert len([line for line in first.splitlines() if line]) == 4
    exec(first, names)
    shown = capsys.readouterr().out
    for figure in ("accuracy", "same answer as ANN", "spikes per neuron", "SynOps per image"):
        assert re.search(rf"^{figure} +[\d.,]+", shown, re.MULTILINE), figure
    assert all(layer in shown for layer in names["snn"].codes)
    assert 0.4 < names["report"].spikes_per_neuron < 0.55
    exec(second, names)
    assert [type(snn) for snn in names["networks"].values()] == 3 * [SpikingModel]
    if genn.available():
        exec(third, names)
    else:
        with pytest.raises(ImportError, match="needs pygenn and ml_genn"):
            exec(third, names)


def test_readme_goes_from_a_torch_module_to_a_report_in_ten_lines(capsys, tmp_path, monkeypatch):
    sys.modules.setdefault("triton", None)  # it must not be imported after TensorFlow
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    block = blocks("README.md", "python")[1]
    assert len([line for line in block.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(models.resnet18(num_classes=10).state_dict(), "resnet18.pt")
    images = np.random.default_rng(0).normal(size=(40, 3, 64, 64)).astype(np.float32)
    names = {"images": images, "test_images": images[:20], "test_labels": np.arange(20) % 10}
    exec(block, names)
    shown = capsys.readouterr().out
    assert re.search(r"^same answer as ANN \d", shown, re.MULTILINE)
    assert re.search(r"^spikes per neuron +[01].\d+ \(asked 1, planned ", shown, re.MULTILINE)
    assert names["snn"].layers["neurons"].sum() > 100_000


def test_command_lines_of_the_readme(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names["model"].save("model.keras")
    np.savez("images.npz", images=names["images"], labels=np.zeros(len(names["images"]), int))
    np.savez("test.npz", images=names["test_images"], labels=names["test_labels"])
    (block,) = [b for b in blocks("README.md", "sh") if "fsrepro convert" in b]
    for line in block.strip().splitlines():
        command, *arguments = shlex.split(line, comments=True)
        assert command == "fsrepro"
        result = CliRunner().invoke(command_line.app, arguments)
        assert result.exit_code == 0, (line, result.output)
    assert SpikingModel.load("spiking.fs").steps == 8


def contributed():
    """The Python blocks of CONTRIBUTING: a code, its test, a designer, its use, an activation."""
    return blocks("CONTRIBUTING.md", "python")


def test_a_code_is_one_file_one_test_and_one_line(tmp_path):
    """In a copy of the library, with the tests of all codes."""
    code, test, *_ = contributed()
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    line = re.search(r"`(from \._thirds import thirds)`", text)[1]
    shutil.copytree(
        PROJECT / "fsrepro", tmp_path / "fsrepro",
        ignore=shutil.ignore_patterns("experiments", "__pycache__"),
    )  # fmt: skip
    package, tests = tmp_path / "fsrepro" / "codes", tmp_path / "tests"
    (package / "_thirds.py").write_text(code)
    init = (package / "__init__.py").read_text()
    (package / "__init__.py").write_text(init.replace("\n\n__all__", f"\n{line}\n\n__all__", 1))
    tests.mkdir()
    (tests / "test_codes_thirds.py").write_text(test)
    shutil.copy(PROJECT / "tests" / "test_codes.py", tests)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "thirds",
        tests,
    ]
    options = {"capture_output": True, "text": True, "env": {"PYTHONPATH": str(tmp_path)}}
    run = subprocess.run([*command, tests], cwd=tmp_path, **options)
    assert run.returncode == 0, run.stdout
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed > 5  # the file's own, and those of all codes


def test_a_designer_is_one_function_that_compares_and_converts(names, capsys):
    import fsrepro

    names["fsrepro"] = fsrepro
    designer, use = (b for b in contributed() if "powers_of_two" in b)
    exec(designer, names)
    exec(use, names)
    shown = capsys.readouterr().out
    assert "powers of two" in shown and "mixed radix" in shown
    scales = np.array(list(names["snn"].scales.values()))
    assert (np.log2(scales) % 1 == 0).all()


def test_an_activation_is_registered(monkeypatch):
    from fsrepro import activations

    monkeypatch.setattr(activations, "_REGISTERED", dict(activations._REGISTERED))
    monkeypatch.setattr(activations, "_KERAS_FUNCTIONS", {})
    (block,) = [b for b in contributed() if "activations.register" in b]
    exec(block, {})
    assert "squareplus" in activations.names()


def test_every_python_block_was_run():
    assert len(contributed()) == 5
    assert len(blocks("README.md", "python")) == 4
