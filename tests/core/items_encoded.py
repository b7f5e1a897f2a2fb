"""One item on its way into a store and back, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from streams.errors import ItemRefused
from streams.items import codec_for
from streams.keys import Address

ADDRESS = Address("todo", "inbox", "42")


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


def encode(item: Any, model: Any = dict, schema: Any = None) -> tuple[bytes, Any]:
    return codec_for(model, schema).encode(ADDRESS, item)


def decode(value: bytes, model: Any = dict) -> Any:
    return codec_for(model, None).decode(ADDRESS, value)


def refusal(item: Any, model: Any = dict, schema: Any = None) -> ItemRefused:
    with pytest.raises(ItemRefused) as refused:
        encode(item, model, schema)
    assert str(refused.value).startswith("todo/inbox/42 was not written: ")
    assert refused.value.address == ADDRESS
    return refused.value
