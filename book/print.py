"""Print the whole book into one PDF: one long HTML page, tidied for paper, printed by Chromium.

    python book/print.py    # _build/singlehtml/index.html -> _build/pdf/fsrepro.pdf

Chromium cannot write on which page the target of a link is. So the book is printed twice: the
first time to learn where each heading falls, the second time with these numbers in the contents.
How it looks is said in static/print.css, which also serves whoever prints a single page.
"""

import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader

from fsrepro.experiments.results import commit
from fsrepro.files import atomic, write_text

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "_build" / "singlehtml" / "index.html"
TARGET = PROJECT / "_build" / "pdf" / "fsrepro.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def installed_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def tidied(page: BeautifulSoup) -> Tag:
    """The text of the book without what only a screen needs, every anchor with one target."""
    article = page.select_one("article.bd-article")
    for useless in article.select("a.headerlink, button, details.hide, noscript"):
        useless.decompose()
    for anchor in article.select("span[id^='document-api/']"):  # the reference is for the screen
        if not anchor.decomposed:
            anchor.find_next_sibling("section").decompose()
            anchor.decompose()
    for link in article.select("a[href^='#document-api/']"):
        link.unwrap()
    for picture in article.select("img[loading]"):
        del picture["loading"]  # lazy pictures below the first screen would stay blank

    # Sphinx numbers anchors in each file anew. Links to `index.html#id7` mean the reference.
    for reference in article.select("div.citation[id]"):
        reference["id"] = f"reference-{reference['id']}"
    for link in article.select("a[href^='index.html#']"):
        anchor = link["href"].split("#")[1]
        link["href"] = f"#{anchor}" if anchor.startswith("equation-") else f"#reference-{anchor}"
    for anchor in article.select("span[id^='document-']"):
        anchor.find_next_sibling("section").insert(0, anchor.extract())
    seen = set()
    for element in article.select("[id]"):
        if element["id"] in seen:
            del element["id"]
        else:
            seen.add(element["id"])
    return article


def with_title_page(page: BeautifulSoup, article: Tag, config: dict, profile: str) -> None:
    """Put the title, who wrote it, and what was printed in front; the first text gets a page."""
    front = page.new_tag("header", attrs={"class": "title-page"})
    title = article.h1.extract()
    name, _, rest = title.get_text().partition(":")
    title.string = name
    for kind, text in {
        "series": config["title"],
        "subtitle": rest.strip(),
        "authors": config["author"],
        "edition": f"Commit {commit()}, notebooks run in profile {profile}",
    }.items():
        front.append(page.new_tag("p", attrs={"class": kind}, string=text))
    front.insert(1, title)
    article.insert(0, front)


def chapters(article: Tag) -> list[Tag]:
    """Sections with a heading that are pages of the book; those of the first page are none."""
    sections = article.select("section:has(> h2)")
    return [section for section in sections if section.select_one("span[id^='document-']")]


def with_contents(page: BeautifulSoup, article: Tag, parts: dict[str, str]) -> None:
    """A table of contents behind the title page: parts, chapters and their sections.

    ``parts`` has the name of each part, by its first chapter. A page number is left open as
    ``data-target``, the heading that it is for.
    """
    contents = page.new_tag("nav", attrs={"class": "book-contents"})
    contents.append(page.new_tag("h2", string="Contents"))
    for chapter in chapters(article):
        name = chapter.select_one("span[id^='document-']")["id"].removeprefix("document-")
        if name in parts:
            contents.append(page.new_tag("p", attrs={"class": "part"}, string=parts[name]))
        for heading in chapter.find_all(["h2", "h3"]):
            contents.append(_line(page, heading, f"contents-{len(contents)}"))
    article.header.insert_after(contents)


