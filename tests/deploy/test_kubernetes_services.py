"""The manifests for Kubernetes say what our commands, images and NATS understand. No cluster is asked."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from streams.auth.origins import Origins
from streams.cli.serving_clients import DRAIN_SECONDS
from streams.cli.serving_steps import DRAIN_SECONDS as STEPS_DRAIN_SECONDS
from streams.dev.nats_server import find_binary
from streams.gateway.metrics import internal
from streams.gateway.server import health
from streams.memory import MemoryStore
from tests.cli.typed import Typed
from tests.deploy.manifests import (
    FOLDER,
    OURS,
    container,
    dockerfile,
    documents,
    environment,
    kustomization,
    named,
    pod,
    ports_of,
    read,
    values,
)
from tests.dev.commands import REPOSITORY
from tests.everybody import open_hub

SECRET = "0123456789"
"""Digits alone, which without quotes would be no text to NATS."""

TYPED = Typed("nats://127.0.0.1:4222", "streams")


@pytest.mark.parametrize("name", OURS)
def test_commands_are_ours_with_options_that_they_have(name: str):
    arguments = container(name)["args"]

    # With --help they are read, and nothing is done. An option that is none is refused all the same.
    known = TYPED(*arguments, "--help", COLUMNS="250")
    unknown = TYPED(*arguments, "--no-such-option")

    assert known.code == 0, known.err
    assert (unknown.code, "No such option" in unknown.err) == (2, True)
    for option in arguments[2:]:
        assert option.partition("=")[0] in known.out
    assert arguments[1] == "functions"
    assert "COPY --from=build /build/functions functions" in dockerfile(OURS[name])


@pytest.mark.parametrize(("name", "ports"), [("gateway", {3112, 9090}), ("functions", {8080})])
def test_ports_are_those_of_the_command_and_of_the_image(name: str, ports: set[int]):
    told = {int(found[1]) for each in container(name)["args"] if (found := re.search(r"port=(\d+)", each))}
    exposed = {
        int(number) for line in re.findall(r"^EXPOSE (.*)", dockerfile(name), re.M) for number in line.split()
    }

    assert set(ports_of(pod(name)).values()) == told == ports
    assert ports <= exposed
    assert all("127.0.0.1" not in each for each in container(name)["args"])


async def test_probes_ask_for_what_is_answered():
    async with open_hub(MemoryStore()) as hub:
        # In-process: nothing listens.
        for app in (internal(hub), health(hub, Origins())):
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://gateway"
            ) as http:
                for probe in values(pod("gateway"), "httpGet"):
                    assert (await http.get(probe["path"])).status_code == 200
    assert {probe["path"] for probe in values(pod("functions"), "httpGet")} == {"/healthz", "/readyz"}


def test_a_pod_has_the_time_that_it_takes_to_end():
    (delay,) = [each.partition("=")[2] for each in container("gateway")["args"] if "drain-delay" in each]

    (pause,) = values(container("functions"), "sleep")

    assert pod("gateway")["spec"]["terminationGracePeriodSeconds"] > float(delay) + DRAIN_SECONDS
    assert pod("functions")["spec"]["terminationGracePeriodSeconds"] > pause["seconds"] + STEPS_DRAIN_SECONDS


async def test_gateways_scale_by_a_number_that_they_tell(opened: AsyncExitStack):
    hub = await opened.enter_async_context(open_hub(MemoryStore()))
    transport = httpx.ASGITransport(app=internal(hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        told = (await http.get("/metrics")).text
    (number,) = [
        metric["pods"]["metric"]["name"]
        for metric in named("HorizontalPodAutoscaler", "gateway")["spec"]["metrics"]
        if metric["type"] == "Pods"
    ]
    (rule,) = read("monitoring/prometheus-adapter.yaml")[0]["rules"]["custom"]
    (trigger,) = named("ScaledObject", "gateway")["spec"]["triggers"]

    assert f"\n{number} 0.0\n" in told
    assert rule["name"]["as"] == number
    assert rule["seriesQuery"].startswith(f"{number}{{")
    assert trigger["metadata"]["query"].startswith(f"sum({number}{{")


def test_settings_are_those_that_exist():
    (settings,) = kustomization()["configMapGenerator"]
    used = {each["name"] for document in documents() for each in values(document, "configMapRef")}
    volumes = {each["name"] for document in documents() for each in values(document, "configMap")}
    (nats,) = read("../nats/kustomization.yaml")[0]["configMapGenerator"]
    help = "".join(TYPED(name, "--help", COLUMNS="250").out for name in ("gateway", "functions", "provision"))
    documented = help + (REPOSITORY / "streams/settings.py").read_text()

    assert (used, volumes) == ({settings["name"]}, {nats["name"]})
    for literal in settings["literals"]:
        assert literal.partition("=")[0] in documented
    for name in OURS:
        assert all(variable in documented for variable in environment(container(name), SECRET))
        assert environment(container(name), SECRET)["STREAMS_NATS_USER"] == name.replace("provision", "admin")


def test_nats_is_told_all_that_its_configuration_asks_for():
    nats = container("nats")
    told = environment(nats, SECRET)
    (mount,) = [each for each in nats["volumeMounts"] if each["name"] == "config"]
    (path,) = [each.removeprefix("--config=") for each in nats["args"]]
    config = FOLDER.parent / "nats" / Path(path).relative_to(mount["mountPath"])

    checked = subprocess.run(
        [find_binary(), "--config", config, "-t"],
        env={"PATH": os.environ["PATH"], **told},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert checked.returncode == 0, checked.stderr
    (kept,) = read("../nats/kustomization.yaml")[0]["configMapGenerator"]
    assert set(kept["files"]) >= {config.name, *re.findall(r"^include (\S+)", config.read_text(), re.M)}
    settled = config.read_text()
    assert {"4222", "6222", "8222"} <= set(re.findall(r"port: (\d+)", settled))
    assert all(f"nats-{number}.nats-servers:6222" in told["NATS_ROUTES"] for number in range(3))
