"""Why a client that asks for something is not told it."""

from __future__ import annotations

from streams.gateway.audience import Audience

TOO_LARGE = "GROUP_TOO_LARGE"
TOO_LARGE_SENTENCE = "this group is too large to be sent in one piece; take a client of the extended dialect"


class NotNow(Exception):
    """What a client asks for cannot be told. It is told why: a code and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


class NotYet(Exception):
    """What a client asks for can be told when the values of these items have been read again."""

    def __init__(self, audience: Audience, ids: list[str]) -> None:
        self.audience, self.ids = audience, ids
        super().__init__(f"values of {audience.room} are to be read first")
