"""`serverless.yml` as `osls` packages it, without credentials and without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.clients.npm import installed, left_out
from tests.dev.commands import REPOSITORY

OSLS = Path(__file__).parent / "osls"
INSTALL_SECONDS = 180
"""osls is 144 packages of 96 MB."""
PACKAGE_SECONDS = 120
"""It takes two to ten where nothing else runs."""
BUILT = {"runtime": "python3.13", "architecture": "arm64"}
_OLDEST_NODE = (20, 19)


@dataclass(frozen=True)
class Template:
    """What CloudFormation would be given."""

    file: Path
    resources: dict[str, Any]

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of every resource of a kind, by its name in the template."""
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == f"AWS::{kind}"
        }

    def one(self, kind: str) -> dict[str, Any]:
        (properties,) = self.all(kind).values()
        return properties

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The properties of every function, by the name it has on AWS."""
        return {each["FunctionName"]: each for each in self.all("Lambda::Function").values()}

    @property
    def routes(self) -> dict[str, str]:
        """The function of every route."""
        integrations = self.all("ApiGatewayV2::Integration")
        targets = {
            route["RouteKey"]: integrations[route["Target"]["Fn::Join"][1][1]["Ref"]]["IntegrationUri"]
            for route in self.all("ApiGatewayV2::Route").values()
        }
        names = {name: each["FunctionName"] for name, each in self.all("Lambda::Function").items()}
        # The alias that SnapStart has is behind the function's address.
        return {
            key: names[(target["Fn::Join"][1][0] if "Fn::Join" in target else target)["Fn::GetAtt"][0]]
            for key, target in targets.items()
        }

    @property
    def statements(self) -> list[dict[str, Any]]:
        """What the functions may do, besides what AWS's own policies let them."""
        (policy,) = self.one("IAM::Role")["Policies"]
        found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
        return found


def packaged(place: Path, functions: str, *options: str) -> Template:
    """The template that `osls package` makes of our serverless.yml and a list of functions."""
    done = package(place, functions, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    file = place / ".serverless/cloudformation-template-update-stack.json"
    return Template(file, json.loads(file.read_text())["Resources"])


def package(place: Path, functions: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `osls package` in a folder of its own."""
    program = installed(OSLS, INSTALL_SECONDS) / "osls/bin/serverless.js"
    node = _node()
    shutil.copy(REPOSITORY / "serverless.yml", place)
    for folder in ("infra", ".build", "home"):
        (place / folder).mkdir()
    (place / "infra/functions.json").write_text(functions)
    (place / ".build/functions.json").write_text(json.dumps(BUILT))
    with zipfile.ZipFile(place / ".build/functions.zip", "w") as file:
        file.writestr("README", "what `streams build` makes stands here")
    prefix, environment = _without_network()
    return subprocess.run(
        [*prefix, node, str(program), "package", *options],
        cwd=place,
        # Nothing of ours: no credentials, no region, no settings of npm.
        env={"PATH": os.environ["PATH"], "HOME": str(place / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=PACKAGE_SECONDS,
        check=False,
    )


def linted(template: Template) -> str:
    """What cfn-lint says of a template; nothing, if all is well."""
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        left_out("cfn-lint is not installed: pip install -e '.[cloud-checks]'")
    # W3005: osls names dependencies that follow from the rest of the template anyway.
    done = subprocess.run(
        [str(program), "-i", "W3005", "-t", str(template.file)],
        capture_output=True,
        text=True,
        timeout=PACKAGE_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


@cache
def has_no_network() -> bool:
    """Whether a program can be run here that has none."""
    return bool(_namespace())


def _without_network() -> tuple[list[str], dict[str, str]]:
    if has_no_network():
        return _namespace(), {}
    # Nobody listens there, so whatever honours them finds nobody.
    nowhere = "http://127.0.0.1:1"
    return [], dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere)


@cache
def _namespace() -> list[str]:
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which(words[0]) and not subprocess.run([*words, "true"], capture_output=True).returncode:
            return words
    return []


@cache
def _node() -> str:
    node = shutil.which("node")
    if node is None:
        left_out("node is not installed")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    if version < _OLDEST_NODE:
        left_out(f"osls needs Node {'.'.join(map(str, _OLDEST_NODE))} or later; this is {said}")
    return node
