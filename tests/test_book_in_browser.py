"""Every built page in a browser, wide and narrow: no error, no request, no sideways scroll."""

import pytest
from scripts import PROJECT, in_browser, script
from tab import Tab, complaints

pytestmark = pytest.mark.built

book_print = script("book/print.py")
PAGES = PROJECT / "_build" / "html"
FILES = sorted(path for path in PAGES.rglob("*.html") if "_static" not in path.parts)

# How wide the page is, and which elements reach over its edge that no box scrolls or hides.
WIDTH = """(() => {
  const edge = document.documentElement.clientWidth + 1;
  const boxed = (element) => element !== document.body
    && (getComputedStyle(element).overflowX !== "visible" || boxed(element.parentElement));
  const names = [...document.querySelectorAll("body *")]
    .filter((element) => {
      const { left, right } = element.getBoundingClientRect();
      return Math.max(right, left + element.scrollWidth) > edge && !boxed(element);
    })
    .map((element) => `${element.localName}: ${element.textContent.slice(0, 60)}`);
  return [document.documentElement.scrollWidth, names.slice(-3)];
})()"""

# Formulas and code that a reader would have to scroll, and tables of chapters, at the width of a
# desktop.
CUT = """[...document.querySelectorAll(
  "article div.math mjx-container, .pst-scrollable-table-container, .cell_input pre")]
  .filter((box) => box.scrollWidth > box.clientWidth + 2)
  .map((box) => `${box.scrollWidth - box.clientWidth} px of ${box.textContent.trim().slice(0, 60)}`)
"""


@in_browser
@pytest.mark.skipif(not FILES, reason="no built pages: make book")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "path", FILES or [PAGES / "index.html"], ids=lambda path: path.relative_to(PAGES).as_posix()
)
def test_page_loads_in_silence_and_fits(browser, path, width):
    with Tab(browser, width) as tab:
        tab.show(path)
        reaches, names = tab.run(WIDTH)
        cut = tab.run(CUT)
    assert list(complaints(tab.events)) == []
    assert reaches <= width + 1, f"wider than the page: {names}"
    assert width < 1280 or not cut


@in_browser
def test_browser_test_sees_what_is_wrong(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<script>console.error("one"); throw Error("two")</script><img src="three.png">'
        '<img src="http://127.0.0.1:9/four.png"><p style="width: 2000px">five</p>'
        '<div class="pst-scrollable-table-container" style="overflow-x: auto; width: 200px">'
        '<table style="width: 300px"><td>six</table></div>'
    )
    with Tab(browser, 390) as tab:
        tab.show(page)
        reaches, names = tab.run(WIDTH)
        cut = tab.run(CUT)
    found = "\n".join(complaints(tab.events))
    assert all(word in found for word in ("one", "two", "three", "asks for http://127.0.0.1:9/"))
    assert reaches > 2000 and names[-1] == "p: five"
    assert cut == ["100 px of six"]


# What is found in the order in which it is shown.
FOUND = """(async () => {
  for (let i = 0; i < 100 && !document.querySelector("ul.search li"); i++)
    await new Promise((done) => setTimeout(done, 50));
  await new Promise((done) => setTimeout(done, 500));
  return [...document.querySelectorAll("ul.search li > a")].map((a) => a.getAttribute("href"));
})()"""


@in_browser
@pytest.mark.skipif(not FILES, reason="no built pages: make book")
def test_search_shows_chapters_before_the_glossary_and_notebooks(browser):
    with Tab(browser, 1280) as tab:
        tab.show(PAGES / "search.html", "?q=mixed+radix")
        found = tab.run(FOUND)
    pages = [address.split("#")[0] for address in found]
    assert pages[0] == "huffman_codes.html"
    chapters = [page for page in pages if "/" not in page and not page.startswith("glossary")]
    assert len(set(chapters)) > 5
    assert pages.index("glossary.html") > pages.index("cifar10.html")
    assert "/" not in "".join(pages[: pages.index("glossary.html")])


# How the pictures of a page look: whether it is a drawing, for a phone, its filter.
PICTURES = """[...document.querySelectorAll("article img")]
  .filter((image) => image.getBoundingClientRect().width)
  .map((image) => [image.src.includes(".narrow."), image.classList.contains("drawing"),
                   getComputedStyle(image).filter !== "none",
                   getComputedStyle(image).backgroundColor])"""


