"""What `make book` finds wrong with a page, on small pages that are wrong in one way."""

import pytest
from scripts import script

check_pages = script("book/check_pages.py")

WELL = """<link rel="stylesheet" href="_static/book.css?v=1"><article>
  <h1 id="top">A title</h1> <h2>A section</h2> <h3>Below</h3> <h2>Another</h2>
  <a href="#top">up</a> <a href="notebooks/one.html#there">on</a> <a href="#x=1&K=8">play</a>
  <a href="https://doi.org/10.1038/s42256-021-00311-4">paper</a>
  <img src="_static/a%20b.svg" alt="A curve"> <img src="data:image/gif;base64,AA" alt="A dot">
  <span class="math">\\(x \\ge {{T}}\\)</span> <code>{{ "$a$" }}</code> <pre>??</pre>
  <td>−0.5 to 1-2</td> <td><code>-1 01_relu</code></td> <th>ResNet-8</th>
  <div class="citation"><span class="label">[Amari, 1998]</span></div>
  costs $ 5 or 10 $ <script>"{{"</script> <!-- [?] --></article>"""


def problems(folder, body=WELL):
    """What is found on the page index.html with that body, in a book with one more page."""
    for name, text in {
        "index.html": body,
        "notebooks/one.html": '<article><h1 id="there">One</h1><a href="../index.html">back</a>',
        "_static/book.css": "",
        "_static/a b.svg": "",
        "_static/not_a_page.html": "<h4>{{",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    found = check_pages.problems(folder)
    assert found.keys() == {"index.html", "notebooks/one.html"}
    assert found["notebooks/one.html"] == []
    return found["index.html"]


def test_a_page_that_is_well_has_no_problem(tmp_path):
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    "body,expected",
    [
        ('<a href="two.html">x</a>', "broken link: two.html"),
        ('<a href="notebooks/">x</a>', "broken link: notebooks/"),
        ('<a href="#where">x</a>', "no such anchor: #where"),
        ('<a href="notebooks/one.html#x">x</a>', "no such anchor: notebooks/one.html#x"),
        ('<script src="gone.js"></script>', "broken link: gone.js"),
        ('<a href="http://a.example">x</a>', "href outside the book: http://a.example"),
        ('<script src="//a.example/a.js"></script>', "src outside the book: //a.example/a.js"),
        ('<link href="https://doi.org/10.1">', "href outside the book: https://doi.org/10.1"),
        ('<img src="_static/a%20b.svg">', "picture without alternative text: _static/a%20b.svg"),
        (
            '<img src="_static/book.css" alt="../_static/book.css">',
            "picture without alternative text: _static/book.css",
        ),
        ("<h1>One</h1><h3>Three</h3>", "heading skips a level: h3 'Three'"),
        ("<h2>No title</h2>", "heading skips a level: h2 'No title'"),
        ('<p id="a"><i id="a"></i>', "identifier used twice: a"),
        ("<p>as [?] shows</p>", "unresolved reference: ...as [?] shows..."),
        ("<p>Fig. ?? shows</p>", "unresolved reference: ...Fig. ?? shows..."),
        ("<p>is {{ full.a</p>", "unfilled number: ...is {{ full.a..."),
        ("<p>by {cite:p}`a`</p>", "raw role: ...by {cite:p}`a`..."),
        ("<p>a \\frac b</p>", "raw LaTeX: ...a \\frac b..."),
        (
            '<div class="citation"><span class="label">[Ama98]</span></div>',
            "not how it is cited: [Ama98]",
        ),
        ("<td>-0.5</td>", "hyphen for a minus in a table: -0.5"),
        ("<td>0.1 (-.2 to 3)</td>", "hyphen for a minus in a table: 0.1 (-.2 to 3)"),
        ("<td>2.6e-03</td>", "number of a program in a table: 2.6e-03"),
        ("<td>01_relu</td>", "name of a file or a variable in a table: 01_relu"),
        ("<td>resnet8</td>", "name of a file or a variable in a table: resnet8"),
        ("<th>synops_per_mac</th>", "name of a file or a variable in a table: synops_per_mac"),
        ("<p>an $x^2$ here</p>", "raw LaTeX: ...an $x^2$ here..."),
    ],
)
def test_each_problem_is_found_and_named(tmp_path, body, expected):
    assert problems(tmp_path, body) == [expected]


def test_citations_and_entries_belong_together():
    bibliography = "@article{one,\n title={T}}\n@book{two,\n}\n@misc{three,\n}\n@misc{a2020,\n}"
    sources = {
        "a.md": "as {cite:p}`one, two` and {cite:t}`four`", "b.py": "# {cite:p}`one`",
        "paper.md": "@a2020 or [@b2021]",
    }  # fmt: skip
    assert check_pages.citation_problems(bibliography, sources) == [
        "a.md: cites four, which the bibliography does not have",
        "paper.md: cites b2021, which the bibliography does not have",
        "references.bib: nothing cites three",
    ]


def test_every_entry_of_the_bibliography_is_cited():
    bibliography = check_pages.BIBLIOGRAPHY.read_text(encoding="utf-8")
    assert check_pages.citation_problems(bibliography, check_pages.sources()) == []
