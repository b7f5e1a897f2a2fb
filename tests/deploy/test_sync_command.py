"""`streams sync` writes the list of functions; with `--check` it says what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.typed import Typed
from tests.core.written_app import App

streams = Typed("nats://127.0.0.1:1", "streams")
"""Types commands. There is no server, and none is needed."""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An application with one step. Its parent is the current folder."""
    # Loading it puts its folder there.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    app = App(tmp_path)
    app.step("create_step.py")
    return app


@pytest.fixture
def file(app: App) -> Path:
    """Where the list is."""
    return app.folder.parent / "infra/functions.json"


def functions(file: Path) -> list[str]:
    return list(json.loads(file.read_text()))


def test_the_list_is_written_once_and_then_left_as_it_is(app: App, file: Path):
    first = streams("sync", app.folder).line
    written = file.stat().st_mtime_ns
    second = streams("sync", app.folder).line

    assert first == "infra/functions.json  written  1 step, one function"
    assert second == "infra/functions.json  unchanged  1 step, one function"
    assert file.stat().st_mtime_ns == written
    assert [path.name for path in file.parent.iterdir()] == ["functions.json"]


def test_the_mode_is_kept_until_another_one_is_asked_for(app: App, file: Path):
    said = [
        (streams("sync", app.folder, *words).line.split("step, ")[1], functions(file))
        for words in ([], ["--per-step"], [], ["--router"], [])
    ]

    router, per_step = ("one function", ["functions"]), ("a function for each", ["create"])
    assert said == [router, per_step, per_step, router, router]


def test_check_is_content_with_what_sync_has_written(app: App):
    streams("sync", app.folder, "--per-step")

    assert streams("sync", app.folder, "--check").line.startswith("infra/functions.json  unchanged")


def test_check_says_what_has_changed_and_which_command_to_run_and_writes_nothing(app: App, file: Path):
    streams("sync", app.folder)
    before = file.read_text()
    app.step("list_step.py", "List", "GET", "/todos")

    said = streams("sync", app.folder, "--check").refusal

    assert said == (
        "infra/functions.json is not as the steps are: GET /todos is missing. "
        f"Run `streams sync {app.folder}`, and commit it"
    )
    assert file.read_text() == before


def test_check_repeats_in_its_command_how_it_was_asked(app: App, file: Path):
    streams("sync", app.folder, "--out", "a list.json")

    said = streams("sync", app.folder, "--out", "a list.json", "--check", "--per-step").refusal

    assert "it has one function for all" in said
    assert f"Run `streams sync {app.folder} --out 'a list.json' --per-step`" in said


def test_check_names_the_first_of_many_changes_and_counts_the_others(app: App):
    streams("sync", app.folder, "--per-step")
    for number in range(7):
        app.step(f"s{number}_step.py", f"S{number}", "GET", f"/s/{number}")

    said = streams("sync", app.folder, "--check").refusal

    assert "function s4 is missing; 2 more. Run" in said


def test_check_misses_a_list_that_is_not_there(app: App, file: Path):
    assert (
        "infra/functions.json is not there; run `streams sync"
        in streams("sync", app.folder, "--check").refusal
    )
    assert not file.exists()


def test_a_file_that_is_no_list_is_replaced_only_by_who_says_the_mode(app: App, file: Path):
    file.parent.mkdir()
    file.write_text("functions: {}")

    assert "say --router or --per-step, to replace it" in streams("sync", app.folder).refusal
    assert "it is not JSON" in streams("sync", app.folder, "--check", "--router").refusal
    assert file.read_text() == "functions: {}"
    assert streams("sync", app.folder, "--router").code == 0
    assert functions(file) == ["functions"]


def test_a_list_that_cannot_be_read_or_written_is_refused_in_a_sentence(app: App, tmp_path: Path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "full").write_text("")

    unreadable = streams("sync", app.folder, "--out", "taken").refusal
    unwritable = streams("sync", app.folder, "--out", "full/list.json").refusal

    assert unreadable == "taken cannot be read: Is a directory; name another file with --out"
    assert unwritable == "full/list.json cannot be read: Not a directory; name another file with --out"


def test_a_step_that_aws_cannot_have_is_named_with_its_file_and_nothing_is_written(app: App, file: Path):
    path = app.step("wrong_step.py", "Wrong", "GET", "/file-{id}")

    said = streams("sync", app.folder)

    assert said.code == 1
    assert f"{path}:3: GET /file-{{id}}: a parameter is everything between two slashes" in said.err
    assert not file.exists()
