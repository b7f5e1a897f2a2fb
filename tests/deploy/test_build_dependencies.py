"""What is installed beside the functions: in which versions, and what of it is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.deploy.interpreters import interpreter_for
from streams.deploy.machine_code import unfit_files
from streams.deploy.targets import Architecture, Target
from streams.errors import BuildFailed
from tests.deploy.built import target_here
from tests.deploy.wheels import Shop, files_in, shared_library

AARCH64, X86_64 = 183, 62
ARM = Target("python3.13", Architecture.ARM64)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def test_a_package_is_shipped_in_the_version_that_is_installed_here(shop: Shop):
    shop.wheel("apple", "1.0")
    shop.wheel("apple", "2.0")

    found = shop.installed("apple", {"apple": "1.0"})

    assert found.packages["apple"] == "1.0"
    assert "1.0" in (found.tree / "apple.py").read_text()


def test_what_a_package_needs_comes_with_it(shop: Shop):
    shop.wheel("pie", requires="apple>=1")
    shop.wheel("apple")

    found = shop.installed("pie")

    assert set(found.packages) == {"pie", "apple", "realtime-streams"}


def test_a_version_other_than_the_one_that_is_tested_is_refused(shop: Shop):
    shop.wheel("apple", "1.0")
    shop.wheel("apple", "2.0")

    with pytest.raises(BuildFailed) as refused:
        shop.installed("apple==2.0", {"apple": "1.0"})

    assert "The user requested apple==2.0" in str(refused.value)
    assert "the version that is installed here" in str(refused.value)


def test_a_package_that_does_not_exist_is_named(shop: Shop):
    with pytest.raises(BuildFailed, match="No matching distribution found for aple"):
        shop.installed("aple")


def test_packages_that_lambda_has_are_left_out(shop: Shop):
    shop.wheel("storage", requires="boto3")
    shop.wheel("boto3", files={"boto3/__init__.py": "", "boto3/data/s3.json": "{}"}, requires="botocore")
    shop.wheel("botocore")

    found = shop.installed("storage")

    assert found.left_out == ["boto3", "botocore"]
    assert not [name for name in files_in(found.tree) if "boto" in name]
    assert "storage" in found.packages
    assert "boto3" not in found.packages


def test_programs_and_long_descriptions_are_left_out(shop: Shop):
    shop.wheel("apple")

    found = shop.installed("apple")

    assert {name for name in files_in(found.tree) if "apple" in name and not name.endswith(".pyc")} == {
        "apple.py",
        "apple-1.0.dist-info/METADATA",
        "apple-1.0.dist-info/entry_points.txt",
    }
    assert "A long description" not in (found.tree / "apple-1.0.dist-info/METADATA").read_text()


def test_a_package_without_a_wheel_is_built_if_it_is_python_only(shop: Shop):
    shop.sources("keys")

    found = shop.installed("keys>=1")

    assert found.packages["keys"] == "1.0"
    assert (found.tree / "keys.py").exists()


def test_a_library_that_the_target_cannot_load_is_named(shop: Shop):
    shop.wheel("apple", files={"apple/__init__.py": "", "apple/seed.so": shared_library(X86_64)})

    with pytest.raises(BuildFailed) as refused:
        shop.installed("apple", target=ARM)

    assert "apple 1.0 does not run on python3.13 on arm64: apple/seed.so is for x86_64;" in str(refused.value)


@pytest.mark.parametrize(
    ("library", "header", "reason"),
    [
        ("seed.so.1", shared_library(X86_64), "is for x86_64"),
        ("seed.abi3.so", shared_library(243), "is for riscv"),
        ("seed.cpython-312-aarch64-linux-gnu.so", shared_library(AARCH64), "is for Python 3.12"),
        ("seed.cpython-313-aarch64-linux-musl.so", shared_library(AARCH64), "is for a Linux with musl"),
        ("seed.so", b"MZ", "is no library for 64-bit Linux"),
    ],
)
def test_what_a_library_is_for_is_read_from_it(tmp_path: Path, library: str, header: bytes, reason: str):
    (tmp_path / library).write_bytes(header)

    assert list(unfit_files(tmp_path, ARM)) == [(tmp_path / library, reason)]


@pytest.mark.parametrize(
    "library", ["seed.so", "seed.abi3.so", "seed.cpython-313-aarch64-linux-gnu.so", "seed.so.2.1"]
)
def test_a_library_for_the_target_is_none_of_those(tmp_path: Path, library: str):
    (tmp_path / library).write_bytes(shared_library(AARCH64))

    assert list(unfit_files(tmp_path, ARM)) == []


def test_wheels_for_other_machines_do_not_count(shop: Shop):
    shop.wheel("apple", "1.0", tag="cp313-cp313-manylinux2014_aarch64")
    shop.wheel("apple", "2.0", tag="cp313-cp313-manylinux2014_x86_64")
    shop.wheel("apple", "3.0", tag="cp312-cp312-manylinux2014_aarch64")

    found = shop.installed("apple", target=ARM)

    assert found.packages["apple"] == "1.0"


@pytest.mark.parametrize(("runtime", "version"), [("python3.11", "1.0"), ("python3.12", "2.0")])
def test_wheels_for_a_newer_c_library_than_the_runtimes_do_not_count(shop: Shop, runtime: str, version: str):
    shop.wheel("apple", "1.0", tag="py3-none-manylinux_2_17_aarch64")
    shop.wheel("apple", "2.0", tag="py3-none-manylinux_2_28_aarch64")

    found = shop.installed("apple", target=Target(runtime, Architecture.ARM64))

    assert found.packages["apple"] == version


def test_an_application_that_requires_this_library_gets_the_one_that_is_here(shop: Shop):
    shop.wheel("realtime_streams", "0.1.0", files={"streams/__init__.py": "raise SystemExit"})

    found = shop.installed("realtime-streams[functions]")

    assert not (found.tree / "streams").exists()


def test_the_next_build_finds_what_this_one_has_installed(shop: Shop):
    shop.wheel("apple")
    first = shop.installed("apple")
    shop.closes()

    assert shop.installed("apple") == first


def test_a_change_of_the_requirements_is_seen(shop: Shop):
    shop.wheel("apple")
    shop.wheel("pear")
    shop.installed("apple")

    found = shop.installed("pear")

    assert "pear" in found.packages
    assert "apple" not in found.packages


def test_what_another_file_requires_is_looked_up_anew(shop: Shop, tmp_path: Path):
    shop.wheel("apple")
    shop.wheel("pear")
    (tmp_path / "other.txt").write_text("apple")
    shop.installed("-r other.txt")
    (tmp_path / "other.txt").write_text("pear")

    found = shop.installed("-r other.txt")

    assert "pear" in found.packages


def test_modules_are_compiled_whatever_their_times(shop: Shop):
    shop.wheel("apple")

    found = shop.installed("apple")

    (compiled,) = found.tree.glob("__pycache__/apple.*.pyc")
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "by a hash, which nobody checks"
    assert b"/var/task/apple.py" in compiled.read_bytes()
    assert not re.search(rb"installing|/tree/", compiled.read_bytes())


def test_without_a_python_of_the_version_nothing_is_compiled(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    shop.wheel("apple")
    other = "python3.12" if target_here().runtime != "python3.12" else "python3.13"
    target = Target(other, Architecture.ARM64)

    found = shop.installed("apple", target=target)

    assert interpreter_for(target, None) is None
    assert not list(found.tree.rglob("*.pyc"))
