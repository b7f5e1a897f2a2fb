"""Revocations that tests make, tables of them, and callers whom they may concern."""

from __future__ import annotations

from hypothesis import strategies as st

from streams.access import Caller, Claims, Subscription
from streams.auth.revocations import Revocation, Revocations

INBOX = Subscription("todo", "inbox")

TARGETS = st.one_of(
    st.tuples(st.sampled_from(["ann", "bob"]), st.none(), st.none()),
    st.tuples(
        st.sampled_from([None, "ann", "bob"]),
        st.sampled_from(["todo", "chat"]),
        st.sampled_from([None, "inbox", "work"]),
    ),
)
"""Users, streams and groups: those that a revocation can be of."""


def caller(sub: str = "ann", *, made: float = 100) -> Caller:
    return Caller(Claims({"sub": sub, "iat": made, "exp": made + 3600}), None)


def revoked(
    sub: str | None = None, stream: str | None = None, group: str | None = None, *, before: float = 200.0
) -> Revocation:
    return Revocation(sub, stream, group, before)


def table(*held: Revocation, leeway: float = 0.0) -> Revocations:
    found = Revocations(leeway_seconds=leeway)
    for number, revocation in enumerate(held):
        found.put(str(number), revocation)
    return found
