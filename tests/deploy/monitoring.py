"""The dashboard, the alerts and the runbook, as they are shipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.npm import left_out

REPOSITORY = Path(__file__).parents[2]
ALERTS = REPOSITORY / "infra/prometheus/alerts.yaml"
ALERTS_TEST = REPOSITORY / "infra/prometheus/alerts_test.yaml"
DASHBOARD = REPOSITORY / "infra/grafana/gateway.json"
RUNBOOK = REPOSITORY / "docs/runbook.md"

_WORDS = frozenset(
    [
        "absent",
        "and",
        "avg",
        "by",
        "clamp_min",
        "histogram_quantile",
        "label_values",
        "le",
        "min",
        "on",
        "or",
        "rate",
        "sum",
    ]
)
"""What is no metric in our expressions."""


def alerts() -> list[dict[str, Any]]:
    (group,) = _yaml(ALERTS)["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [each for each in dashboard()["panels"] if each["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Everything that Prometheus is asked, and where."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def metrics_in(expression: str) -> set[str]:
    without = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on) \([^)]*\)", "", expression)
    # What is left of a label that is asked for its values.
    without = re.sub(r", *\w+ *\)$", ")", without)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", without)) - _WORDS


def selected_in(expression: str) -> Iterator[tuple[str, str, str]]:
    """Metric, label, value: what an expression picks out by a label of ours."""
    for metric, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", expression):
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            if not values.startswith("$"):
                for value in values.split("|"):
                    yield metric, label, value


def anchors(markdown: str) -> set[str]:
    """Of its headings, as a page has them."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError:
        left_out("PyYAML is not installed: pip install -e '.[cloud-checks]'")
    return yaml.safe_load(path.read_text())
