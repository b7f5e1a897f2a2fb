"""Functions on the Lambda emulator, from the zip that `streams build` makes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from local.aws_lambda.answers import Answer
from local.aws_lambda.emulator import Lambda
from local.aws_lambda.events import HttpRequest, Shape, to_event
from local.aws_lambda.responses import HttpResponse, to_response

HANDLER = "streams.faas.aws_lambda.handler"
APPLICATION = "application"
INIT_SECONDS = 50.0
"""Lambda's own ten, and time for a machine on which other tests run too."""


def root_with(unpacked: Path, folder: Path, files: Mapping[str, str]) -> Path:
    """What the zip holds, with another application in it: in `APPLICATION`, not in `functions`."""
    root = folder / "task"
    root.mkdir()
    for entry in unpacked.iterdir():
        if entry.name != "functions":
            (root / entry.name).symlink_to(entry)
    for name, text in files.items():
        file = root / APPLICATION / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


@asynccontextmanager
async def on_lambda(
    root: Path, nats_url: str, *, environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Lambda]:
    """The function that a zip or folder is, connected to a NATS."""
    folder = {"STREAMS_FOLDER": APPLICATION} if (root / APPLICATION).is_dir() else {}
    options = {"timeout": 30.0, "init_timeout": INIT_SECONDS} | options
    async with Lambda.running(
        root,
        handler=HANDLER,
        environment={"STREAMS_NATS_URL": nats_url, **folder, **(environment or {})},
        **options,
    ) as function:
        yield function


async def sent(
    function: Lambda, method: str, target: str, body: Any = None, *, shape: Shape = Shape.HTTP_API
) -> tuple[HttpResponse, Answer]:
    """What a caller gets, and what Lambda had of the function."""
    headers = {"content-type": "application/json", "host": "example.com"}
    text = b"" if body is None else json.dumps(body).encode()
    answer = await function.invoke(
        to_event(HttpRequest.of(method, target, headers=headers, body=text), shape)
    )
    assert answer.error is None, answer.logs
    return to_response(answer.body, shape), answer


async def asked(function: Lambda, method: str, target: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    response, _ = await sent(function, method, target, body)
    return response.status, json.loads(response.body)
