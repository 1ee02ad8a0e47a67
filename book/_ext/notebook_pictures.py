"""Pictures that a notebook's cell made have no alternative text: say what they belong to."""

from docutils import nodes


def setup(app):
    app.connect("doctree-resolved", _name_pictures)
    return {"parallel_read_safe": True, "version": "1"}


def _name_pictures(app, doctree, docname):
    for section in reversed(list(doctree.findall(nodes.section))):  # the inner ones first
        title = section.next_node(nodes.title).astext()
        for picture in section.findall(nodes.image):
            if not picture.get("alt"):
                picture["alt"] = f"What the code above drew, under the heading “{title}”"
