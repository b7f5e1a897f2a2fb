"""The dashboard, the alerts and the runbook fit each other, and what a gateway tells."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import pytest_asyncio
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Gateway
from tests.deploy.monitoring import (
    ALERTS,
    ALERTS_TEST,
    REPOSITORY,
    RUNBOOK,
    alerts,
    anchors,
    dashboard,
    expressions,
    metrics_in,
    panels,
    selected_in,
)
from tests.gateway.inside import inside_of


@pytest_asyncio.fixture
async def families(gateway: Gateway) -> list[Metric]:
    """What a running gateway tells."""
    async with inside_of(gateway.hub) as inside:
        return list(text_string_to_metric_families((await inside.http.get("/metrics")).text))


def test_everything_that_is_asked_for_is_told(families: list[Metric]):
    told = {sample.name for family in families for sample in family.samples}

    for where, expression in expressions():
        assert metrics_in(expression), where
        assert metrics_in(expression) <= told, where


def test_what_is_picked_out_by_a_label_is_there(families: list[Metric]):
    told = {
        (sample.name, *label)
        for family in families
        for sample in family.samples
        for label in sample.labels.items()
    }

    picked = {each for _, expression in expressions() for each in selected_in(expression)}

    assert picked
    assert picked <= told


def test_every_number_is_in_the_runbook_once_with_its_kind(families: list[Metric]):
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", RUNBOOK.read_text(), re.MULTILINE)
    told = [
        (f"{family.name}_total" if family.type == "counter" else family.name, family.type)
        for family in families
        if family.name.startswith("streams_gateway_")
    ]

    assert sorted(rows) == sorted(told)


def test_there_are_eight_alerts_and_each_says_what_is_the_matter():
    assert len(alerts()) == len({rule["alert"] for rule in alerts()}) == 8
    for rule in alerts():
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        # A reason for its numbers, in the lines above it.
        assert re.search(rf"# .+\n      - alert: {rule['alert']}\n", ALERTS.read_text())


def test_every_alert_has_a_section_in_the_runbook_and_every_section_an_alert():
    text = RUNBOOK.read_text()
    sections = dict(re.findall(r"^## (Streams\w+)\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL))

    assert list(sections) == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (REPOSITORY / page, anchor) == (RUNBOOK, rule["alert"].lower())
        assert anchor in anchors(text)
        for part in ("What it means", "What users see", "How to look", "What to do"):
            assert f"**{part}.**" in sections[rule["alert"]], (rule["alert"], part)


def test_the_runbook_leads_only_to_what_there_is():
    text = RUNBOOK.read_text()
    told = "\n".join(path.read_text() for path in (REPOSITORY / "streams").rglob("*.py"))

    for page, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        assert (RUNBOOK.parent / page).exists()
        assert not anchor or anchor in anchors(text)
    logged = re.findall(r"log says `([^`]+)`", text)
    assert logged
    for line in logged:
        # Where it is built, the name of the function that is asked comes first.
        assert line.removeprefix("authenticate ") in told, line


def test_the_dashboard_can_be_imported_anywhere():
    found = dashboard()
    names = [variable["name"] for variable in found["templating"]["list"]]

    assert (found["id"], found["schemaVersion"]) == (None, 38)
    assert names == ["datasource", "namespace", "instance"]
    for panel in panels():
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_dashboard_has_six_rows_of_panels_that_say_what_they_show():
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert rows == ["Clients", "Traffic", "Latency", "Slow clients", "Repair", "Process"]
    for panel in panels():
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_no_panel_of_the_dashboard_lies_on_another():
    taken: dict[tuple[int, int], str] = {}
    ids = [panel["id"] for panel in dashboard()["panels"]]
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in ((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "command", [["check", "rules", ALERTS], ["test", "rules", ALERTS_TEST]], ids=lambda c: c[0]
)
def test_prometheus_takes_the_alerts_and_they_fire_when_they_should(command: list[str]):
    promtool = shutil.which("promtool")
    if promtool is None:
        # Not `left_out`: it comes with all of Prometheus, which is much for two seconds.
        pytest.skip("promtool is not installed: apt-get install prometheus")

    done = subprocess.run([promtool, *map(str, command)], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout + done.stderr