def _line(page: BeautifulSoup, heading: Tag, anchor: str) -> Tag:
    """Number, title and page of a heading, linked to it."""
    heading["id"] = anchor
    line = page.new_tag("a", href=f"#{anchor}", attrs={"class": f"to-{heading.name}"})
    number = heading.find(class_="section-number")
    number = number.get_text() if number else ""
    title = heading.get_text().removeprefix(number)
    for kind, text in {"number": number.strip().rstrip("."), "title": title, "page": ""}.items():
        line.append(page.new_tag("span", attrs={"class": kind}, string=text))
    line.contents[-1]["data-target"] = anchor
    return line


def with_running_heads(page: BeautifulSoup, article: Tag) -> str:
    """Style rules that print the title of each chapter at the top of its pages."""
    rules = []
    for i, chapter in enumerate(chapters(article)):
        chapter["class"] = [*chapter.get("class", []), "chapter"]
        chapter["style"] = f"page: chapter-{i}"
        title = chapter.h2.get_text().replace("\\", "\\\\").replace('"', '\\"')
        rules.append(f'@page chapter-{i} {{ @top-right {{ content: "{title}"; }} }}')
    return "\n".join(rules)


def paper(source: str, config: dict, parts: dict[str, str], profile: str) -> BeautifulSoup:
    """The page to print, from the page that Sphinx made."""
    page = BeautifulSoup(source, "html.parser")
    article = tidied(page)
    rules = with_running_heads(page, article)
    with_title_page(page, article, config, profile)
    with_contents(page, article, parts)
    for script in page.head.find_all("script"):
        if "mathjax" not in str(script).lower():
            script.decompose()
    page.html["data-theme"] = page.html["data-mode"] = "light"
    page.title.string = f"{config['title']}: {article.h1.get_text()}"
    page.head.append(page.new_tag("style", string=rules))
    page.body.clear()
    page.body["class"] = "paper"
    page.body.append(article)
    return page


def pages_of_anchors(pdf: bytes) -> dict[str, int]:
    """On which page each anchor is, from 1."""
    reader = PdfReader(io.BytesIO(pdf))
    return {
        anchor.lstrip("/"): reader.get_destination_page_number(place) + 1
        for anchor, place in reader.named_destinations.items()
    }


def fill_pages(page: BeautifulSoup, where: dict[str, int]) -> None:
    for cell in page.select("[data-target]"):
        cell.string = str(where[cell["data-target"]])


def printed(page: BeautifulSoup, folder: Path) -> bytes:
    """The PDF of ``page``, whose pictures and styles are relative to ``folder``."""
    browser = installed_browser()
    if browser is None:
        raise SystemExit(
            f"no browser to print with: none of {', '.join(BROWSERS)} is installed; "
            "install one (apt-get install chromium), then `make pdf`"
        )
    html = folder / "print.html"
    write_text(html, str(page))
    with tempfile.TemporaryDirectory() as scratch:
        pdf = Path(scratch) / "print.pdf"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
            "--generate-pdf-document-outline", "--virtual-time-budget=60000",
            f"--user-data-dir={scratch}/profile", f"--print-to-pdf={pdf}", html.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if not pdf.exists():
            raise SystemExit(f"Chromium printed nothing: {done.stderr[-2000:]}")
        return pdf.read_bytes()


def main() -> None:
    if not SOURCE.exists():
        raise SystemExit(f"{SOURCE.relative_to(PROJECT)} is missing: run `make pdf`")
    config = yaml.safe_load((PROJECT / "_config.yml").read_text())
    toc = yaml.safe_load((PROJECT / "book" / "_toc.yml").read_text())
    parts = {part["chapters"][0]["file"]: part["caption"] for part in toc["parts"]}
    profile = os.environ.get("PROFILE", "quick")
    page = paper(SOURCE.read_text(encoding="utf-8"), config, parts, profile)
    fill_pages(page, pages_of_anchors(printed(page, SOURCE.parent)))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with atomic(TARGET) as partial:
        partial.write_bytes(printed(page, SOURCE.parent))
    print(f"The book on paper is in {TARGET.relative_to(PROJECT)} (profile {profile})")


if __name__ == "__main__":
    main()
