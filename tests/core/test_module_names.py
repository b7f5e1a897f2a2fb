"""Files whose names stand in the way of the library's, or of each other's."""

from __future__ import annotations

from textwrap import dedent

import pytest

from streams.errors import Problem
from tests.core.written_app import STREAM, names, problems_in


@pytest.mark.parametrize("hiding", ["streams.py", "streams/__init__.py", "streams/todo_stream.py"])
def test_a_local_module_that_hides_the_library_is_reported(app, hiding):
    app.write(f"../{hiding}", "x = 1")

    problem = app.problem()

    assert problem.path == app.folder.parent / hiding.partition("/")[0]
    assert problem.message.startswith(
        "this module has the name of the library, so `import streams` may find it instead; rename it"
    )


def test_a_module_in_the_current_folder_that_hides_the_library_is_reported(app, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "streams.py").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert app.problem().path == tmp_path / "elsewhere" / "streams.py"


def test_a_folder_of_that_name_without_python_files_hides_nothing(app):
    app.write("../streams/notes.txt")
    app.stream("todo_stream.py")

    assert names(app.found())[0] == ["todo"]


def test_a_folder_of_that_name_further_down_hides_nothing(app):
    app.stream("streams/todo_stream.py")

    assert names(app.found())[0] == ["todo"]


def test_an_application_cannot_be_in_a_folder_with_the_name_of_the_library(tmp_path):
    folder = tmp_path / "streams"
    (folder / "todo").mkdir(parents=True)
    (folder / "todo" / "todo_stream.py").write_text(dedent(STREAM.format(name="todo")))

    (problem,) = problems_in(folder)

    assert problem.path == folder
    assert problem.message.startswith("this module has the name of the library")


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken_for_ours(app, tmp_path):
    theirs = app.stream("todo_stream.py")
    app.found()
    ours = tmp_path / "other" / app.folder.name / "todo_stream.py"
    ours.parent.mkdir(parents=True)
    ours.write_bytes(theirs.read_bytes())

    (problem,) = problems_in(ours.parent)

    assert problem == Problem(
        ours,
        1,
        f"another module is called '{app.folder.name}.todo_stream' ({theirs}); rename one of the folders",
    )
