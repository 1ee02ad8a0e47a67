"""The project as a whole: notebooks run, results are written safely, pages say what files hold."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
import yaml
from effort import ALL
from scripts import PROJECT, script

from fsrepro.experiments import results

NOTEBOOKS = sorted(path.stem for path in (PROJECT / "notebooks").glob("[0-9][0-9]_*.py"))


def check_results(folder, name, profile):
    """What any run of a notebook leaves behind."""
    document = results.read(folder, name)
    assert document["provenance"]["parameters"]["profile"] == profile
    assert document["provenance"]["data"]["data_sha256"]
    headline = pd.read_csv(folder / "headline.csv")
    assert not list(folder.glob("*partial*"))
    assert list(headline.columns) == results.HEADLINE_COLUMNS
    headline = headline[headline["experiment"] == name]
    # Their few pictures have no labels, so they have nothing to claim.
    assert headline.empty == (name in ("07_imagenet", "12_at_scale"))
    if len(headline):
        assert headline[["snn_accuracy", "ann_accuracy"]].to_numpy().max() <= 100


@pytest.mark.notebook
@pytest.mark.parametrize("name", NOTEBOOKS if ALL else NOTEBOOKS[:1])
def test_notebook_runs_and_writes_its_results(name, tmp_path):
    script("notebooks/run.py").run(name, "tiny", tmp_path / "out.ipynb", results=str(tmp_path))
    check_results(tmp_path, name, "tiny")


@pytest.mark.built
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebooks_of_the_book_wrote_their_results(name):
    """`make book` has run all of them."""
    given = PROJECT / "book" / "notebooks" / f".{name}.yml"
    if not given.with_name(f"{name}.ipynb").exists():
        pytest.skip("the book is not built: make book")
    parameters = yaml.safe_load(given.read_text())
    if parameters["profile"] == "full":
        pytest.skip("in profile full pictures have labels")
    check_results(PROJECT / parameters["results"], name, parameters["profile"])


@pytest.mark.parametrize("profile", ["quick", "full", "tiny", "verify"])
def test_every_profile_has_every_notebook_with_the_same_parameters(profile):
    profiles = yaml.safe_load((PROJECT / "profiles" / f"{profile}.yml").read_text())
    quick = yaml.safe_load((PROJECT / "profiles" / "quick.yml").read_text())
    assert sorted(profiles) == NOTEBOOKS
    for name in NOTEBOOKS:
        assert profiles[name].keys() == quick[name].keys()
        assert profiles[name]["profile"] == profile
        assert profiles[name]["results"] == f"results/{profile}"


def test_the_book_has_the_notebooks_of_the_published_run_that_are_kept():
    kept = [path.stem for path in sorted((PROJECT / "book" / "published").glob("*.ipynb"))]
    contents = (PROJECT / "book" / "_toc.yml").read_text()
    assert kept and sorted(re.findall(r"file: published/(\w+)", contents)) == kept
    for name in kept:
        text = (PROJECT / "book" / "published" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "# Published run: " in text and '"papermill": {' not in text
        assert str(PROJECT.parent) not in text and "/tmp/" not in text


def test_a_published_notebook_tells_nothing_of_the_machine():
    cell = {"cell_type": "markdown", "source": "# Notebook: one", "metadata": {"papermill": {}}}
    outputs = [{"output_type": "stream", "name": n, "text": n} for n in ("stderr", "stdout")]
    code = {"cell_type": "code", "source": "", "metadata": {}, "outputs": outputs}
    metadata = {"papermill": {"path": "/home/a"}}
    notebook = nbformat.from_dict({"cells": [cell, code], "metadata": metadata})
    kept = script("notebooks/run.py").published(notebook)
    assert [out.text for out in kept.cells[1].outputs] == ["stdout"]
    assert kept.cells[0].source == "# Published run: one"
    assert not kept.metadata and not kept.cells[0].metadata


def test_unknown_parameter_stops_the_run(tmp_path):
    run = script("notebooks/run.py").run
    with pytest.raises(SystemExit, match="no parameter stpes"):
        run(NOTEBOOKS[0], "tiny", tmp_path / "out.ipynb", stpes=[1])
    assert not list(tmp_path.iterdir())


def test_a_copied_profile_does_not_replace_the_results_of_another(tmp_path, monkeypatch):
    run = script("notebooks/run.py")
    folder = tmp_path / "profiles"
    folder.mkdir()
    text = (PROJECT / "profiles" / "tiny.yml").read_text()
    for name in ("tiny", "mine"):
        (folder / f"{name}.yml").write_text(text)
    for module in (run, sys.modules[run.read.__module__]):
        monkeypatch.setattr(module, "PROFILES", folder)
    monkeypatch.setitem(run.read.__globals__, "PROFILES", folder)
    with pytest.raises(SystemExit, match=r"mine has profile: tiny, .*; write mine"):
        run.run(NOTEBOOKS[0], "mine", tmp_path / "out.ipynb")
    (folder / "mine.yml").write_text(text.replace("profile: tiny", "profile: mine"))
    with pytest.raises(SystemExit, match=r"has results: results/tiny, .*; write results/mine"):
        run.run(NOTEBOOKS[0], "mine", tmp_path / "out.ipynb")
    assert visible(tmp_path) == ["profiles"]


def test_one_parameter_from_the_command_line(tmp_path):
    command = [sys.executable, "notebooks/run.py", NOTEBOOKS[0], "--profile", "tiny"]
    options = ["-p", "images", "-5", "-p", "results", str(tmp_path)]
    done = subprocess.run(
        [*command, "--output", tmp_path / "out.ipynb", *options],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    assert "images must be from 1 to that, got -5" in done.stderr
    assert visible(tmp_path) == []


def visible(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_changed_parameters_make_a_notebook_stale(tmp_path, monkeypatch):
    parameters = script("notebooks/parameters.py")
    monkeypatch.setattr(parameters, "PROFILES", tmp_path)
    profile, out = tmp_path / "mine.yml", tmp_path / "out"
    profile.write_text("a: {steps: [4, 8]}\nb: {steps: [4]}\n")
    parameters.write("mine", out)
    for path in out.iterdir():
        os.utime(path, (0, 0))
    profile.write_text("# a comment\na: {steps: [4, 6]}\nb: {steps: [4]}\n")
    parameters.write("mine", out)
    assert yaml.safe_load((out / ".a.yml").read_text()) == {"steps": [4, 6]}
    assert (out / ".a.yml").stat().st_mtime > 0 == (out / ".b.yml").stat().st_mtime
    with pytest.raises(SystemExit, match="no profile yours; choose from mine"):
        parameters.write("yours", out)


OF_MAKE = [f"book/notebooks/{name}.ipynb" for name in ("01_a", "02_b")]


def test_make_runs_what_has_changed(tmp_path):
    """The real Makefile, with a Python that only writes down what it is asked to run."""
    (tmp_path / "Makefile").write_text((PROJECT / "Makefile").read_text())
    for name in (
        "requirements.lock", "pyproject.toml", ".venv/bin/python", ".venv/.complete", "README.md",
        "_config.yml", "notebooks/run.py", "profiles/quick.yml", "results/full/headline.csv",
        "fsrepro/figures.py", "fsrepro/experiments/figures.py", "fsrepro/experiments/results.py",
        "book/draw.py", "book/provenance.py", "book/cards.py", "book/export_codes.py",
        "book/export_network.py", "book/export_runs.py", "book/a.md", "book/figures/a.svg",
        "book/static/neuron/codes.js", "book/static/network/network.js",
        "book/static/explorer/runs.js", "book/static/explorer/plotly.min.js",
        "_build/html/index.html",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(PROJECT / "notebooks" / "parameters.py", tmp_path / "notebooks")
    for name in ("01_a", "02_b"):
        (tmp_path / "notebooks" / f"{name}.py").touch()
    scripts = {
        "python": f"""case $1 in
  notebooks/parameters.py) exec {sys.executable} "$@" ;;
  notebooks/run.py) echo "$2" >> ran; touch "$6" ;;
  -c) mkdir -p book/static/mathjax; touch book/static/mathjax/tex-svg.js.partial ;;
