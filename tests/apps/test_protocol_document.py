"""`docs/protocol.md` says what the code says."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from streams import messages
from streams.gateway import client_line
from streams.gateway.laggards import STALL_SECONDS, UNREAD_BYTES
from streams.gateway.session import MAX_SUBSCRIPTIONS
from streams.resources.writing import MAX_BODY_BYTES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
_CODE = re.compile(r'"([A-Z]+(?:_[A-Z]+)+)"')


def codes(*folders: str) -> list[str]:
    files = [file for folder in folders for file in sorted((ROOT / "streams").glob(folder))]
    found = {code for file in files for code in _CODE.findall(file.read_text(encoding="utf-8"))}
    return sorted(code for code in found if not hasattr(socket, code) and code not in os.sysconf_names)


@pytest.mark.parametrize(
    "code", codes("answers.py", "messages.py", "gateway/*.py", "resources/*.py", "dev/app.py", "dev/types.py")
)
def test_every_code_is_explained(code: str):
    assert f"`{code}`" in DOCUMENT


@pytest.mark.parametrize(
    "code", [value for name, value in vars(messages).items() if name.startswith("CLOSE_")]
)
def test_every_close_code_is_explained(code: int):
    assert f"| {code} |" in DOCUMENT


def test_the_limits_are_the_real_ones():
    assert f"{messages.MAX_MESSAGE_BYTES // 1024} KiB" in DOCUMENT
    assert f"{MAX_SUBSCRIPTIONS:,}" in DOCUMENT
    assert f"{client_line.MAX_WAITING_BYTES // 1024} KiB" in DOCUMENT
    assert f"{client_line.MAX_REPLIES_BYTES // 1024} KiB" in DOCUMENT
    assert f"{UNREAD_BYTES // 1024**2} MiB" in DOCUMENT
    assert f"nothing for {STALL_SECONDS:.0f} s" in DOCUMENT
    assert f"every {client_line.PING_SECONDS:.0f} s" in DOCUMENT
    assert f"over {MAX_BODY_BYTES // 1024**2} MiB" in DOCUMENT


def test_every_file_of_vectors_is_named():
    for file in (ROOT / "tests/wire/v1").glob("*.json"):
        assert f"`{file.name}`" in DOCUMENT
