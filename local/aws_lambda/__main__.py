"""`python -m local.aws_lambda ZIP_OR_FOLDER`: a zip of functions behind a port, for curl and boto3."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from local.aws_lambda import Answer, Lambda, NotAFunction, RuntimeMissing, Shape, SnapshotFailed
from streams.gateway.server import stop_requested


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_serve(arguments))
    except (NotAFunction, RuntimeMissing, SnapshotFailed) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(
            f"127.0.0.1:{arguments.port} cannot be listened on ({error.strerror}); choose another --port"
        )


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = stop_requested()
    async with Lambda.running(
        arguments.root,
        handler=arguments.handler,
        name=arguments.name,
        environment=dict(arguments.env),
        timeout=arguments.timeout,
        memory_mb=arguments.memory,
        freeze=arguments.freeze,
        snap_start=arguments.snap_start,
        secrets=dict(arguments.secret),
        parameters=dict(arguments.parameter),
        shape=arguments.shape,
        port=arguments.port,
        python=arguments.python,
        on_answer=_print_logs,
    ) as function:
        print(f"{function.endpoint_url} is {arguments.root} as {arguments.shape} events; Ctrl-C ends it")
        print(f"boto3.client('lambda', endpoint_url={function.endpoint_url!r}) calls {function.name!r}")
        sys.stdout.flush()
        await stopped.wait()


def _print_logs(answer: Answer) -> None:
    sys.stderr.write(answer.logs)
    sys.stderr.flush()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.aws_lambda", description="A zip of functions behind a port, for curl and boto3."
    )
    parser.add_argument("root", type=Path, metavar="ZIP_OR_FOLDER", help="what `streams build` made")
    parser.add_argument("--handler", default="streams.faas.aws_lambda.handler", help="%(default)s")
    parser.add_argument("--name", default="functions", help="the function's name for boto3; %(default)s")
    parser.add_argument("--port", type=int, default=9000, help="on 127.0.0.1; %(default)s, 0 is any free one")
    parser.add_argument("--env", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--secret", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--parameter", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    shapes = "|".join(Shape)
    parser.add_argument("--shape", type=Shape, default=Shape.HTTP_API, metavar=shapes, help="%(default)s")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds; %(default)s")
    parser.add_argument("--memory", type=int, default=512, help="MB, told and not enforced; %(default)s")
    parser.add_argument("--snap-start", action="store_true", help="start from a snapshot")
    parser.add_argument("--freeze", action="store_true", help="stop the process between requests")
    parser.add_argument("--python", type=Path, help="the interpreter; the one that runs this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
