"""The API reference: signatures as they are written, links by short names, the command line.

autodoc evaluates annotations, and an ``ArrayLike`` becomes four lines of what it stands for. Here
they stay as they are in the source. A module does not repeat what a package above it shows.
Docstrings name things as their module does, ``SpikeCode``; such a name is linked wherever one
object of the reference has it. ``{command-line}`` makes a section of every command of ``fsrepro``.
"""

import collections.abc
import importlib
import inspect
import re
import sys
import typing

import typer
from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import stringify_annotation


def setup(app):
    app.connect("autodoc-process-signature", _as_written)
    app.connect("autodoc-process-docstring", _as_prose, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _by_short_name)
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "version": "1"}


class _Source(str):
    """An annotation that is printed without quotes."""

    __repr__ = str.__str__


def _as_written(app, what, name, obj, options, signature, returns):
    if signature is None or what not in ("function", "method", "class"):
        return None
    written = inspect.signature(obj)
    parameters = list(written.parameters.values())
    if what == "method" and inspect.isfunction(obj):
        parameters = parameters[1:]  # self
    module = vars(sys.modules[obj.__module__])
    parameters = [p.replace(annotation=_source(p.annotation, module)) for p in parameters]
    empty = inspect.Signature.empty
    result = empty if what == "class" else _source(written.return_annotation, module)
    arguments = str(written.replace(parameters=parameters, return_annotation=empty))
    return arguments, None if result is empty else inspect.formatannotation(result)


def _source(annotation, module):
    """The text of an annotation, with what functions of a name such as ``Family`` take and give."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation

    def spelt(match):
        value = module.get(match[0])
        if typing.get_origin(value) is not collections.abc.Callable:
            return match[0]
        return re.sub(r"~[\w.]+\.", "", stringify_annotation(value, "smart"))

    return _Source(re.sub(r"\w+", spelt, annotation))


def _as_prose(app, what, name, obj, options, lines):
    """An empty comment before docstrings of attributes, of which napoleon takes the text before a
    colon in the first line for a type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def _skip(app, what, name, obj, skip, options):
    """Fields of named tuples, numbered by their docstrings; of modules, what a package shows."""
    if type(obj).__name__ == "_tuplegetter":
        return True
    if what != "module" or not callable(obj):
        return None
    package = app.env.temp_data["autodoc:module"]
    while package := package.rpartition(".")[0]:
        shown = importlib.import_module(package)
        if name in getattr(shown, "__all__", ()) and getattr(shown, name) is obj:
            return True
    return None


def _by_short_name(app, env, node, contnode):
    if node.get("refdomain") != "py":
        return None
    domain = env.domains["py"]
    kinds = domain.objtypes_for_role(node["reftype"]) or []
    target = node["reftarget"]
    short = target.rpartition(".")[2]
    ending = f".{short if target.startswith('fsrepro.') else target}"  # no ml_genn.Population
    found = {
        (entry.docname, entry.node_id)
        for name, entry in domain.objects.items()
        if name.endswith(ending) and entry.objtype in kinds and not entry.aliased
    }
    if len(found) != 1:
        return None
    docname, anchor = found.pop()
    return make_refnode(app.builder, node["refdoc"], docname, anchor, contnode, short)


class CommandLine(SphinxDirective):
    """A section for every command: how it is used, and its options, as `--help` has them."""

    def run(self):
        from fsrepro import command_line

        self.env.note_dependency(command_line.__file__)
        group = typer.main.get_command(command_line.app)
        return [self._section(name, command) for name, command in group.commands.items()]

    def _section(self, name, command):
        title = f"fsrepro {name}"
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        section += nodes.title("", title)
        for paragraph in command.help.split("\n\n"):
            text, _, example = " ".join(paragraph.split()).partition("Example: ")
            if text:
                section += nodes.paragraph("", "", *_with_literals(text))
            if example:
                section += nodes.literal_block(example, example, language="sh", classes=["command"])
        options = nodes.definition_list(classes=["command-options"])
        context = command.make_context(title, [], resilient_parsing=True)
        for parameter in command.params:
            usage, described = parameter.get_help_record(context)
            options += nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", usage)),
                nodes.definition("", nodes.paragraph("", "", *_with_literals(described))),
            )
        section += options
        return section


def _with_literals(text):
    """Text and `literals` as nodes."""
    pieces = enumerate(text.split("`"))
    return [nodes.literal("", p) if i % 2 else nodes.Text(p) for i, p in pieces if p]
