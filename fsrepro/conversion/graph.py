"""Moved."""

from ..networks.graph import *  # noqa
