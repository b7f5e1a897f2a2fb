"""`streams types`: one TypeScript file from a folder's models and steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.typed import Typed
from tests.core.written_app import App

NOTE = """
    from pydantic import BaseModel

    from streams import Stream

    class Note(BaseModel):
        id: str
        text: str

    note = Stream("note", Note)
"""
HEADER = "// made by `streams types`; do not edit"


@pytest.fixture
def streams() -> Typed:
    """Types commands. There is no NATS: none of these needs one."""
    return Typed("nats://127.0.0.1:1", "none")


@pytest.fixture
def notes(app: App) -> App:
    """An application with a stream and a step."""
    app.write("note_stream.py", NOTE)
    app.step("create_step.py", name="CreateNote", route="/notes")
    return app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the types are to be. Its folder is not there yet."""
    return tmp_path / "web" / "src" / "streams.gen.ts"


def test_the_types_are_printed_and_nothing_beside_them(streams: Typed, notes: App):
    notes.write("note_stream.py", "print('loading')\n" + NOTE.replace("\n    ", "\n"))

    said = streams("types", notes.folder)

    assert (said.code, said.err) == (0, "loading\n")
    assert said.out.startswith(f"{HEADER}\n\nexport type Note = {{\n  id: string;\n  text: string;\n}};\n")
    assert said.out.endswith('  CreateNote: { method: "POST", path: "/notes" },\n} as const;\n')


def test_the_types_are_written_to_a_file(streams: Typed, notes: App, file: Path):
    printed = streams("types", notes.folder).out

    assert streams("types", notes.folder, "--out", file).line == f"{file}  written  1 stream, 1 step"
    assert file.read_text() == printed


def test_a_file_that_is_as_the_models_are_is_not_touched(streams: Typed, notes: App, file: Path):
    streams("types", notes.folder, "--out", file)
    before = file.stat()

    assert streams("types", notes.folder, "--out", file).line == f"{file}  unchanged  1 stream, 1 step"
    assert streams("types", notes.folder, "--out", file, "--check").lines
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_is_not_there_fails_the_check_and_is_not_written(streams: Typed, notes: App, file: Path):
    refusal = streams("types", notes.folder, "--out", file, "--check").refusal

    command = f"streams types {notes.folder} --out {file}"
    assert refusal == f"{file} is not there; run `{command}`, and commit it"
    assert not file.parent.exists()


def test_a_stale_file_fails_the_check_and_stays(streams: Typed, notes: App, file: Path):
    file.parent.mkdir(parents=True)
    file.write_text(f"{HEADER}\n")

    refusal = streams("types", notes.folder, "--out", file, "--check").refusal

    command = f"streams types {notes.folder} --out {file}"
    assert refusal == f"{file} is not as the models are; run `{command}`, and commit it"
    assert file.read_text() == f"{HEADER}\n"
    assert streams("types", notes.folder, "--out", file).line.startswith(f"{file}  written")


def test_a_check_needs_a_file(streams: Typed, notes: App):
    refusal = streams("types", notes.folder, "--check").refusal

    assert refusal == "--check looks at a file; name it with --out"


@pytest.mark.parametrize("content", [b"export const main = 1\n", b"\xff\xfe"])
def test_a_file_that_was_written_by_hand_is_not_replaced(
    streams: Typed, notes: App, tmp_path: Path, content: bytes
):
    file = tmp_path / "main.ts"
    file.write_bytes(content)

    refusal = streams("types", notes.folder, "--out", file).refusal

    assert (
        refusal == f"{file} is something else, and would be lost; name another file with --out, or delete it"
    )
    assert file.read_bytes() == content


def test_a_file_that_cannot_be_written_is_named(streams: Typed, notes: App, tmp_path: Path):
    (tmp_path / "web").touch()

    below = streams("types", notes.folder, "--out", tmp_path / "web" / "types.ts").refusal
    folder = streams("types", notes.folder, "--out", tmp_path).refusal

    assert below == f"{tmp_path}/web/types.ts cannot be read: Not a directory; name another file with --out"
    assert folder == f"{tmp_path} cannot be read: Is a directory; name another file with --out"


def test_a_folder_without_streams_has_no_types(streams: Typed, app: App):
    app.step("create_step.py")

    refusal = streams("types", app.folder).refusal

    assert refusal == (
        f"no file below {app.folder} ends in _stream.py, so there are no types to write; "
        "name the folder that has the streams"
    )


def test_a_folder_that_is_not_there_is_named(streams: Typed, tmp_path: Path):
    said = streams("types", tmp_path / "nowhere")

    assert (said.code, said.out) == (1, "")
    assert "there is no such folder" in said.err


def test_a_model_that_cannot_be_described_is_named_with_its_line(streams: Typed, app: App):
    model = app.write(
        "job_stream.py",
        """
        from collections.abc import Callable

        from pydantic import BaseModel

        from streams import Stream

        class Job(BaseModel):
            id: str
            run: Callable[[], None]

        job = Stream("job", Job)
        """,
    )

    said = streams("types", app.folder)

    assert (said.code, said.out) == (1, "")
    assert f"{model}:7: an item of stream 'job' cannot be described: " in said.err
    assert "WithJsonSchema" in said.err


def test_streams_in_motias_form_have_types_too(streams: Typed, app: App):
    app.write(
        "job_stream.py",
        """
        config = {
            "name": "job",
            "baseConfig": {"storageType": "default"},
            "schema": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "state": {"enum": ["open", "done"]}},
            },
        }
        """,
    )

    lines = streams("types", app.folder).lines

    assert '  state?: "open" | "done";' in lines
    assert "    item: Job;" in lines


def test_a_schema_that_is_not_whole_is_refused(streams: Typed, app: App):
    app.write(
        "job_stream.py",
        """
        from streams import Stream

        job = Stream("job", dict, schema={"$ref": "#/$defs/Job"})
        """,
    )

    assert streams("types", app.folder).refusal.startswith(
        "stream 'job': its schema refers to '#/$defs/Job', which is not in it; "
    )
