"""Which of our own files are shipped, and how they become a zip."""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from streams.deploy.archive import write_archive
from streams.deploy.contents import ship_application, ship_library
from streams.deploy.functions_list import Mode, functions_list
from streams.deploy.interpreters import interpreter_for
from streams.deploy.targets import Architecture, Target
from streams.deploy.whole_files import write_text
from streams.errors import BuildFailed
from tests.core.written_app import App
from tests.deploy.wheels import files_in

OTHER = Target("python3.14", Architecture.X86_64)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An application that the test writes."""
    # Loading it puts its folder there.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return App(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Where a package is put together."""
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def test_pages_tests_and_hidden_files_are_not_shipped(app: App, tree: Path):
    app.stream("todo/todo_stream.py")
    app.step("todo/create_step.py")
    app.write("todo/words.txt", "kept")
    for path in (
        "todo/web/index.html",
        "todo/web/app.js",
        "todo/test_create.py",
        "todo/conftest.py",
        "tests/test_all.py",
        "node_modules/left/index.js",
        "__pycache__/old.pyc",
        "todo/__pycache__/x.cpython-311.pyc",
        ".env",
        ".git/config",
    ):
        app.write(path)

    shipped = ship_application(app.found(), tree)

    assert shipped.folder == app.folder.name
    assert files_in(tree / app.folder.name) == {
        "todo/todo_stream.py",
        "todo/create_step.py",
        "todo/words.txt",
    }


@pytest.fixture
def outer_and_inner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[App, App]:
    """An application that is a package, inside another one that it imports from."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    outer = App(tmp_path)
    outer.write("__init__.py")
    outer.write("models.py", "NAME = 'todo'")
    inner = App(outer.folder)
    inner.write("__init__.py")
    inner.write(
        "todo_stream.py",
        f"""
        from streams import Stream
        from {outer.folder.name}.models import NAME

        todo = Stream(NAME, dict)
        """,
    )
    inner.step("create_step.py")
    return outer, inner


def test_a_folder_inside_a_package_is_shipped_with_the_package(outer_and_inner: tuple[App, App], tree: Path):
    outer, inner = outer_and_inner

    shipped = ship_application(inner.found(), tree)

    assert (shipped.top, shipped.folder) == (outer.folder.name, f"{outer.folder.name}/{inner.folder.name}")
    assert f"{outer.folder.name}/models.py" in files_in(tree)


@pytest.mark.parametrize(("mode", "name"), [("router", "functions"), ("per-step", "create")])
def test_the_list_of_functions_names_the_folder_that_the_package_has(
    outer_and_inner: tuple[App, App], tree: Path, mode: Mode, name: str
):
    _, inner = outer_and_inner

    shipped = ship_application(inner.found(), tree)
    listed = json.loads(functions_list(inner.found(), mode))

    assert listed[name]["environment"]["STREAMS_FOLDER"] == shipped.folder
    assert (tree / shipped.folder / "create_step.py").is_file()


def test_a_file_that_is_imported_and_would_not_be_shipped_is_named(app: App, tree: Path):
    app.stream("web/todo_stream.py")

    with pytest.raises(BuildFailed, match=r"web/todo_stream\.py is imported, and would not be shipped"):
        ship_application(app.found(), tree)


def test_a_folder_with_the_name_of_a_package_is_refused(app: App, tree: Path):
    app.stream("todo_stream.py")
    (tree / app.folder.name).mkdir()

    with pytest.raises(BuildFailed, match="is the name of a package that the functions need, too; rename"):
        ship_application(app.found(), tree)


def test_of_this_library_only_what_functions_need_is_shipped(tree: Path):
    ship_library(tree)

    shipped = {name.split("/")[1] for name in files_in(tree)}
    assert {"__init__.py", "stream.py", "faas", "auth", "jetstream", "settings.py"} <= shipped
    assert not shipped & {"__main__.py", "cli", "client", "deploy", "dev", "gateway", "typescript"}


def test_the_same_files_make_the_same_zip(tmp_path: Path):
    names = ["b/two.py", "a.py", "b/one.so", "b.txt"]
    for folder, order in (("here", names), ("there", list(reversed(names)))):
        for name in order:
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name * 100)
            file.chmod(0o600 if folder == "here" else 0o755)
        os.utime(tmp_path / folder / "a.py", (0, 0))
        write_archive(tmp_path / folder, tmp_path / f"{folder}.zip")

    assert (tmp_path / "here.zip").read_bytes() == (tmp_path / "there.zip").read_bytes()
    entries = zipfile.ZipFile(tmp_path / "here.zip").infolist()
    assert [entry.filename for entry in entries] == ["a.py", "b.txt", "b/one.so", "b/two.py"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [oct(entry.external_attr >> 16) for entry in entries] == [
        "0o100644",
        "0o100644",
        "0o100755",
        "0o100644",
    ]


def test_a_zip_that_cannot_be_written_leaves_the_old_one(tmp_path: Path):
    old = tmp_path / "out" / "functions.zip"
    old.parent.mkdir()
    old.write_bytes(b"old")
    # A zip can have no such name.
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a\udc80.py").write_text("new")

    with pytest.raises(UnicodeEncodeError):
        write_archive(tmp_path / "tree", old)

    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path: Path):
    old = tmp_path / "functions.json"
    write_text("old", old)

    with pytest.raises(UnicodeEncodeError):
        write_text("half of a pair: \udc80", old)

    assert old.read_text() == "old"
    assert stat.S_IMODE(old.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [old]


def pretend_python(folder: Path, says: str, code: int = 0) -> Path:
    """A program with the name of a Python."""
    folder.mkdir(exist_ok=True)
    program = folder / OTHER.runtime
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    program.chmod(0o755)
    return program


def test_a_python_that_only_complains_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pretend_python(tmp_path / "shims", "no version is chosen", 127)
    good = pretend_python(tmp_path / "bin", '["3.14.2", "cpython", "Linux", "x86_64"]')
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{tmp_path / 'nowhere'}:{tmp_path / 'bin'}:/bin")

    found = interpreter_for(OTHER, None)

    assert found is not None
    assert (found.path, found.version) == (good, "3.14.2")
    assert found.could_run(OTHER)
    assert not found.could_run(Target(OTHER.runtime, Architecture.ARM64))


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ('["3.12.1", "cpython", "Linux", "x86_64"]', "is 3.12.1, and python3.14 loads bytecode of 3.14 only"),
        ('["3.14.1", "pypy", "Linux", "x86_64"]', "does not run as a Python; name an executable of CPython"),
        ("hello", "does not run as a Python"),
    ],
)
def test_a_python_that_is_named_and_does_not_fit_is_refused(tmp_path: Path, says: str, reason: str):
    named = pretend_python(tmp_path, says)

    with pytest.raises(BuildFailed, match=reason):
        interpreter_for(OTHER, named)


def test_a_runtime_that_lambda_does_not_have_is_refused():
    with pytest.raises(BuildFailed, match=r"no runtime 'python3\.9' for us; use python3\.11, "):
        Target("python3.9", Architecture.ARM64)


def test_a_package_with_modules_of_our_name_is_refused(tree: Path):
    (tree / "streams").mkdir()

    with pytest.raises(BuildFailed, match="has modules called 'streams', as this library has"):
        ship_library(tree)
