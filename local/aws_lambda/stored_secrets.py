"""Secrets Manager and the Parameter Store, as far as a function reads its secrets there by name."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from local.aws_lambda.account import ACCOUNT, REGION


class StoredSecrets:
    """Answers to the two calls that read one secret. All else is refused."""

    def __init__(self, secrets: Mapping[str, str], parameters: Mapping[str, str]) -> None:
        self._secrets, self._parameters = dict(secrets), dict(parameters)

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body for a request with this `X-Amz-Target`."""
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            return _error("SerializationException", "the request is no JSON")
        match target:
            case "secretsmanager.GetSecretValue":
                return self._secret(str(asked.get("SecretId")))
            case "AmazonSSM.GetParameter":
                return self._parameter(str(asked.get("Name")), is_decrypted=bool(asked.get("WithDecryption")))
        return _error("UnknownOperationException", f"{target} is not emulated")

    def _secret(self, asked: str) -> tuple[int, bytes]:
        # By ARN, too; its name has six random characters behind it.
        name = asked if ":secret:" not in asked else asked.partition(":secret:")[2].rpartition("-")[0]
        if name not in self._secrets:
            message = "Secrets Manager can't find the specified secret."
            return _error("ResourceNotFoundException", message)
        found = {
            "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf",
            "Name": name,
            "SecretString": self._secrets[name],
            "VersionId": str(uuid4()),
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": time.time(),
        }
        return 200, json.dumps(found).encode()

    def _parameter(self, name: str, *, is_decrypted: bool) -> tuple[int, bytes]:
        if name not in self._parameters:
            return _error("ParameterNotFound", f"Parameter {name} not found.")
        found: dict[str, Any] = {
            "ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.lstrip('/')}",
            "DataType": "text",
            "LastModifiedDate": time.time(),
            "Name": name,
            "Type": "SecureString",
            # Who does not ask for the text gets what is stored, which nobody can read.
            "Value": self._parameters[name] if is_decrypted else f"AQICAHh{uuid4().hex}",
            "Version": 1,
        }
        return 200, json.dumps({"Parameter": found}).encode()


def _error(kind: str, message: str) -> tuple[int, bytes]:
    return 400, json.dumps({"__type": kind, "message": message}).encode()
