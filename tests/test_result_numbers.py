"""Numbers in the text lead to the file, key and commit that they come from."""

import json
import re
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from scripts import PROJECT, script

from fsrepro.experiments.results import plain

numbers = script("book/_ext/result_numbers.py")
PAGES = PROJECT / "_build" / "html"
HEADLINE = {"images": 10000, "loss": -0.25, "name": "best", "right": True}
DOCUMENTS = {"trial": ("01_trial", {"headline": HEADLINE})}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'%.2f' % full.trial.loss", [("trial", "loss")]),
        ("'%.0f' % (100 * full.trial.loss)", [("trial", "loss")]),
        ("full.trial.images_text", [("trial", "images")]),
        ("full.trial.loss - full.trial.images", [("trial", "loss"), ("trial", "images")]),
        ("full.trial.name", []),
        ("full.trial.right", []),
        ("full.other.loss", []),
        ("run.trial.loss", []),
    ],
)
def test_the_numbers_of_an_expression(expression, expected):
    assert numbers.numbers_of(expression, DOCUMENTS) == expected


def test_text_is_linked_but_where_no_link_can_be(monkeypatch):
    monkeypatch.setattr(numbers, "published", lambda: DOCUMENTS)
    filled = {"full": {"trial": HEADLINE}}
    app = SimpleNamespace(config=SimpleNamespace(myst_substitutions=filled))
    number = "{{ '%.1f' % full.trial.loss }}"
    plain = f"# Of {number}\n:alt: Of {number}\n```{{table}} Of {number}\n"
    source = [f"{plain}Of {number} points."]
    numbers._link_numbers(app, "page", source)
    assert source[0] == plain + "Of {number}`−0.2 <number-trial-loss>` points."


@pytest.mark.built
def test_every_number_of_the_pages_has_its_row_and_the_row_the_value_of_the_file():
    if not PAGES.is_dir():
        pytest.skip("no built pages: make book")
    page = BeautifulSoup((PAGES / "numbers.html").read_text("utf-8"), "html.parser")
    rows = {row["id"]: [cell.get_text() for cell in row("td")] for row in page.select("tr[id]")}
    used = set()
    for path in PAGES.glob("*.html"):
        for link in re.findall(r'href="numbers\.html#(number-[\w-]+)"', path.read_text("utf-8")):
            used.add(link)
    # Titles of tables quote a few that they cannot link.
    assert used <= set(rows) and len(used) > 0.95 * len(rows)
    for name, (file, document) in numbers.published().items():
        copied = json.loads((PAGES / "results" / "full" / f"{file}.json").read_text("utf-8"))
        assert copied == document
        for key, value in document["headline"].items():
            if numbers.label(name, key) in rows:
                assert rows[numbers.label(name, key)] == [f"{file}: {key}", plain(f"{value}")]
