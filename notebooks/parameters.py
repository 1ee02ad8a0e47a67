"""What a profile gives each notebook to run with, and what of that has changed.

    python notebooks/parameters.py quick book/notebooks

writes the parameters of every notebook of ``profiles/quick.yml`` to ``book/notebooks/.NAME.yml``.
A file whose parameters have not changed is left as it is, with its time, so that Make runs again
what was given others and nothing else.
"""

import json
import os
import re
from pathlib import Path

import typer
import yaml

from fsrepro.files import reading, write_text

PROFILES = Path(__file__).parents[1] / "profiles"


def read(profile: str) -> dict[str, dict]:
    """By name of the notebook, its parameters in ``profiles/PROFILE.yml``.

    Raises ``SystemExit`` for a profile that does not exist.
    """
    source = PROFILES / f"{profile}.yml"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in PROFILES.glob("*.yml")))
        raise SystemExit(f"there is no profile {profile}; choose from {known}")
    with reading(source, "a profile"):
        return {name: dict(found) for name, found in yaml.safe_load(source.read_text()).items()}


def expanded(parameters: dict, profile: str) -> dict:
    """``$NAME`` in texts, however deep, as the environment has it."""
    text = os.path.expandvars(json.dumps(parameters))
    if unset := re.search(r"\$\w*", text):
        raise SystemExit(
            f"profile {profile} reads {unset[0]}: set this variable of the environment first"
        )
    return json.loads(text)


def write(profile: str, folder: Path) -> None:
    """Write what PROFILE gives each notebook to FOLDER, where it has changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, parameters in read(profile).items():
        path, text = folder / f".{name}.yml", yaml.safe_dump(parameters)
        if not path.is_file() or path.read_text() != text:
            write_text(path, text)


if __name__ == "__main__":
    typer.run(write)
