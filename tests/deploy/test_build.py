"""The whole package: built from this repository's functions, and run by a Python that has nothing else."""

from __future__ import annotations

import json
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from streams.cli.commands import app as commands
from streams.deploy.build import build
from streams.errors import BuildFailed, DiscoveryFailed
from tests.clients.npm import left_out
from tests.core.written_app import App
from tests.deploy.built import CACHE, HERE, SECONDS, built_zip, target_here, unpacked, with_index
from tests.dev.commands import REPOSITORY, STREAMS

pytestmark = pytest.mark.timeout(SECONDS)

OTHER = "python3.12" if target_here().runtime != "python3.12" else "python3.13"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An application that the test writes."""
    # Loading it puts its folder there.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return App(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A zip that an earlier build has left."""
    out = tmp_path / "build" / "functions.zip"
    out.parent.mkdir()
    out.write_bytes(b"old")
    return out


def alone(program: str) -> str:
    """What a program prints that has the package and Python's own modules, and nothing else."""
    begins = f"import sys; sys.path.insert(0, {str(unpacked())!r}); sys.dont_write_bytecode = True\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", begins + dedent(program)],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(package: Path) -> dict[str, int]:
    with zipfile.ZipFile(package) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def named() -> list[str]:
    with zipfile.ZipFile(built_zip()) as archive:
        return archive.namelist()


def test_the_package_has_the_functions_and_what_they_need():
    names = set(named())

    assert {
        "functions/todo/create_todo_step.py",
        "streams/faas/aws_lambda.py",
        "mangum/__init__.py",
        "nkeys/__init__.py",
        "nats/__init__.py",
    } <= names


def test_the_package_has_nothing_else():
    tops = {name.split("/")[0] for name in named()}
    ours = {"/".join(name.split("/")[:2]) for name in named()}

    assert not tops & {"bin", "boto3", "botocore", "uvicorn", "typer", "rich", "pytest", "pip"}
    assert not ours & {
        f"streams/{part}" for part in ("cli", "client", "deploy", "dev", "gateway", "typescript")
    }
    assert not [name for name in named() if name.startswith("functions/") and "web" in name.split("/")]


def test_packages_have_the_versions_that_are_installed_here():
    described = json.loads(built_zip().with_suffix(".json").read_text())

    assert described["packages"] == {name: version(name) for name in described["packages"]}
    assert {"fastapi", "mangum", "nats-py", "nkeys", "pydantic"} <= set(described["packages"])


def test_the_file_beside_it_says_what_it_is():
    described = json.loads(built_zip().with_suffix(".json").read_text())

    assert described["sha256"] == sha256(built_zip().read_bytes()).hexdigest()
    assert described["bytes"] == built_zip().stat().st_size
    assert described["runtime"] == target_here().runtime
    assert described["architecture"] == target_here().architecture.value
    assert described["folder"] == "functions"
    assert described["has_pyc"] is True
    with zipfile.ZipFile(built_zip()) as archive:
        assert described["unzipped_bytes"] == sum(entry.file_size for entry in archive.infolist())


