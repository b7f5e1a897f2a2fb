"""What the gateway may rely on: what Motia's clients make of a frame, as they themselves say it.

Frames are sent as they stand, texts verbatim. `states` is what the
subscriptions hold at the end, `events` what listeners for `ping` and
`error` heard, `throws` the frames (from 0) on which the client threw.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.browser import SECONDS
from tests.clients.npm import installed

CORPUS = Path(__file__).parents[1] / "wire/v1/states.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]
NODE = Path(__file__).parent / "node"

Outcomes: TypeAlias = dict[str, list[dict[str, Any]]]

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    """What every generation of the client makes of every case, in the order of the cases."""
    installed(NODE)
    ran = subprocess.run(
        ["node", NODE / "states.mjs"], input=CORPUS.read_bytes(), capture_output=True, timeout=SECONDS
    )
    assert ran.returncode == 0, ran.stderr.decode()
    found: Outcomes = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("generation", ["browser-0.17", "browser-0.2.2"])
@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_a_client_makes_of_its_frames_what_the_corpus_says(outcomes: Outcomes, generation: str, number: int):
    case, outcome = CASES[number], outcomes[generation][number]

    assert outcome == {part: case[part] for part in ("states", "events", "throws")}
