"""The manifests fit the API of Kubernetes, and each other. No cluster is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streams.dev.nats_container import IMAGE
from tests.clients.npm import left_out
from tests.deploy.manifests import (
    FOLDER,
    FOREIGN,
    NAME,
    OURS,
    container,
    dockerfile,
    documents,
    kustomization,
    named,
    of_kind,
    pod,
    pods,
    ports_of,
    read,
    selected,
    values,
)

VERSION = "1.30"
"""The oldest one that README.md promises."""


@pytest.mark.parametrize("version", [VERSION, None], ids=["oldest", "newest"])
def test_every_document_fits_the_api_of_kubernetes(version: str | None):
    try:
        import kubernetes_validate
    except ImportError:
        left_out("kubernetes-validate is not installed: pip install -e '.[cloud-checks]'")

    for document in documents():
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(
                document, version or kubernetes_validate.latest_version(), strict=True
            )


def test_every_file_is_named_in_a_kustomization():
    (monitoring,) = read("monitoring/kustomization.yaml")
    listed = {*kustomization()["resources"], *(f"monitoring/{name}" for name in monitoring["resources"])}
    listed |= {"monitoring/prometheus-adapter.yaml", "monitoring/keda.yaml"}  # README.md says how

    found = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}

    assert {name for name in found if not name.endswith("kustomization.yaml")} == listed - {"../nats"}
    assert (FOLDER / "../nats/kustomization.yaml").exists()


def test_what_selects_pods_finds_those_it_is_named_after():
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget", "PodMonitor"):
        for document in of_kind(kind):
            name = document["metadata"]["name"]
            assert selected(document["spec"]["selector"]) == [name], f"{kind} {name}"
    for document in of_kind("Service"):
        assert selected({"matchLabels": document["spec"]["selector"]}) == [
            document["metadata"]["labels"][NAME]
        ]
    for template in pods():
        own = [template["metadata"]["labels"][NAME]]
        for spread in template["spec"].get("topologySpreadConstraints", ()):
            assert selected(spread["labelSelector"]) == own


def test_ports_are_those_that_containers_have():
    ports = {each["metadata"]["labels"][NAME]: ports_of(each) for each in pods()}
    for service in of_kind("Service"):
        name = service["spec"]["selector"][NAME]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[name].keys()
    for ingress in of_kind("Ingress"):
        for backend in values(ingress, "service"):
            offered = named("Service", backend["name"])["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in offered}
    for name in ports:
        for probe in values(pod(name), "httpGet"):
            assert probe["port"] in ports[name]


def test_who_may_talk_to_whom():
    """By pod and port; None: everybody."""
    allowed: dict[tuple[str, str], Any] = {}
    for policy in of_kind("NetworkPolicy"):
        for name in selected(policy["spec"]["podSelector"]):
            for rule in policy["spec"].get("ingress", ()):
                for port in rule["ports"]:
                    allowed[name, port["port"]] = _peers(rule.get("from"))

    assert allowed == {
        ("nats", "clients"): ["functions", "gateway", "provision"],
        ("nats", "routes"): ["nats"],
        ("gateway", "clients"): None,
        ("gateway", "metrics"): ["the namespace monitoring"],
        ("functions", "http"): None,
    }
    for name, port in allowed:
        assert port in ports_of(pod(name))
    assert named("NetworkPolicy", "nobody")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}


def test_no_pod_has_more_rights_than_it_needs():
    for template in pods():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} == each["resources"]["requests"].keys()
            assert "memory" in each["resources"]["limits"]


def test_every_image_is_one_that_is_built_here_and_has_a_version():
    (nats,) = pod("nats")["spec"]["containers"]
    tags = {image["name"]: image["newTag"] for image in kustomization()["images"]}

    assert nats["image"] == IMAGE
    assert "latest" not in tags.values()
    assert {container(name)["image"] for name in OURS} == tags.keys()
    for name, folder in OURS.items():
        recipe = dockerfile(folder)
        assert f'image.title="{container(name)["image"]}"' in recipe
        assert 'ENTRYPOINT ["streams"]' in recipe
        # A number, or Kubernetes cannot know that it is not root's.
        assert re.search(r"^USER [1-9]\d*", recipe, re.MULTILINE)


def test_there_is_more_than_one_of_what_scales():
    for name in ("gateway", "functions"):
        scaler = named("HorizontalPodAutoscaler", name)["spec"]
        assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert scaler["minReplicas"] >= 2
        # Two that set it would undo each other.
        assert "replicas" not in named("Deployment", name)["spec"]
    assert named("StatefulSet", "nats")["spec"]["replicas"] == 3
    assert "--replicas=3" in container("provision")["args"]


def test_secrets_are_referenced_and_all_of_them_are_named_in_one_place():
    readme = (FOLDER / "README.md").read_text()
    made = {
        found[1]: set(re.findall(r"--from-literal=(\w+)=", found[0]))
        for found in re.finditer(r"create secret \w+ (\S+)(?:.*\\\n)*.*", readme)
    }

    wanted = {
        (each["name"], each["key"]) for document in documents() for each in values(document, "secretKeyRef")
    }
    certificates = {name for document in of_kind("Ingress") for name in values(document, "secretName")}

    assert wanted == {(name, key) for name, keys in made.items() for key in keys}
    assert certificates == made.keys() - {name for name, _ in wanted}
    assert not of_kind("Secret")
    assert "secretGenerator" not in kustomization()


def _peers(peers: list[dict[str, Any]] | None) -> list[str] | None:
    if peers is None:
        return None
    return sorted(
        name
        for peer in peers
        for name in (
            selected(peer["podSelector"])
            if "podSelector" in peer
            else [f"the namespace {peer['namespaceSelector']['matchLabels']['kubernetes.io/metadata.name']}"]
        )
    )
