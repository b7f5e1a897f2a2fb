"""What a function on AWS Lambda is told: by its environment, and by the secrets that it names.

| variable | what |
|---|---|
| STREAMS_FOLDER | the application's folder in the zip; `functions` when it is not set |
| STREAMS_STEP | the one step that this function runs; all of them when it is not set |
| STREAMS_NATS_URL, STREAMS_NAMESPACE | as the `streams` command reads them |
| STREAMS_NATS_..., STREAMS_JWT_... | see `streams.settings` |
| any of those with `_FROM` behind it | the secret that it is: `secretsmanager:NAME` or `ssm:NAME` |

`#KEY` behind a secret's name takes one value of a secret that is a JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from streams.auth.configuration import TokenSettings
from streams.discovery import Application, discover
from streams.errors import DefinitionRefused, did_you_mean
from streams.faas.lambda_secrets import with_secrets
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL, nats_credentials, token_settings


@dataclass(frozen=True, slots=True)
class LambdaSettings:
    """Where a function connects to, and as whom."""

    nats_url: str
    namespace: Namespace
    credentials: Credentials
    tokens: TokenSettings
    title: str
    """Of the OpenAPI document: the function's name."""


def lambda_settings(environ: Mapping[str, str]) -> LambdaSettings:
    """The settings of the environment, secrets fetched.

    Raises:
        DefinitionRefused: A secret cannot be had, or a value is none.
        CredentialsNotUsable: They are given twice, or by half.
    """
    told = with_secrets(environ)
    return LambdaSettings(
        nats_url=told.get("STREAMS_NATS_URL") or NATS_URL,
        namespace=Namespace(told.get("STREAMS_NAMESPACE") or "streams"),
        credentials=nats_credentials(told),
        tokens=token_settings(told),
        title=told.get("AWS_LAMBDA_FUNCTION_NAME") or "Streams",
    )


def lambda_application(environ: Mapping[str, str]) -> Application:
    """The application in the zip, with the steps that this function runs.

    Raises:
        DiscoveryFailed: It is not there, or names every file that cannot be used.
        DefinitionRefused: There is no step of the name that is asked for.
    """
    root = Path(environ.get("LAMBDA_TASK_ROOT") or ".")
    application = discover(root / (environ.get("STREAMS_FOLDER") or "functions"))
    name = environ.get("STREAMS_STEP")
    if not name:
        return application
    steps = {step.config.name: step for step in application.steps}
    if name not in steps:
        raise DefinitionRefused(f"STREAMS_STEP={name!r}: there is no such step; {did_you_mean(name, steps)}")
    return replace(application, steps=(steps[name],))
