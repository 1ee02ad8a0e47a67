"""Leaves Thebe out. Jupyter Book always loads it; without a kernel it only fails on every page."""


def setup(app):
    for name in ("env-before-read-docs", "doctree-resolved"):
        for listener in app.events.listeners[name].copy():
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    return {"parallel_read_safe": True, "version": "1"}
