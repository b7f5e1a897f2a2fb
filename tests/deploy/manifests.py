"""The manifests for Kubernetes, read: what tests look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.clients.npm import left_out
from tests.dev.commands import REPOSITORY

Document = dict[str, Any]

FOLDER = REPOSITORY / "infra/kubernetes"

NAME = "app.kubernetes.io/name"

OURS = {"gateway": "gateway", "functions": "functions", "provision": "functions"}
"""Pods that run our images: the folder of the Dockerfile."""

FOREIGN = {"PodMonitor", "ScaledObject"}
"""Kinds of others than Kubernetes, whose shape is not known here."""


def read(path: str) -> list[Document]:
    """The documents of one file."""
    try:
        import yaml
    except ImportError:
        left_out("PyYAML is not installed: pip install -e '.[cloud-checks]'")
    with (FOLDER / path).open() as file:
        return [document for document in yaml.safe_load_all(file) if document is not None]


@cache
def kustomization() -> Document:
    (document,) = read("kustomization.yaml")
    return document


@cache
def documents() -> tuple[Document, ...]:
    """All that is applied: what the kustomization names, and what may be added to it."""
    own = [name for name in kustomization()["resources"] if name.endswith(".yaml")]
    return tuple(
        document
        for name in [*own, "monitoring/pod-monitor.yaml", "monitoring/keda.yaml"]
        for document in read(name)
    )


def of_kind(*kinds: str) -> list[Document]:
    return [document for document in documents() if document["kind"] in kinds]


def named(kind: str, name: str) -> Document:
    (found,) = [document for document in of_kind(kind) if document["metadata"]["name"] == name]
    return found


def pods() -> list[Document]:
    """The template of every pod, labels and all."""
    return [document["spec"]["template"] for document in of_kind("Deployment", "StatefulSet", "Job")]


def pod(name: str) -> Document:
    (found,) = [pod for pod in pods() if pod["metadata"]["labels"][NAME] == name]
    return found


def container(name: str) -> Document:
    """The one container of a pod."""
    (found,) = pod(name)["spec"]["containers"]
    return found


def ports_of(template: Document) -> dict[str, int]:
    """The ports of a pod by name."""
    (only,) = template["spec"]["containers"]
    return {port["name"]: port["containerPort"] for port in only.get("ports", ())}


def selected(selector: Document) -> list[str]:
    """The names of the pods that a selector finds. An empty one finds all."""

    def fits(labels: dict[str, str]) -> bool:
        return all(
            labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()
        ) and all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ()))

    return [labels[NAME] for pod in pods() if fits(labels := pod["metadata"]["labels"])]


def dockerfile(folder: str) -> str:
    return (REPOSITORY / f"infra/{folder}/Dockerfile").read_text()


def values(document: Any, key: str) -> Iterator[Any]:
    """Everything in a document that stands under a key, at any depth."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(document, list):
        for each in document:
            yield from values(each, key)


def environment(container: Document, secrets: str) -> dict[str, str]:
    """What a container is told. Every secret is `secrets`, and the pod is the first of its set."""
    found: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom")
        text = variable["value"] if source is None else "nats-0" if "fieldRef" in source else secrets
        found[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], text)
    return found
