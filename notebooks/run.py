"""Run one notebook with a profile's parameters.

    python notebooks/run.py 01_relu_baseline --profile quick --output executed.ipynb

The notebook runs in the top folder of the project. The output appears only when all of it ran.
"""

import argparse
import os
from pathlib import Path

import jupytext
import papermill
import yaml

HERE = Path(__file__).parent
PROJECT = HERE.parent


def run(name: str, profile: str, output: Path, **overrides) -> None:
    """Execute ``notebooks/NAME.py`` with the parameters of ``profiles/PROFILE.yml``.

    Raises ``SystemExit`` for a profile without this notebook or with a parameter that the
    notebook does not have: papermill alone would only warn.
    """
    source = PROJECT / "profiles" / f"{profile}.yml"
    profiles = yaml.safe_load(source.read_text())
    if name not in profiles:
        raise SystemExit(f"{source.name} has no parameters for {name}")
    parameters = _expanded({**profiles[name], **overrides}, source.name)
    notebook = jupytext.read(HERE / f"{name}.py")
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    plain = output.with_suffix(".source.ipynb")
    partial = output.with_suffix(".partial.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook, plain)
    try:
        known = papermill.inspect_notebook(str(plain))
        if unknown := set(parameters) - set(known):
            raise SystemExit(f"{source.name}: {name} has no parameter {', '.join(sorted(unknown))}")
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        papermill.execute_notebook(
            str(plain), str(partial), parameters=parameters, cwd=str(PROJECT), kernel_name="python3"
        )
        partial.replace(output)
    finally:
        plain.unlink(missing_ok=True)


def _expanded(value, source: str):
    """``$NAME`` in texts, however deep, as the environment has it."""
    if isinstance(value, dict):
        return {key: _expanded(part, source) for key, part in value.items()}
    if isinstance(value, list):
        return [_expanded(part, source) for part in value]
    if not isinstance(value, str):
        return value
    found = os.path.expandvars(value)
    if "$" in found:
        raise SystemExit(f"{source} reads {value}: set this variable of the environment first")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    run(arguments.name, arguments.profile, arguments.output)
