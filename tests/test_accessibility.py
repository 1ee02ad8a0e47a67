"""No page has a serious fault of accessibility, as far as axe-core can tell."""

from importlib.metadata import files

import pytest
from scripts import PROJECT, in_browser
from tab import Tab

pytestmark = pytest.mark.built

PAGES = PROJECT / "_build" / "html"
FILES = sorted(PAGES.glob("*.html")) + sorted(PAGES.glob("notebooks/*.html"))[:1]
FAULTS = """axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 120))}`))
"""


def axe():
    (file,) = (f for f in files("axe-core-python") if f.name == "axe.min.js")
    return file.locate().read_text("utf-8")


@in_browser
@pytest.mark.skipif(not FILES, reason="no built pages: make book")
@pytest.mark.parametrize("path", FILES or [PAGES / "index.html"], ids=lambda path: path.stem)
def test_page_has_no_serious_fault(browser, path):
    with Tab(browser, 1280) as tab:
        tab.show(path)
        tab.run(axe())
        for theme in ("light", "dark"):
            tab.run(f"document.documentElement.dataset.theme = {theme!r}")
            assert tab.run(FAULTS) == [], theme


@in_browser
def test_a_fault_is_seen(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<html lang="en"><title>A</title><img src="data:,"><button></button></html>')
    with Tab(browser, 1280) as tab:
        tab.show(page)
        tab.run(axe())
        assert [fault.split(":")[0] for fault in tab.run(FAULTS)] == ["button-name", "image-alt"]
