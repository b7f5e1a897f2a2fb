"""Functions for the emulator, written for one test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SECONDS = 20.0
"""How long a test waits for what has to happen. A new process on a busy machine takes its time."""


def written(folder: Path, source: str) -> Path:
    """A task root with one module, `app.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(dedent(source))
    return folder


ECHO = """
def handler(event, context):
    return event
"""

COUNTER = """
import os

calls = 0

def handler(event, context):
    global calls
    calls += 1
    return {"pid": os.getpid(), "calls": calls}
"""


def state_of(pid: int) -> str:
    """How the kernel sees a process: `S` sleeps, `T` is stopped, `` is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state = status.rpartition(")")[2].split()[0]
    return "" if state == "Z" else state
