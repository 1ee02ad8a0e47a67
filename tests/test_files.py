"""One way to write and one way to read: places, links, devices, errors, leftovers."""

import ast
import errno
import os
import stat
import time

import numpy as np
import pandas as pd
import pytest
from scripts import PROJECT

from fsrepro import archive
from fsrepro.files import Refused, atomic, check_place, one_line, reading, write_table, write_text


def visible(folder):
    return sorted(path.name for path in folder.iterdir())


# --- writing -------------------------------------------------------------------------------------


def test_written_whole_under_a_name_of_its_own(tmp_path):
    path = tmp_path / "a.weights.h5"
    with atomic(path) as first, atomic(path) as second:
        assert first != second
        assert first.parent == tmp_path and first.name.endswith(".weights.h5")
        first.write_text("first")
        second.write_text("second")
        assert not path.exists()
    assert path.read_text() == "first"  # which was left last
    assert visible(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_all_is_as_it_was(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), atomic(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert visible(tmp_path) == ["table.csv"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "disk" / "target.txt"
    link.symlink_to(target)
    for text in ("one", "two"):  # at first it leads nowhere
        write_text(link, text)
        assert link.is_symlink() and target.read_text() == text
    assert visible(tmp_path / "disk") == ["target.txt"]


def test_the_mode_of_a_file_is_kept(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def loop(folder):
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def link_to_a_device(folder):
    (folder / "null").symlink_to("/dev/null")
    return folder / "null"


@pytest.mark.parametrize(
    ("place", "kind", "message"),
    [
        (loop, ValueError, "is a link that leads back to itself"),
        (pipe, ValueError, "is a device or a pipe"),
        (link_to_a_device, ValueError, "is a device or a pipe"),
        (lambda folder: "/dev/null", ValueError, "is a device or a pipe"),
        (lambda folder: folder, IsADirectoryError, "is a folder"),
        (lambda folder: folder / "no" / "a", FileNotFoundError, "the folder .* does not exist"),
        (lambda folder: folder / ("a" * 300), OSError, "[Nn]ame too long"),
        (lambda folder: "/proc/a", OSError, "/proc/a"),
    ],
)
def test_places_where_nothing_is_written(tmp_path, place, kind, message):
    path = place(tmp_path)
    before = visible(tmp_path)
    with pytest.raises(kind, match=message), atomic(path):
        pytest.fail("the work has begun")
    assert visible(tmp_path) == before
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_suffixes_and_files_that_exist(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    with pytest.raises(ValueError, match=r"a\.csv must end in \.svg or \.pdf"):
        check_place(path, suffixes=(".svg", ".pdf"))
    with pytest.raises(FileExistsError, match=r"a\.csv exists; .*overwrite=True"):
        check_place(path, overwrite=False)
    assert check_place(path) == path.resolve()


def test_a_disk_error_says_what_is_not_written(tmp_path):
    for code in (errno.ENOSPC, errno.EDQUOT):
        message = rf"{os.strerror(code)}: .*a\.txt is as it was"
        with pytest.raises(OSError, match=message) as found, atomic(tmp_path / "a.txt"):
            raise OSError(code, "somewhere deep\nin a library")
        assert found.value.errno == code and "\n" not in str(found.value)


def test_what_killed_processes_left_goes_a_day_later(tmp_path):
    for name, hours in {".partial-1": 1, ".partial-2": 25, "kept": 25}.items():
        (tmp_path / name).touch()
        then = time.time() - 3600 * hours
        os.utime(tmp_path / name, (then, then))
    write_text(tmp_path / "a", "text")
    assert visible(tmp_path) == [".partial-1", "a", "kept"]


def test_tables(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    write_table(table, tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv").to_dict() == pd.DataFrame(table).fillna(np.nan).to_dict()
    write_table(table, tmp_path / "t.json")
    assert pd.read_json(tmp_path / "t.json")["a"].tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json"):
        write_table(table, tmp_path / "t.xlsx")


WRITES = {"write_text", "write_bytes", "to_csv", "to_json", "savefig", "save_weights", "mkstemp"}
SCRATCH = {"scratch", "folder", "draft"}  # of a temporary folder, or read by nobody else


def test_every_writer_writes_in_this_way():
    """To a name that `atomic` gave, or to none: as a text that is written so."""
    found = []
    for place in ("fsrepro", "book", "notebooks", "checkpoints", "benchmarks"):
        for file in sorted((PROJECT / place).rglob("*.py")):
            if place == "notebooks" and file.name[0].isdigit():
                continue  # they show what users write
            for call in ast.walk(ast.parse(file.read_text())):
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                    continue
                parts = [part for argument in call.args for part in ast.walk(argument)]
                modes = [part.value for part in parts if isinstance(part, ast.Constant)]
                opens = call.func.attr == "open" and any(
                    isinstance(mode, str) and set(mode) & set("wax+") for mode in modes
                )
                if call.func.attr not in WRITES and not opens:
                    continue
                named = {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
                to_text = call.func.attr in ("to_csv", "to_json") and not call.args
                atomically = "atomic" in named or "partial" in named or named & SCRATCH
                if not (atomically or to_text):
                    found.append(f"{file.relative_to(PROJECT)}:{call.lineno}")
    # The sweep and the download add to a file, which atomic cannot.
    assert {where.split(":")[0] for where in found} == {
        "fsrepro/experiments/download.py", "fsrepro/experiments/sweep.py",
    }, found  # fmt: skip


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [KeyError("a"), RecursionError("deep"), MemoryError(), OSError(5, "io"), EOFError()]
)
def test_whatever_goes_wrong_is_one_line(tmp_path, error):
    path = tmp_path / "a.fs"
    path.touch()
    message = r"^\S*a\.fs is not a network, or is damaged \(.+\); make it again$"
    with pytest.raises(ValueError, match=message), reading(path, "a network", "make it again"):
        raise error
    message = r"^\S*a\.fs holds nothing; make it again$"
    with pytest.raises(ValueError, match=message), reading(path, "a network", "make it again"):
        raise Refused("holds nothing")


def test_what_is_not_there_or_may_not_be_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="a does not exist"), reading(tmp_path / "a", "x"):
        pass
    message = "is a folder, not a network"
    with pytest.raises(IsADirectoryError, match=message), reading(tmp_path, "a network"):
        pass
    (tmp_path / "a").touch()
    with pytest.raises(PermissionError), reading(tmp_path / "a", "a network"):
        raise PermissionError("no")


def test_long_reasons_keep_both_ends():
    text = one_line(ValueError("begin\n" + 1000 * "x " + "\nend"))
    assert len(text) < 500 and text.startswith("begin x") and text.endswith("x end")


def test_arrays_come_back(tmp_path):
    arrays = {
        "c": np.arange(6).reshape(2, 3), "f": np.asfortranarray(np.ones((2, 3))),
        "big": np.arange(3, dtype=">i4"), "text": np.array(["é", "b"]), "none": np.zeros((0, 4)),
        "scalar": np.float32(2),
    }  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = archive.read_arrays(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == np.asarray(array).dtype.newbyteorder("=")
    np.save(tmp_path / "a.npy", arrays["f"])
    np.testing.assert_array_equal(archive.read_arrays(tmp_path / "a.npy"), arrays["f"])
    with pytest.raises(ValueError, match="no array may be called 'header'"):
        archive.write(tmp_path / "b", {}, {"header": np.zeros(1)})