def test_every_module_of_this_library_is_compiled():
    tag = sys.implementation.cache_tag
    sources = [
        Path(name) for name in named() if name.startswith(("streams/", "functions/")) and name.endswith(".py")
    ]

    assert sources
    assert {str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc") for path in sources} <= set(named())


def test_every_module_of_this_library_loads_with_nothing_but_the_package():
    said = alone(
        """
        import importlib, pathlib, streams
        root = pathlib.Path(streams.__file__).parent
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            # This one does not load: it starts.
            if name != "streams.faas.aws_lambda":
                importlib.import_module(name)
                print(name)
        """
    )

    assert "streams.faas.lambda_host" in said.split()
    assert len(said.split()) > 60


def test_a_step_runs_with_nothing_but_the_package():
    said = alone(
        """
        import json, pathlib, mangum
        from streams.discovery import discover
        from streams.faas.asgi import functions_app
        from streams.memory import MemoryStore
        root = pathlib.Path(mangum.__file__).parents[1]
        app = functions_app(discover(root / "functions"), MemoryStore(["todo"]))
        handler = mangum.Mangum(app, lifespan="off")
        http = {"method": "POST", "path": "/todo", "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
        print(json.dumps(handler({
            "version": "2.0", "rawPath": "/todo", "rawQueryString": "", "isBase64Encoded": False,
            "headers": {"content-type": "application/json"}, "body": json.dumps({"description": "Buy milk"}),
            "requestContext": {"http": http, "stage": "$default"},
        }, None)))
        """
    )

    answer = json.loads(said)
    assert answer["statusCode"] == 200
    assert "Buy milk" in answer["body"]


def test_compiled_modules_say_where_they_are_on_lambda_and_nothing_of_this_machine():
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(built_zip()) as archive:
        compiled = {name: archive.read(name) for name in archive.namelist() if name.endswith(".pyc")}

    for name, content in compiled.items():
        source = name.replace("__pycache__/", "").replace(f".{tag}.pyc", ".py")
        assert marshal.loads(content[16:]).co_filename == f"/var/task/{source}"
        assert str(REPOSITORY).encode() not in content


def test_another_folder_and_an_empty_cache_make_the_same_bytes(tmp_path: Path):
    shutil.copytree(REPOSITORY / "functions", tmp_path / "elsewhere" / "functions")
    built_zip()

    done = subprocess.run(
        [STREAMS, "build", "--arch", target_here().architecture.value, "--out", "a/b/c.zip", "--json"],
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    if "the package index cannot be reached" in done.stderr:
        left_out("the package index cannot be reached")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    again = tmp_path / "elsewhere/a/b/c.zip"
    assert said["sha256"] == sha256(again.read_bytes()).hexdigest()
    # First by name: a file that was saved meanwhile is told from bytes that came out otherwise.
    assert contents(again) == contents(built_zip())
    assert again.read_bytes() == built_zip().read_bytes()
    assert again.with_suffix(".json").read_bytes() == built_zip().with_suffix(".json").read_bytes()
    assert said["was_tried"] is True
    assert said["unpinned"] == []


def test_a_broken_application_is_refused_before_anything_is_built(app: App, tmp_path: Path):
    app.write("todo_step.py", "import nowhere_to_be_found")
    out = tmp_path / "build" / "functions.zip"

    done = CliRunner().invoke(commands, ["build", str(app.folder), "--out", str(out)])

    assert done.exit_code == 1
    assert "No module named 'nowhere_to_be_found'" in done.stderr
    assert not out.parent.exists()


def test_a_step_that_is_no_route_is_refused_before_anything_is_built(app: App, tmp_path: Path):
    app.step("todo_step.py", route="/streams/todo")
    out = tmp_path / "build" / "functions.zip"

    with pytest.raises(DiscoveryFailed):
        build(app.found(), target_here(), out)

    assert not out.parent.exists()


def test_requirements_that_are_not_there_are_refused(app: App, tmp_path: Path):
    app.stream("todo_stream.py")

    with pytest.raises(BuildFailed, match=r"other\.txt: there is no such file"):
        build(app.found(), target_here(), tmp_path / "f.zip", requirements=tmp_path / "other.txt")


def test_a_module_that_is_not_shipped_is_named_with_who_imports_it(
    app: App, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "only_installed_here.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    (app.folder / "todo/create_step.py").write_text(
        "import only_installed_here\n" + app.step("todo/create_step.py").read_text()
    )
    application = app.found()

    with pytest.raises(BuildFailed) as refused:
        with_index(lambda: build(application, target_here(), old, cache=CACHE))

    assert (
        f"{app.folder.name}/todo/create_step.py:1 imports 'only_installed_here', which is not in "
        "the package; "
        f"add what it is part of to {app.folder.name}/requirements.txt"
    ) in str(refused.value)
    assert old.read_bytes() == b"old"
    assert [path.name for path in old.parent.iterdir()] == ["functions.zip"]


def test_a_module_beside_the_folder_is_named_as_that(app: App, old: Path):
    (app.folder.parent / "beside_it.py").write_text("")
    (app.folder / "todo_step.py").write_text("import beside_it\n" + app.step("todo_step.py").read_text())
    application = app.found()

    with pytest.raises(BuildFailed, match=f"move it to {app.folder.name}/beside_it"):
        with_index(lambda: build(application, target_here(), old, cache=CACHE))


def test_what_lambda_has_itself_is_not_missing(app: App, old: Path):
    (app.folder / "todo_step.py").write_text("import boto3\n" + app.step("todo_step.py").read_text())
    application = app.found()

    built = with_index(lambda: build(application, target_here(), old, cache=CACHE))

    assert built.was_tried
    assert "boto3" not in built.package.packages


def test_without_a_python_of_the_runtime_it_is_built_and_said_loudly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", os.devnull)
    out = HERE / "other" / "functions.zip"

    done = CliRunner().invoke(
        commands, ["build", str(REPOSITORY / "functions"), "--runtime", OTHER, "--out", str(out)]
    )

    if "the package index cannot be reached" in done.stderr:
        left_out("the package index cannot be reached")
    assert done.exit_code == 0, done.stderr
    assert f"WARNING: no {OTHER} is installed here, so the package has no compiled modules" in done.stderr
    assert f"{OTHER} on arm64" in done.stdout
    with zipfile.ZipFile(out) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]
    assert json.loads(out.with_suffix(".json").read_text())["has_pyc"] is False
