"""The shape of the package: what imports what, what is public, and how soon it is there."""

import ast
import importlib
import subprocess
import sys

import pytest
from scripts import PROJECT

import fsrepro

PACKAGE = PROJECT / "fsrepro"
LIBRARY = [p for p in PACKAGE.rglob("*.py") if "experiments" not in p.relative_to(PACKAGE).parts]


def imported(path):
    """The absolute names of all modules that a file imports, or imports names from."""
    package = path.relative_to(PROJECT).with_suffix("").parts
    package = package[:-1]  # of a module its folder, of an __init__ itself
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_library_imports_nothing_of_the_experiments(path):
    assert not [name for name in imported(path) if name.startswith("fsrepro.experiments")]


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "genn" / "upstream").glob("*.py")), ids=lambda p: p.stem
)
def test_what_is_meant_for_mlgenn_needs_nothing_else(path):
    own = "fsrepro.genn.upstream"
    assert not [n for n in imported(path) if n.startswith("fsrepro") and not n.startswith(own)]


def test_what_an_import_is_is_understood():
    found = set(imported(PACKAGE / "experiments" / "models" / "_published.py"))
    assert "fsrepro.experiments.models._resnet" in found
    assert "fsrepro.conversion" in set(imported(PACKAGE / "measures.py"))
    assert "fsrepro.conversion._plan" in set(imported(PACKAGE / "conversion" / "_convert.py"))


def test_no_name_means_a_module_and_something_in_it():
    """``fsrepro.codes.binary`` is the function; a module of that name would hide it."""
    for path in PACKAGE.rglob("__init__.py"):
        folder = path.parent
        module = importlib.import_module(".".join(folder.relative_to(PROJECT).parts))
        modules = {p.stem for p in folder.iterdir() if p.suffix == ".py" or p.is_dir()}
        for name in set(getattr(module, "__all__", ())) & modules:
            assert isinstance(getattr(module, name), type(ast)), f"{module.__name__}.{name}"


def test_codes_need_no_keras():
    run("import fsrepro.codes, sys; assert not {'keras', 'tensorflow'} & set(sys.modules)")


def test_the_public_face_is_there_at_once_and_tensorflow_only_when_used():
    """In half a second: there is nothing to import yet."""
    run(
        "import sys, time; start = time.perf_counter(); import fsrepro;"
        "assert time.perf_counter() - start < 0.5;"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules);"
        "assert {'convert', 'plan', 'evaluate', 'diagnose', 'SpikingModel', 'codes'} "
        "<= set(dir(fsrepro))"
    )
    for name in fsrepro.__all__:
        assert getattr(fsrepro, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'convret'"):
        _ = fsrepro.convret


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert fsrepro.__version__ == version("fsrepro")


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


def test_the_command_line_has_the_defaults_of_the_library():
    import inspect

    from fsrepro import command_line
    from fsrepro.conversion import _plan

    library = inspect.signature(fsrepro.convert).parameters
    command = inspect.signature(command_line.convert).parameters
    names = {"code": "code", "snr": "snr", "spikes": "spikes_per_neuron"}
    for option, name in names.items():
        assert command[option].default == library[name].default, option
    assert library["steps"].default is None and command["steps"].default == _plan.STEPS
