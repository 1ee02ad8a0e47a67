"""Check the pages of the book as they were built.

    python book/check_pages.py    # prints one line if _build/html is well, else each page: problem

Links and anchors lead somewhere, pictures have an alternative text, headings skip no level, nothing
is loaded from elsewhere, no reference or formula stayed raw, and each entry of the bibliography is
cited.
"""

import re
import sys
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


def parse(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def address_problems(name: str, pages: dict[str, BeautifulSoup], folder: Path) -> list[str]:
    """Broken links and anchors of one page, and addresses outside the book."""
    found = []
    for element in pages[name].select("[href], [src]"):
        attribute = "src" if element.has_attr("src") else "href"
        address = element[attribute]
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            if element.name != "a" or not address.startswith(tuple(LINKED)):
                found.append(f"{attribute} outside the book: {address}")
            continue
        target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
        if not target.is_file():
            found.append(f"broken link: {address}")
            continue
        page = pages.get(target.resolve().relative_to(folder.resolve()).as_posix())
        # An anchor with "=" is a setting that the interactive page reads, such as #x=1.3&K=8.
        if page and parts.fragment and "=" not in parts.fragment:
            anchor = unquote(parts.fragment)
            if page.find(id=anchor) is None and page.find(attrs={"name": anchor}) is None:
                found.append(f"no such anchor: {address}")
    return found


def picture_problems(page: BeautifulSoup) -> list[str]:
    """Pictures without an alternative text. Sphinx puts the file's name where there is none."""
    found = []
    for picture in page.select("img"):
        alternative = picture.get("alt", "").strip()
        source = picture.get("src", "")
        if not alternative or Path(alternative).name == Path(source).name:
            found.append(f"picture without alternative text: {source}")
    return found


def heading_problems(page: BeautifulSoup) -> list[str]:
    found, last = [], 0
    for heading in _text(page).find_all(re.compile("^h[1-6]$")):
        level = int(heading.name[1])
        if level > last + 1:
            found.append(f"heading skips a level: h{level} {heading.get_text(strip=True)!r}")
        last = level
    return found


def identifier_problems(page: BeautifulSoup) -> list[str]:
    identifiers = [element["id"] for element in page.select("[id]")]
    twice = dict.fromkeys(i for i in identifiers if identifiers.count(i) > 1)
    return [f"identifier used twice: {identifier}" for identifier in twice]


def text_problems(page: BeautifulSoup) -> list[str]:
    """What should have been replaced. Code may hold anything, and MathJax sets the formulas."""
    prose = []
    for string in _text(page).find_all(string=True):
        ancestors = [string.parent, *string.parent.parents]
        if type(string).__name__ == "NavigableString" and not any(map(_is_verbatim, ancestors)):
            prose.append(string)
    prose = " ".join("".join(prose).split())
    found = []
    for kind, pattern in UNRESOLVED.items():
        for match in re.finditer(pattern, prose):
            around = prose[max(0, match.start() - 30) : match.end() + 30]
            found.append(f"{kind}: ...{around}...")
    return found


def _text(page: BeautifulSoup) -> Tag:
    return page.find("article") or page


def _is_verbatim(element: Tag) -> bool:
    return element.name in ("code", "pre", "script", "style") or "math" in element.get("class", [])


def citation_problems(bibliography: str, sources: dict[str, str]) -> list[str]:
    """Entries that no source cites, and citations without an entry."""
    entries = set(re.findall(r"^@\w+\s*\{\s*([^,\s]+)\s*,", bibliography, re.M))
    found, cited = [], set()
    for name, source in sources.items():
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]*)`", source):
            for key in re.split(r"[,\s]+", keys.strip()):
                cited.add(key)
                if key not in entries:
                    found.append(f"{name}: cites {key}, which the bibliography does not have")
    return found + [f"references.bib: nothing cites {key}" for key in sorted(entries - cited)]


def sources() -> dict[str, str]:
    """The chapters and notebooks, by file name."""
    paths = [*(PROJECT / "book").glob("*.md"), *(PROJECT / "notebooks").glob("*.py")]
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}


def problems(folder: Path) -> dict[str, list[str]]:
    """The problems of every page below ``folder``, by the page's path."""
    files = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    pages = {
        path.relative_to(folder).as_posix(): parse(path.read_text(encoding="utf-8"))
        for path in files
    }
    return {
        name: [
            *address_problems(name, pages, folder),
            *picture_problems(page),
            *heading_problems(page),
            *identifier_problems(page),
            *text_problems(page),
        ]
        for name, page in pages.items()
    }


def main() -> int:
    found = problems(PAGES)
    if not found:
        print(f"no pages in {PAGES.relative_to(PROJECT)}: run `make book`")
        return 1
    lines = [f"{name}: {problem}" for name, list_ in found.items() for problem in list_]
    lines += citation_problems(BIBLIOGRAPHY.read_text(encoding="utf-8"), sources())
    print("\n".join(lines) or f"{len(found)} pages checked: links, pictures, headings, references")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
