"""Names and numbers in the text of chapters and in their tables, as a reader would write them.

What result files hold comes out as ResNet-8, not resnet8, as −0.3, not -0.3, and as 2.6 × 10⁻³.
Code stays as it is.
"""

import re

from docutils import nodes

from fsrepro.experiments.results import plain

SPACE = "\N{NO-BREAK SPACE}"
VERBATIM = nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw


def setup(app):
    app.connect("doctree-read", _make_plain)
    return {"parallel_read_safe": True, "version": "1"}


def _make_plain(app, doctree):
    if app.env.docname.startswith("api/"):
        return
    for output in doctree.findall(nodes.raw):  # tables of notebooks
        output[0] = nodes.Text(re.sub(r"(<td[^>]*>)-(?=\.?\d)", r"\1−", output.astext()))
    for text in list(doctree.findall(nodes.Text)):
        if not any(isinstance(node, VERBATIM) for node in _above(text)):
            whole = re.sub(r"(?<=\bK) = (?=\d)", f"{SPACE}={SPACE}", plain(text))
            whole = re.sub(r"(^|(?<=\d)) (?=%|dB\b)", SPACE, whole)
            if whole != text:
                text.parent.replace(text, nodes.Text(whole))


def _above(node):
    while node := node.parent:
        yield node
