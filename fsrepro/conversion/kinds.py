"""Moved."""

from ..networks.kinds import *  # noqa
