"""Pictures that a notebook's cell made have no alternative text: say what they belong to."""

from docutils import nodes


def setup(app):
    app.connect("doctree-resolved", _name_pictures)
    return {"parallel_read_safe": True, "version": "1"}


def _name_pictures(app, doctree, docname):
    for picture in doctree.findall(nodes.image):
        section = picture.parent
        while section and not isinstance(section, nodes.section):
            section = section.parent
        if section and not picture.get("alt"):
            title = section.next_node(nodes.title).astext()
            picture["alt"] = f"What the code above drew, under the heading “{title}”"
