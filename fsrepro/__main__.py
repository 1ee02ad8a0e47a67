"""``python -m fsrepro``: the command line."""

from .command_line import app

app(prog_name="fsrepro")
