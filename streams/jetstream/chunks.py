"""How many names go into one request."""

from __future__ import annotations

from collections.abc import Sequence

NAMES_PER_REQUEST = 1000
"""The server refuses requests that match more than 1024 subjects."""

REQUEST_BYTES = 512 * 1024
"""Longest request: a thousand of the longest names would not fit into a message."""


def chunks_of(names: Sequence[str]) -> list[list[str]]:
    """All of them in their order, as many at once as one request takes."""
    chunks: list[list[str]] = []
    size = REQUEST_BYTES
    for name in names:
        if size + len(name) + 3 > REQUEST_BYTES or len(chunks[-1]) >= NAMES_PER_REQUEST:
            chunks.append([])
            size = 0
        chunks[-1].append(name)
        size += len(name) + 3
    return chunks
