"""What runs elsewhere, held against what is here: workflows, their targets and files, the image."""

import re
from fnmatch import fnmatch

import pytest
import yaml
from scripts import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:bib|lock|py|toml)\b|\.ci/\w+")


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def goals(text):
    """Of every call of make in a shell script."""
    calls = re.findall(r"^\s*make\b([^#\n;&|]*)", text, re.MULTILINE)
    return {word for call in calls for word in call.split() if "=" not in word and word[0] != "-"}


def goals_of(workflow):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return goals("\n".join(step.get("run", "") for step in steps))


def targets():
    """What the Makefile can be asked for."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return set(re.search(r"^\.PHONY: (.*)", text, re.MULTILINE)[1].split()) | {".venv/.complete"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_asks_for_what_there_is(path):
    assert goals_of(read(path)) <= targets()
    lines = path.read_text(encoding="utf-8").splitlines()
    for name in FILE.findall("\n".join(line.split("#")[0] for line in lines)):
        assert (PROJECT / name).exists(), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_little_and_ends(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 120, name
        written = [key for key, value in job.get("permissions", {}).items() if value == "write"]
        assert not written or (path.stem, name) == ("pages", "publish")
        for action in filter(None, (step.get("uses") for step in job["steps"])):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+|docker://[\w/-]+:[\d.]+", action), action


def test_the_workflows_do_what_continuous_integration_does():
    here = goals((PROJECT / ".ci" / "run").read_text(encoding="utf-8"))
    assert here == {"test", "book", "check"}
    assert here <= goals_of(read(PROJECT / ".github" / "workflows" / "tests.yml"))


def test_the_image_is_made_of_what_is_committed():
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    ignored = [
        line for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and line[0] != "#"
    ]  # fmt: skip
    for names in re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for name in names.split():
            assert (PROJECT / name).exists(), name
            assert not any(fnmatch(name, pattern) for pattern in ignored), name
    of_git = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    made = {line.strip("/") for line in of_git if line.startswith("/")}
    assert made <= set(ignored), "what make book leaves behind is no part of an image"
    (goal,) = re.findall(r'^CMD \["make", "(\w+)"\]$', text, re.MULTILINE)
    assert {goal, *goals(text.replace("RUN ", ""))} <= targets()


def test_the_forms_of_issues_are_forms():
    folder = PROJECT / ".github" / "ISSUE_TEMPLATE"
    assert read(folder / "config.yml")["blank_issues_enabled"] in (True, False)
    for path in folder.glob("[!c]*.yml"):
        form = read(path)
        assert form["name"] and form["description"], path
        asked = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert asked and len(asked) == len(set(asked))
        for part in form["body"]:
            assert part["type"] in {"checkboxes", "dropdown", "input", "markdown", "textarea"}
            assert part["attributes"].get("label") or part["type"] == "markdown"
