"""Check the pages of the book as they were built.

    python book/check_pages.py    # prints one line if _build/html is well, else each page: problem

Links and anchors lead somewhere, pictures have an alternative text, headings skip no level, nothing
is loaded from elsewhere, no reference or formula stayed raw, tables of chapters have words and
minus signs where files have names and hyphens, and each entry of the bibliography is cited.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

PROJECT = Path(__file__).parents[1]
PAGES = PROJECT / "_build" / "html"
BIBLIOGRAPHY = PROJECT / "book" / "references.bib"

# Where a page may point to outside the book, for a reader to click. Nothing may be loaded.
LINKED = {
    "https://doi.org/": "papers",
    "https://github.com/": "software that was used or compared with",
    "https://mybinder.org/": "the notebooks, to run",
}
UNRESOLVED = {
    "unresolved reference": r"\[\?\]|\?\?|<missing>",
    "unfilled number": r"\{\{|\}\}",
    "raw role": r"\{(cite|doc|numref|eq|ref|math)(:\w+)?\}",
    "raw LaTeX": r"\\[a-zA-Z]{2,}|\\[()\[\]]|\$[^$\s][^$]*\$",
}
IN_TABLES = {
    "hyphen for a minus": r"(?<![\w)-])-\.?\d",
    "number of a program": r"\d[eE][+-]\d",
    "name of a file or a variable": r"\b\d\d_[a-z]|\b(resnet|cifar)\d|[a-z]_[a-z]",
}
# Whose tables name what files and the library hold.
OF_FILES = {"genindex.html", "numbers.html", "provenance.html", "cards.html"}


def address_problems(
    name: str, pages: dict[str, BeautifulSoup], anchors: dict[str, set[str]], folder: Path
) -> Iterator[str]:
    """Broken links and anchors of one page, and addresses outside the book."""
    for element in pages[name].select("[href], [src]"):
        attribute = "src" if element.has_attr("src") else "href"
        address = element[attribute]
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            if element.name != "a" or not address.startswith(tuple(LINKED)):
                yield f"{attribute} outside the book: {address}"
            continue
        target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
        if not target.is_file():
            yield f"broken link: {address}"
            continue
        page = target.resolve().relative_to(folder.resolve()).as_posix()
        # An anchor with "=" is a setting that an interactive page reads, such as #x=1.3&K=8.
        anchor = "" if "=" in parts.fragment else unquote(parts.fragment)
        if anchor and anchor not in anchors.get(page, {anchor}):
            yield f"no such anchor: {address}"


def picture_problems(page: BeautifulSoup) -> Iterator[str]:
    """Pictures without an alternative text. Sphinx puts the file's name where there is none."""
    for picture in page.select("img"):
        alternative = picture.get("alt", "").strip()
        source = picture.get("src", "")
        if not alternative or Path(alternative).name == Path(source).name:
            yield f"picture without alternative text: {source}"


def heading_problems(text: Tag) -> Iterator[str]:
    last = 0
    for heading in text.select("h1, h2, h3, h4, h5, h6"):
        level = int(heading.name[1])
        if level > last + 1:
            yield f"heading skips a level: h{level} {heading.get_text(strip=True)!r}"
        last = level


def identifier_problems(page: BeautifulSoup) -> Iterator[str]:
    for identifier, count in Counter(element["id"] for element in page.select("[id]")).items():
        if count > 1:
            yield f"identifier used twice: {identifier}"


def text_problems(text: Tag) -> Iterator[str]:
    """What should have been replaced. Code may hold anything, and MathJax sets the formulas."""
    text = copy(text)
    for verbatim in text.select("code, pre, script, style, .math"):
        verbatim.extract()
    prose = " ".join(text.get_text().split())
    for kind, pattern in UNRESOLVED.items():
        for match in re.finditer(pattern, prose):
            around = prose[max(0, match.start() - 30) : match.end() + 30]
            yield f"{kind}: ...{around}..."


def table_problems(text: Tag) -> Iterator[str]:
    for cell in text.select("td, th"):
        if cell.select("code, .math"):
            continue
        words = " ".join(cell.get_text().split())
        for kind, pattern in IN_TABLES.items():
            if re.search(pattern, words):
                yield f"{kind} in a table: {words}"


def label_problems(text: Tag) -> Iterator[str]:
    """Labels of references that no citation in the text has: Ama98 for (Amari, 1998)."""
    for label in text.select(".citation .label"):
        if not re.search(r", \d{4}[a-z]?\b", label.get_text()):
            yield f"not how it is cited: {label.get_text(strip=True)}"


def citation_problems(bibliography: str, sources: dict[str, str]) -> list[str]:
    """Entries that no source cites, as the book or as the paper (``@key``); and the reverse."""
    entries = set(re.findall(r"^@\w+\s*\{\s*([^,\s]+)\s*,", bibliography, re.M))
    found, cited = [], set()
    for name, source in sources.items():
        keys = ",".join(re.findall(r"\{cite(?::\w+)?\}`([^`]*)`", source))
        here = re.findall(r"[^,\s]+", keys) + re.findall(r"(?<!\w)@([a-z]+\d{4})\b", source)
        cited.update(here)
        for key in here:
            if key not in entries:
                found.append(f"{name}: cites {key}, which the bibliography does not have")
    return found + [f"references.bib: nothing cites {key}" for key in sorted(entries - cited)]


def sources() -> dict[str, str]:
    """The chapters, the notebooks and the paper, by file name."""
    paths = [*(PROJECT / "book").glob("*.md"), *(PROJECT / "notebooks").glob("*.py")]
    paths.append(PROJECT / "paper.md")
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}


def problems(folder: Path) -> dict[str, list[str]]:
    """The problems of every page below ``folder``, by the page's path."""
    pages = {
        path.relative_to(folder).as_posix(): BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(folder.rglob("*.html"))
        if "_static" not in path.parts
    }
    anchors = {
        name: {
            element.get(key) for element in page.select("[id], [name]") for key in ("id", "name")
        }
        for name, page in pages.items()
    }
    found = {}
    for name, page in pages.items():
        text = page.find("article") or page
        found[name] = [
            *address_problems(name, pages, anchors, folder),
            *picture_problems(page),
            *heading_problems(text),
            *identifier_problems(page),
            *text_problems(text),
            *label_problems(text),
        ]
        if "/" not in name and name not in OF_FILES:  # chapters
            found[name] += table_problems(text)
    return found


if __name__ == "__main__":
    found = problems(PAGES)
    if not found:
        sys.exit(f"no pages in {PAGES.relative_to(PROJECT)}: run `make book`")
    lines = [f"{name}: {problem}" for name, list_ in found.items() for problem in list_]
    lines += citation_problems(BIBLIOGRAPHY.read_text(encoding="utf-8"), sources())
    print("\n".join(lines) or f"{len(found)} pages checked: links, pictures, headings, references")
    sys.exit(bool(lines))
