"""What tests of the book share: its scripts, which are no package, and a browser."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


def script(path: str):
    """The module at ``path`` in the project, which finds its neighbours as when it is run."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, PROJECT / path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str((PROJECT / path).parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def fragment(page: str) -> str:
    """The HTML of a page of the book to play with, out of its Markdown."""
    text = (PROJECT / "book" / page).read_text("utf-8")
    return re.search(r"```\{raw\} html\n(.*?)```", text, re.S)[1]


BROWSER = script("book/print.py").installed_browser()
in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium to show pages in")
