"""Secrets by name, from AWS: Secrets Manager, and the Parameter Store of Systems Manager.

A name in the environment of a function is nobody's secret; the secret itself
would be there for everyone who may look at the function.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from streams.errors import DefinitionRefused

SUFFIX = "_FROM"

SECONDS = 2.0
"""How long connecting may take, and then the answer; tried twice. In a VPC without a way to AWS, the default
would be a minute."""

_FILES = (
    "STREAMS_NATS_CREDS",
    "STREAMS_NATS_NKEY",
    "STREAMS_NATS_TLS_CA",
    "STREAMS_NATS_TLS_CERT",
    "STREAMS_NATS_TLS_KEY",
    "STREAMS_JWT_PUBLIC_KEY",
)
"""What is given as the name of a file."""

_VALUES = ("STREAMS_NATS_USER", "STREAMS_NATS_PASSWORD", "STREAMS_NATS_TOKEN", "STREAMS_JWT_SECRET")


def with_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, with every secret that it names in its place.

    Raises:
        DefinitionRefused: One cannot be had, is there twice, or is none that can be named.
    """
    found, fetched = dict(environ), dict[tuple[str, str], str]()
    for variable in (*_FILES, *_VALUES):
        reference = found.pop(variable + SUFFIX, "")
        if not reference:
            continue
        if found.get(variable):
            raise DefinitionRefused(f"{variable} and {variable}{SUFFIX} are both set; keep one of them")
        secret = _secret(variable + SUFFIX, reference, fetched)
        found[variable] = _in_memory(variable, secret) if variable in _FILES else secret
    for variable in found:
        if variable.startswith("STREAMS_") and variable.endswith(SUFFIX) and found[variable]:
            raise DefinitionRefused(
                f"{variable} names a secret, and {variable.removesuffix(SUFFIX)} is none; "
                f"these can be: {', '.join((*_FILES, *_VALUES))}"
            )
    return found


def _secret(variable: str, reference: str, fetched: dict[tuple[str, str], str]) -> str:
    """What a reference names. Of a secret with several values, all are of one version: it is fetched once."""
    service, _, name = reference.partition(":")
    name, _, key = name.partition("#")
    if service not in _STORES or not name:
        raise DefinitionRefused(
            f"{variable}={reference!r} names no secret; expected secretsmanager:NAME or ssm:NAME"
        )
    if (service, name) not in fetched:
        fetched[service, name] = _fetched(f"{variable}={reference}", service, name)
    secret = fetched[service, name]
    return _value(f"{variable}={reference}", secret, key) if key else secret


def _fetched(reference: str, service: str, name: str) -> str:
    # Part of Lambda's runtime, not of the zip. botocore alone loads faster than boto3.
    import botocore.exceptions
    import botocore.session
    from botocore.config import Config

    config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2})
    try:
        return _STORES[service](botocore.session.get_session().create_client(service, config=config), name)
    except botocore.exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        raise DefinitionRefused(
            f"{reference}: {service} says {code}; check the name, and that the function's role may read it"
        ) from error
    except botocore.exceptions.BotoCoreError as error:
        raise DefinitionRefused(
            f"{reference}: {service} cannot be reached ({type(error).__name__}); in a VPC, give "
            "it an endpoint of that service, or a NAT gateway"
        ) from error


def _value(reference: str, secret: str, key: str) -> str:
    try:
        value = json.loads(secret)[key]
    except (ValueError, LookupError, TypeError):
        value = None
    if not isinstance(value, str):
        # Without the cause: it may show what was read.
        raise DefinitionRefused(f"{reference}: the secret is no JSON object with a text {key!r}")
    return value


def _from_secretsmanager(client: Any, name: str) -> str:
    answer = client.get_secret_value(SecretId=name)
    text: str = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"].decode()
    return text


def _from_ssm(client: Any, name: str) -> str:
    text: str = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return text


_STORES: dict[str, Callable[[Any, str], str]] = {
    "secretsmanager": _from_secretsmanager,
    "ssm": _from_ssm,
}


def _in_memory(variable: str, secret: str) -> str:
    """A file that is on no disk and goes with the process, for what is read from files."""
    if not hasattr(os, "memfd_create"):
        raise DefinitionRefused(f"{variable}{SUFFIX} needs Linux; give the file itself in {variable}")
    descriptor = os.memfd_create(variable)
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
        file.write(secret)
    return f"/proc/self/fd/{descriptor}"
