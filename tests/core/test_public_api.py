"""What `import streams` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import streams

PUBLIC = {
    "Address",
    "AuthRequest",
    "BucketNotUsable",
    "Claims",
    "Contention",
    "Context",
    "Credentials",
    "CredentialsNotUsable",
    "CredentialsRefused",
    "DefinitionRefused",
    "DiscoveryFailed",
    "Entry",
    "EventRefused",
    "HttpError",
    "InvalidName",
    "ItemDoesNotFit",
    "ItemRefused",
    "OpRefused",
    "OutcomeUnknown",
    "PreconditionFailed",
    "ServerNotUsable",
    "ServerTooOld",
    "StepConfig",
    "StoreNotBound",
    "StoreUnavailable",
    "Stream",
    "StreamDeleteResult",
    "StreamSetResult",
    "StreamUpdateResult",
    "StreamsError",
    "Subscription",
    "UnknownStream",
    "bound_to",
    "connected",
    "context_for",
    "http",
    "ops",
}
HEAVY = ["nats", "fastapi", "starlette", "uvicorn", "websockets", "httpx", "jsonschema"]


def loaded_by(statement: str) -> set[str]:
    """The modules of a fresh Python after a statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


def test_the_public_names_are_these():
    assert sorted(streams.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_can_be_imported(name):
    assert getattr(streams, name).__name__.removeprefix("streams.") == name


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'streams' has no attribute 'conected'$"):
        streams.conected


def test_importing_the_library_loads_no_network_library():
    loaded = loaded_by("import streams")

    assert loaded.isdisjoint(HEAVY)
    assert "streams.stream" in loaded


def test_declaring_streams_and_steps_loads_no_network_library():
    loaded = loaded_by(
        "from pydantic import BaseModel\n"
        "from streams import Context, StepConfig, Stream, http\n"
        "class Todo(BaseModel): id: str\n"
        "todo, notes = Stream('todo', Todo), Stream('notes', dict)\n"
        "config = StepConfig(name='A', triggers=[http('GET', '/')])"
    )

    assert loaded.isdisjoint(HEAVY)


def test_connecting_is_what_loads_nats():
    assert "nats" in loaded_by("from streams import connected")
