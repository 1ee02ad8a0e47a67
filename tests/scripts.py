"""What tests of the book share: its scripts, which are no package, and a browser."""

import importlib.util
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


def script(path: str):
    """The module at ``path`` in the project."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROWSER = script("book/print.py").installed_browser()
in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium to show pages in")
