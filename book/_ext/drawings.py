"""Figures on a phone, and in the dark.

Where ``NAME.narrow.svg`` lies beside a picture ``NAME.svg``, a narrow screen shows it instead. A
drawing, which is an SVG without photographs, gets the class ``drawing``: in dark mode
``static/book.css`` turns its colours. Any other picture keeps a white plate.
"""

from pathlib import Path

from docutils import nodes


def setup(app):
    app.connect("doctree-read", _add_narrow, priority=400)  # before Sphinx collects the pictures
    app.connect("doctree-resolved", _mark_drawings)
    return {"parallel_read_safe": True, "version": "1"}


def _add_narrow(app, doctree):
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for wide in list(doctree.findall(nodes.image)):
        address = Path(wide["uri"]).with_suffix(".narrow.svg").as_posix()
        if (folder / address).is_file():
            narrow = wide.deepcopy()
            narrow["uri"] = address
            wide["classes"].append("for-desk")
            narrow["classes"].append("for-phone")
            wide.parent.insert(wide.parent.index(wide) + 1, narrow)


def _mark_drawings(app, doctree, docname):
    for picture in doctree.findall(nodes.image):
        file = Path(app.srcdir, picture["uri"])
        if file.suffix == ".svg" and file.is_file() and "<image" not in file.read_text("utf-8"):
            picture["classes"] += ["drawing", "dark-light"]  # the theme leaves the second alone
