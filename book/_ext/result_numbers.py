"""Numbers from result files in prose: ``{{ '%.2f' % full.relu_baseline.ann_accuracy }}``.

``full`` holds the published results, ``run`` those of the profile this build ran (environment
variable PROFILE). ``NN_name.json`` is reached as ``name``: its headline numbers, and from its
provenance its parameters (profile, network, dataset, ...), commit and minutes. A missing number is
an error of the build. NaN becomes None: it equals itself, so Sphinx sees that nothing changed and
leaves the pages as they are.

A number of the published headline links to where it comes from. The directive ``quoted-numbers``
lists all of these: file, key and value, the commit that computed it, the command that does again.
"""

import json
import os
import re
import shutil
from pathlib import Path

import jinja2
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.addnodes import pending_xref

from fsrepro.experiments.results import plain

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / "results"
PUBLISHED = "results/full"  # in the project, and beside the pages
FILLED = re.compile(r"\{\{(.*?)\}\}", re.S)
QUOTED = re.compile(r"\bfull\.(\w+)\.(\w+)")
JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined)


def setup(app):
    app.add_role("number", number)
    app.add_directive("quoted-numbers", QuotedNumbers)
    app.connect("config-inited", _add_numbers, priority=100)
    app.connect("source-read", _link_numbers)
    app.connect("build-finished", _copy_files)
    return {"parallel_read_safe": True, "version": "2"}


def _add_numbers(app, config):
    config.myst_substitutions = {
        **config.myst_substitutions,
        "full": _numbers(RESULTS / "full"),
        "run": _numbers(RESULTS / os.environ.get("PROFILE", "quick")),
    }


def _numbers(folder):
    numbers = {}
    for path in _documents(folder):
        document = json.loads(path.read_text(encoding="utf-8"))
        headline, source = document["headline"], document["provenance"]
        numbers[path.stem[3:]] = {
            **source["parameters"],
            **{key: None if value != value else value for key, value in headline.items()},
            "images_text": f"{headline['images']:,}",
            "commit": source["commit"],
            "minutes": source["minutes"],
        }
    return numbers


def _documents(folder):
    return sorted(folder.glob("[0-9][0-9]_*.json"))


def published():
    """``(name, document)`` of each experiment, by what the text calls it."""
    return {
        path.stem[3:]: (path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in _documents(RESULTS / "full")
    }


# ---- numbers in the text


def _link_numbers(app, name, source):
    documents = published()

    def linked(match):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        found = numbers_of(match[1], documents)
        if not found or line.lstrip().startswith((":alt:", "#", "```")):  # no place for a link
            return match[0]
        filled = JINJA.from_string(match[0]).render(numbers)
        return f"{{number}}`{filled.replace('-', '−')} <{label(*found[0])}>`"

    text, numbers = source[0], app.config.myst_substitutions
    source[0] = FILLED.sub(linked, text)


def numbers_of(expression, documents):
    """``(name, key)`` of each number of a headline that an expression reads."""
    found = []
    for name, key in QUOTED.findall(expression):
        key = "images" if key == "images_text" else key
        value = documents[name][1]["headline"].get(key) if name in documents else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((name, key))
    return found


def label(name, key):
    return f"number-{name}-{key}".replace("_", "-")


def number(role, rawtext, text, lineno, inliner, options=None, content=None):
    """The role ``{number}`12.3 <label>```: a link to the row of that number."""
    shown, target = re.fullmatch(r"(.*) <([\w-]+)>", text, re.S).groups()
    link = pending_xref(
        "", nodes.inline("", shown),
        refdomain="std", reftype="ref", reftarget=target, refexplicit=True,
        refdoc=inliner.document.settings.env.docname, refwarn=True,
    )  # fmt: skip
    return [link], []


# ---- the page of all numbers


def quoted(documents):
    """``{name: keys}`` of what the pages quote, in the order of the result files."""
    found = {name: set() for name in documents}
    for path in (PROJECT / "book").glob("*.md"):
        for expression in FILLED.findall(path.read_text(encoding="utf-8")):
            for name, key in numbers_of(expression, documents):
                found[name].add(key)
    return {name: sorted(keys) for name, keys in found.items() if keys}


class QuotedNumbers(Directive):
    def run(self):
        environment = self.state.document.settings.env
        documents, sections = published(), []
        for name, keys in quoted(documents).items():
            file, document = documents[name]
            environment.note_dependency(str(RESULTS / "full" / f"{file}.json"))
            section = nodes.section(ids=[f"numbers-of-{file}".replace("_", "-")])
            section += nodes.title("", plain(file))
            section += origin(file, document["provenance"])
            section += self.table(environment, file, keys, document["headline"])
            self.state.document.note_implicit_target(section)
            sections.append(section)
        return sections

    def table(self, environment, file, keys, headline):
        rows = nodes.tbody()
        for key in keys:
            anchor, name = label(file[3:], key), nodes.literal("", f"{file}: {key}")
            row = nodes.row("", cell(name), cell(nodes.Text(f"{headline[key]}")))
            row["ids"] = [anchor]
            rows += row
            environment.get_domain("std").anonlabels[anchor] = environment.docname, anchor
        heads = nodes.row("", *(cell(nodes.Text(text)) for text in ("key", "value")))
        columns = nodes.colspec(colwidth=60), nodes.colspec(colwidth=40)
        group = nodes.tgroup("", *columns, nodes.thead("", heads), rows, cols=2)
        return nodes.table("", group, classes=["quoted-numbers"])


def cell(content):
    return nodes.entry("", nodes.paragraph("", "", content))


def origin(file, provenance):
    """From which file and commit, and how to compute it again."""
    path = f"{PUBLISHED}/{file}.json"
    command = f"python notebooks/run.py {file} --profile full --output {file}.ipynb"
    said = nodes.paragraph()
    said += nodes.reference("", "", nodes.literal("", path), refuri=path, internal=False)
    took = f"commit {provenance['commit']} in {provenance['minutes']:.0f} minutes"
    said += nodes.Text(f", computed by {took}. To compute it again: ")
    said += nodes.literal("", command)
    return said


def _copy_files(app, error):
    if error is None and app.builder.format == "html":
        shutil.copytree(RESULTS / "full", Path(app.outdir) / PUBLISHED, dirs_exist_ok=True)