@in_browser
@pytest.mark.skipif(not FILES, reason="no built pages: make book")
@pytest.mark.parametrize("width", [1280, 390])
def test_figures_fit_a_phone_and_the_dark(browser, width):
    with Tab(browser, width) as tab:
        for mode in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": mode}]
            tab.call("Emulation.setEmulatedMedia", features=features)
            tab.show(PAGES / "imagenet.html")
            pictures = tab.run(PICTURES)
            assert [narrow for narrow, *_ in pictures] == [width == 390] * 5
            assert [drawn for _, drawn, *_ in pictures] == [True] * 4 + [False]  # photographs
            assert all(turned == (mode == "dark") for _, drawn, turned, _ in pictures if drawn)
        assert pictures[-1][-1] == "rgb(255, 255, 255)"  # a plate behind dark letters


TABLE = """<article><table class="table"><thead><tr><th>name</th><th>loss</th></tr></thead><tbody>
  <tr><td>b, 10</td><td>−0.2 (−1 to 3)</td></tr> <tr><td>b, 9</td><td>1,200</td></tr>
  <tr><td>c</td><td>–</td></tr> <tr><td>a</td><td>3.9 × 10⁻⁴</td></tr>
  </tbody></table></article><script src="{}"></script>"""
ROWS = """[document.activeElement.textContent,
  [...document.querySelectorAll("th")].map((th) => th.ariaSort),
  [...document.querySelectorAll("td:first-child")].map((td) => td.textContent)]"""


@in_browser
def test_table_is_sorted_with_the_keyboard(browser, tmp_path):
    page = tmp_path / "page.html"
    script = (PROJECT / "book" / "static" / "tables.js").as_uri()
    page.write_text("<!doctype html><meta charset='utf-8'>" + TABLE.replace("{}", script))
    states = []
    with Tab(browser, 390) as tab:
        tab.show(page)
        for key in ("Tab", "Enter", "Tab", "Enter", "Enter"):
            tab.press(key, {"Tab": 9, "Enter": 13}[key])
            states.append(tab.run(ROWS))
        assert list(complaints(tab.events)) == []
    assert states == [
        ["name", [None, None], ["b, 10", "b, 9", "c", "a"]],
        ["name", ["ascending", None], ["a", "b, 9", "b, 10", "c"]],
        ["loss", ["ascending", None], ["a", "b, 9", "b, 10", "c"]],
        ["loss", [None, "ascending"], ["b, 10", "a", "b, 9", "c"]],
        ["loss", [None, "descending"], ["b, 9", "a", "b, 10", "c"]],
    ]


@in_browser
def test_printed_contents_have_the_pages_of_the_headings(tmp_path):
    chapter = """<span id="document-{0}"></span><section id="{0}">
      <h2><span class="section-number">{1}. </span>Of {0}<a class="headerlink">#</a></h2>
      <p id="id1">Text, cited <a href="index.html#id1">there</a>.</p>
      <section id="results"><h3>Results</h3><p style="break-before: page">More</p></section>
    </section>"""
    source = (
        '<html><head><title></title></head><body><nav>Menu</nav><article class="bd-article">'
        "<section><h1>Spikes: a book</h1><section><h2>Of the first page</h2><p>First</p></section>"
        f"{chapter.format('one', 1)}"
        f'{chapter.format("two", 2)}<div class="citation" id="id1">A paper</div>'
        "</section></article></body></html>"
    )
    config = {"title": "trial", "author": "nobody"}
    page = book_print.paper(source, config, {"one": "Part"}, "tiny")
    pdf = book_print.printed(page, tmp_path)
    where = book_print.pages_of_anchors(pdf)
    book_print.fill_pages(page, where)
    contents = page.select_one("nav.book-contents")
    lines = [[cell.get_text() for cell in line] for line in contents.select("a")]
    assert contents.get_text(" ").startswith("Contents Part 1 Of one")
    assert [line[:2] for line in lines] == [
        ["1", "Of one"],
        ["", "Results"],
        ["2", "Of two"],
        ["", "Results"],
    ]
    first, inner, second, _ = (int(line[2]) for line in lines)
    assert first == inner < second == first + 2
    assert "Menu" not in page.get_text() and not page.select(".headerlink")
    identifiers = [element["id"] for element in page.select("[id]")]
    assert len(identifiers) == len(set(identifiers))
    assert page.select_one(page.select_one("p > a")["href"]).get_text() == "A paper"
