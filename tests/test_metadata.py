"""What others read of the project says the same everywhere: version, licence, keywords, sources."""

import json
import re
import tomllib

import yaml
from scripts import PROJECT

import fsrepro

BIBLIOGRAPHY = (PROJECT / "book" / "references.bib").read_text(encoding="utf-8")


def text(name):
    return (PROJECT / name).read_text(encoding="utf-8")


def test_citation_metadata_package_and_paper_say_the_same():
    citation, code = yaml.safe_load(text("CITATION.cff")), json.loads(text("codemeta.json"))
    package = tomllib.loads(text("pyproject.toml"))["project"]
    paper = yaml.safe_load(text("paper.md").split("---")[1])
    assert citation["version"] == code["version"] == fsrepro.__version__
    assert f"## [{fsrepro.__version__}] - " in text("CHANGELOG.md")
    assert citation["title"] == paper["title"]
    assert code["description"] == package["description"]
    assert citation["title"].lower() == f"{code['name']}: {code['description']}".lower()
    assert citation["license"] == package["license"] == code["license"].rpartition("/")[2]
    assert citation["keywords"] == code["keywords"] == package["keywords"]
    assert {*paper["tags"]} <= {"Python", *citation["keywords"]}
    authors = citation["authors"], code["author"], package["authors"], paper["authors"]
    assert len({tuple(author["name"] for author in of) for of in authors}) == 1


def test_what_is_referred_to_is_in_the_bibliography():
    articles = [entry for entry in yaml.safe_load(text("CITATION.cff"))["references"]
                if entry["type"] == "article"]  # fmt: skip
    dois = {entry["doi"] for entry in articles}
    code = json.loads(text("codemeta.json"))["referencePublication"]
    assert {entry["@id"].partition("doi.org/")[2] for entry in code} == dois
    assert [entry["name"] for entry in code] == [entry["title"] for entry in articles]
    assert all(f"{{{doi}}}" in BIBLIOGRAPHY for doi in dois)


def test_the_paper_has_the_form_of_the_journal():
    _, header, body = text("paper.md").split("---", 2)
    assert (PROJECT / yaml.safe_load(header)["bibliography"]).exists()
    assert re.findall(r"^# (.+)", body, re.MULTILINE) == [
        "Summary", "Statement of need", "State of the field", "Software design",
        "Research impact statement", "AI usage disclosure", "References",
    ]  # fmt: skip
    assert 750 <= len(body.split()) <= 1000
    assert set(re.findall(r"@(\w+)", body)) <= set(re.findall(r"^@\w+{(\w+),", BIBLIOGRAPHY, re.M))
    without = re.sub(r"\[[^]]*@[^]]*\]|@\w+|CIFAR-10", "", body)
    assert not re.search(r"\d", without), "results are in the book"
