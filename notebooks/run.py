"""Run one notebook with a profile's parameters.

    python notebooks/run.py 01_relu_baseline --profile quick --output executed.ipynb -p images 100

The notebook runs in the top folder of the project. The output appears only when all of it ran. Of
the published run (results in results/full) the book keeps a copy, in book/published.
"""

import argparse
import os
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml
from parameters import PROFILES, expanded, read

from fsrepro.files import atomic

HERE = Path(__file__).parent
PUBLISHED = HERE.parent / "book" / "published"


def run(name: str, profile: str, output: Path, **overrides) -> None:
    """Execute ``notebooks/NAME.py`` with the parameters of ``profiles/PROFILE.yml``.

    Raises ``SystemExit`` for a profile without this notebook or with a parameter that the
    notebook does not have: papermill alone would only warn.
    """
    profiles = read(profile)
    if name not in profiles:
        raise SystemExit(f"profile {profile} has no parameters for {name}")
    parameters = expanded({**profiles[name], **overrides}, profile)
    check_own(parameters, profile, overrides)
    notebook = jupytext.read(HERE / f"{name}.py")
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic(output) as partial:
        jupytext.write(notebook, partial)
        if unknown := parameters.keys() - papermill.inspect_notebook(partial):
            raise SystemExit(
                f"profile {profile}: {name} has no parameter {', '.join(sorted(unknown))}"
            )
        os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}  # pages show neither
        papermill.execute_notebook(
            partial, partial, parameters, cwd=HERE.parent, progress_bar={"desc": name}
        )
    if parameters["results"] == "results/full":
        PUBLISHED.mkdir(exist_ok=True)
        with atomic(PUBLISHED / output.with_stem(name).name) as partial:
            nbformat.write(published(nbformat.read(output, as_version=4)), partial)


def published(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Another title than the page of this build, and nothing of the machine that ran it."""
    title = notebook.cells[0]
    title.source = title.source.replace("# Notebook:", "# Published run:", 1)
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)  # paths and times
        if "outputs" in part:
            part.outputs = [out for out in part.outputs if out.get("name") != "stderr"]
    return notebook


def check_own(parameters: dict, profile: str, overrides) -> None:
    """Refuse a copied profile that would replace the results of the one it was copied from."""
    for key, own in {"profile": profile, "results": f"results/{profile}"}.items():
        found = parameters.get(key)
        known = {path.stem for path in PROFILES.glob("*.yml")}
        if key not in overrides and found != own and str(found).rpartition("/")[2] in known:
            raise SystemExit(
                f"profile {profile} has {key}: {found}, which are of another profile; write {own}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("PARAMETER", "VALUE"),
        help="instead of what the profile has; the value as in YAML",
    )  # fmt: skip
    options = parser.parse_args()
    if options.output.suffix != ".ipynb":
        parser.error(f"--output is a notebook, NAME.ipynb, got {options.output}")
    overrides = {parameter: yaml.safe_load(value) for parameter, value in options.p}
    run(options.name, options.profile, options.output, **overrides)
