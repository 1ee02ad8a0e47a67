"""A button on notebook pages that opens the notebook on Binder.

The book runs executed copies that are not kept, so the button leads to ``notebooks/NAME.py``, the
source, which JupyterLab opens as a notebook (see ``binder/postBuild``). The address is that of the
git remote ``origin``; without one on GitHub there is no button.
"""

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HUB = "https://mybinder.org/v2/gh"


def setup(app):
    app.connect("html-page-context", _add_button, priority=600)  # after the theme's own buttons
    return {"parallel_read_safe": True, "version": "1"}


def binder_url(remote: str, commit: str, source: str) -> str | None:
    """Where Binder opens ``source`` of a GitHub repository, or None for another remote."""
    at_github = r"(?:https://|git@|ssh://git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?"
    found = re.fullmatch(at_github, remote)
    return found and f"{HUB}/{found[1]}/{commit}?urlpath=lab/tree/{source}"


def _add_button(app, pagename, templatename, context, doctree):
    source = f"{pagename}.py"  # book/notebooks/NAME is the executed form of notebooks/NAME.py
    if not (pagename.startswith("notebooks/") and (PROJECT / source).is_file()):
        return
    url = binder_url(_git("remote", "get-url", "origin"), _git("rev-parse", "HEAD"), source)
    if url:
        button = {
            "type": "link",
            "url": url,
            "text": "Binder",
            "tooltip": "Open this notebook on Binder",
            "icon": "fas fa-rocket",
            "label": "launch-binder",
        }
        context["header_buttons"].append(button)


def _git(*arguments) -> str:
    try:
        run = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True)
    except OSError:  # no git
        return ""
    return run.stdout.strip()
