"""Where the button "open on Binder" leads, and when there is none."""

import subprocess
from types import SimpleNamespace

import pytest
from scripts import PROJECT, script

button = script("book/_ext/launch_button.py")
URL = (
    "https://mybinder.org/v2/gh/lab/fs-repro/abc123?urlpath=lab/tree/notebooks/01_relu_baseline.py"
)


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/lab/fs-repro",
        "https://github.com/lab/fs-repro.git",
        "git@github.com:lab/fs-repro.git",
        "ssh://git@github.com/lab/fs-repro.git",
    ],
)
def test_repositories_on_github(remote):
    assert button.binder_url(remote, "abc123", "notebooks/01_relu_baseline.py") == URL


@pytest.mark.parametrize("remote", ["", "/srv/git/fs-repro", "https://example.org/lab/fs-repro"])
def test_other_remotes_have_no_button(remote):
    assert button.binder_url(remote, "abc123", "notebooks/01_relu_baseline.py") is None


def buttons(monkeypatch, page, remote):
    monkeypatch.setattr(button, "_git", lambda *a: remote if a[0] == "remote" else "abc123")
    context = {"header_buttons": []}
    button._add_button(SimpleNamespace(), page, "page.html", context, None)
    return context["header_buttons"]


def test_only_notebook_pages_have_it(monkeypatch):
    remote = "https://github.com/lab/fs-repro"
    (found,) = buttons(monkeypatch, "notebooks/01_relu_baseline", remote)
    assert found["url"] == URL
    assert buttons(monkeypatch, "relu_baseline", remote) == []
    assert buttons(monkeypatch, "notebooks/99_none", remote) == []
    assert buttons(monkeypatch, "notebooks/01_relu_baseline", "") == []


def test_what_binder_runs_is_valid_and_names_files_that_exist():
    script_path = PROJECT / "binder" / "postBuild"
    assert script_path.stat().st_mode & 0o111, "postBuild must be executable"
    subprocess.run(["bash", "-n", script_path], check=True)
    assert (PROJECT / "requirements.lock").is_file()
    assert (PROJECT / "binder" / "runtime.txt").read_text().strip() == "python-3.11"
