"""What a function sees of this machine: its task root and Lambda's own packages."""

from __future__ import annotations

import os
import stat
import sys
import time
import zipfile
from pathlib import Path

import pytest

from local.aws_lambda import Lambda, NotAFunction, RuntimeMissing
from tests.local.written import ECHO, written

LOOKING = """
import importlib.util, os, sys

def handler(event, context):
    found = {name: getattr(importlib.util.find_spec(name), "origin", None) for name in event}
    folders = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
    return {"found": found, "first": sys.path[:2] == folders, "modules": sorted(sys.modules)}
"""


async def test_packages_of_this_environment_cannot_be_imported_and_those_of_the_runtime_can(tmp_path):
    missing = ["nats", "pydantic", "fastapi", "starlette", "mangum", "streams", "local", "pytest", "pip"]
    there = ["boto3", "botocore", "dateutil", "urllib3", "six", "jmespath", "s3transfer", "simplejson"]

    async with Lambda.running(written(tmp_path, LOOKING), handler="app.handler") as function:
        said = (await function.invoke(missing + there)).payload

    assert [name for name in missing if said["found"][name]] == []
    assert [name for name in there if not said["found"][name]] == []
    assert said["first"]
    assert "site" not in said["modules"]


async def test_what_the_zip_brings_comes_before_what_the_runtime_has(tmp_path):
    (written(tmp_path, LOOKING) / "six.py").touch()

    async with Lambda.running(tmp_path, handler="app.handler") as function:
        said = (await function.invoke(["six"])).payload

    assert said["found"]["six"] == str(tmp_path / "six.py")


async def test_a_zip_is_unpacked_read_only_and_is_gone_afterwards(tmp_path):
    packed = zipped(tmp_path / "functions.zip", {"app.py": LOOKING, "inner/words.txt": "milk"})

    async with Lambda.running(packed, handler="app.handler") as function:
        found = (await function.invoke(["app"])).payload["found"]["app"]
        root = Path(found).parent
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}
        changed = (root / "app.py").stat().st_mtime

    assert modes == {"task": 0o555, "app.py": 0o444, "inner": 0o555, "words.txt": 0o444}
    assert changed == pytest.approx(zip_time(), abs=1)
    assert not root.exists()


async def test_nothing_is_compiled_into_the_task_root(tmp_path):
    written(tmp_path, ECHO)

    async with Lambda.running(tmp_path, handler="app.handler") as function:
        await function.invoke({})

    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]


async def test_each_environment_has_a_folder_for_temporary_files_of_its_own(tmp_path):
    root = written(
        tmp_path,
        """
        import os, tempfile

        def handler(event, context):
            with tempfile.NamedTemporaryFile(delete=False) as file:
                return [file.name, os.path.expanduser("~"), tempfile.gettempdir()]
        """,
    )

    async with Lambda.running(root, handler="app.handler") as function:
        name, home, temporary = (await function.invoke({})).payload
        is_there = is_file(name)

    assert is_there
    assert home == temporary == str(Path(name).parent)
    assert not is_file(name)


async def test_another_interpreter_of_the_same_version_is_used_when_given(tmp_path):
    (python := tmp_path / "python").symlink_to(sys.executable)

    async with Lambda.running(
        written(tmp_path / "task", ECHO), handler="app.handler", python=python
    ) as function:
        answer = await function.invoke("hello")

    assert answer.payload == "hello"


async def test_an_interpreter_of_another_version_is_refused_with_both_versions(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho /usr/bin/python3.99\necho 3.99\n")
    python.chmod(0o755)

    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(RuntimeMissing, match=rf"is Python 3\.99, but awslambdaric .* for Python {ours}"):
        async with Lambda.running(written(tmp_path / "task", ECHO), handler="app.handler", python=python):
            pass


async def test_what_is_neither_a_folder_nor_a_zip_is_refused(tmp_path):
    (text := tmp_path / "functions.txt").write_text("milk")

    with pytest.raises(NotAFunction, match=r"functions\.txt is neither a folder nor a zip"):
        async with Lambda.running(text, handler="app.handler"):
            pass


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return path


def is_file(path: str) -> bool:
    return os.path.isfile(path)


def zip_time() -> float:
    return time.mktime((1980, 1, 1, 0, 0, 0, 0, 0, -1))
