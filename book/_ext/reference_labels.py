"""The list of references is labelled as the text cites: (Amari, 1998), (Stöckl and Maass, 2021).

To those who hear it, it is a part of the page: Sphinx calls it a list that has no items.
"""

from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as Unsorted
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting.author_year_title import SortingStyle as ByAuthor


class Labels(BaseLabelStyle):
    """The last names, of more than two the first, and the year."""

    def format_labels(self, sorted_entries):
        for entry in sorted_entries:
            people = entry.persons.get("author") or entry.persons.get("editor", [])
            names = [" ".join((*p.prelast_names, *p.last_names)).strip("{}") for p in people]
            who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
            yield f"{who}, {entry.fields['year']}"


class AsCited(Unsorted):
    default_label_style = Labels
    default_sorting_style = ByAuthor


def setup(app):
    register_plugin("pybtex.style.formatting", "as_cited", AsCited)
    app.connect("html-page-context", _no_list)
    return {"parallel_read_safe": True, "version": "1"}


def _no_list(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