esac""",
        "jupyter-book": "echo pages >> ran",
    }
    for name, text in scripts.items():
        script = tmp_path / ".venv" / "bin" / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)

    def ran(profile, *steps, goals=OF_MAKE):
        (tmp_path / "profiles" / f"{profile}.yml").write_text(
            "\n".join(
                f"{name}: {{profile: {profile}, steps: [{k}]}}"
                for name, k in zip(("01_a", "02_b"), steps, strict=True)
            )
        )
        (tmp_path / "ran").write_text("")
        subprocess.run(["make", f"PROFILE={profile}", *goals], cwd=tmp_path, check=True)
        return sorted((tmp_path / "ran").read_text().split())

    assert ran("quick", 4, 4) == ["01_a", "02_b"]
    assert ran("quick", 4, 4) == []
    assert ran("quick", 8, 4) == ["01_a"]
    assert ran("full", 8, 4) == ["01_a", "02_b"]
    assert ran("quick", 8, 4) == ["01_a", "02_b"]
    assert ran("quick", 8, 4, goals=["book"]) == ["pages"]
    assert ran("quick", 8, 4, goals=["book"]) == []
    (tmp_path / "book" / "a.md").write_text("another chapter")
    assert ran("quick", 8, 4, goals=["book"]) == ["pages"]


ROUNDS = sorted(path.stem for path in (PROJECT / "checkpoints").glob("*_round*.fs"))


@pytest.mark.parametrize("name", ROUNDS)
def test_the_history_of_a_later_round_holds_the_earlier_ones(name):
    folder = PROJECT / "checkpoints"
    card = json.loads((folder / f"{name}.json").read_text())
    history, earlier = (
        pd.read_csv(folder / f"{network}.history.csv") for network in (name, card["start"])
    )
    pd.testing.assert_frame_equal(history.head(len(earlier)), earlier)
    assert list(history["epoch"]) == list(range(1, len(earlier) + card["recipe"]["epochs"] + 1))


def written(folder, **changes):
    row = dict.fromkeys(results.HEADLINE_COLUMNS, 1) | changes
    del row["experiment"], row["commit"]
    arguments = {
        "tables": {"": pd.DataFrame({"a": [1]}), "layers": pd.DataFrame({"b": [1 / 3]})},
        "headline": {"accuracy": 2 / 3},
        "headline_rows": [row],
        "parameters": {},
        "data": {},
    }
    results.write(folder, "09_trial", **arguments)


def test_results_are_rounded_and_headline_rows_replaced(tmp_path):
    written(tmp_path, steps=8)
    written(tmp_path, steps=9)
    assert pd.read_csv(tmp_path / "headline.csv")["steps"].tolist() == [9]
    assert (tmp_path / "09_trial_layers.csv").read_text() == "b\n0.333333333\n"
    assert results.read(tmp_path, "09_trial")["headline"] == {"accuracy": 0.666666667}


def test_the_headline_does_not_depend_on_which_experiment_is_done_first(tmp_path):
    row = dict.fromkeys(results.HEADLINE_COLUMNS, 1 / 3)
    del row["experiment"], row["commit"]
    found = {"01_some": [row], "02_none": [], "03_whole": [dict.fromkeys(row, 0.0)]}
    texts = set()
    for order in itertools.permutations(found):
        folder = tmp_path / "-".join(order)
        for name in order:
            results.write(
                folder, name, tables={}, headline={}, headline_rows=found[name], parameters={},
                data={},
            )  # fmt: skip
        texts.add((folder / "headline.csv").read_text())
    assert len(texts) == 1 and "0.333333333," in texts.pop()


def test_wrong_headline_columns_write_nothing(tmp_path):
    with pytest.raises(ValueError, match="colour"):
        written(tmp_path / "new", colour="red")
    assert not (tmp_path / "new").exists()


def test_commit_says_whether_code_notebooks_or_profiles_changed(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        results, "__file__", str(tmp_path / "fsrepro" / "experiments" / "results.py")
    )
    for folder in ("fsrepro/experiments", "fsrepro/codes", "notebooks", "profiles", "book"):
        (tmp_path / folder).mkdir(parents=True)
    git("init", "--quiet")
    assert results.commit() == "unknown"
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    for folder, mark in {
        "book": "",
        "notebooks": "+",
        "profiles": "+",
        "fsrepro/codes": "+",
    }.items():
        (tmp_path / folder / "new").touch()
        assert results.commit().partition("+")[1] == mark
        (tmp_path / folder / "new").unlink()


def test_missing_result_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        results.read(tmp_path, "01_relu_baseline")


def test_published_results_are_of_the_full_profile_on_all_test_images():
    for path in (PROJECT / "results" / "full").glob("[0-9][0-9]_*.json"):
        provenance = json.loads(path.read_text())["provenance"]
        assert provenance["parameters"]["profile"] == "full"
    headline = pd.read_csv(PROJECT / "results" / "full" / "headline.csv")
    in_keras = (headline["dataset"] == "cifar10") & (headline["simulator"] == "keras")
    assert (headline.loc[in_keras, "images"] == 10_000).all()


@pytest.mark.parametrize("name", ["README.md", "REPRODUCING.md"])
def test_tables_are_what_the_results_say(name):
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert script("book/readme.py").filled(name, text) == text, "run `make readme`"


def test_import_is_light():
    code = (
        "import sys, time; start = time.perf_counter(); import fsrepro, fsrepro.codes;"
        "assert 'tensorflow' not in sys.modules; print(time.perf_counter() - start)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(out.stdout) < 2  # half a second on a free machine


def test_lock_file_names_no_host():
    assert "://" not in (PROJECT / "requirements.lock").read_text()
