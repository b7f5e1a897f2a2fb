"""What commands print: lines for a person, or one JSON document."""

from __future__ import annotations

import re
from typing import Any

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

out = Console()
err = Console(stderr=True)

# Whoever may write an item could otherwise move the cursor of whoever reads it, or turn its words around.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def print_json(value: object) -> None:
    """One JSON document on one line, whatever it is printed to."""
    typer.echo(to_json(value, by_alias=True))


def print_value(value: object) -> None:
    """One item: over several lines on a terminal, else on one."""
    if not out.is_terminal:
        print_json(value)
        return
    text = to_json(value, by_alias=True, indent=2).decode()
    print_line(JSONHighlighter()("\n".join(map(_visible, text.split("\n")))))


def print_line(line: Text | str) -> None:
    """One line, however long. Of text that is not `Text`, no character is obeyed."""
    shown = Text(_visible(line)) if isinstance(line, str) else line
    out.print(shown, soft_wrap=True)


def print_note(sentence: str) -> None:
    """What is not a result, and so must not be read as one."""
    err.print(Text(sentence, "dim"), soft_wrap=True)


def print_error(error: Exception) -> None:
    lines = map(_visible, str(error).split("\n"))
    err.print(Text("\n".join(lines), "red"), soft_wrap=True)


def name(text: str) -> str:
    """A group or an item id as it is, or as JSON where that would not be clear."""
    if _CONTROL.search(text) or text.startswith('"') or text != text.strip():
        return one_line(text)
    return text


def one_line(value: Any) -> str:
    """JSON on one line, without a character that a terminal obeys."""
    return _visible(to_json(value, by_alias=True).decode())


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
