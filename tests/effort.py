"""How much is tried of what is drawn by chance, cut or killed: a part, or all of it.

``FSREPRO_TESTS=all`` tries all, as ``make test TESTS=all`` does; it takes three times as long.
"""

import os

ALL = os.environ.get("FSREPRO_TESTS") == "all"


def effort(everything: int, part: int) -> int:
    return everything if ALL else part
