"""Rules that are saved, broken and mended while a gateway asks for them."""

from __future__ import annotations

import asyncio

import pytest

from streams.access import Subscription
from streams.dev.functions import Functions, FunctionsBroken
from streams.errors import NotLetIn
from tests.core.written_app import App
from tests.dev.asked import ANN, OPEN_STREAM, OWN_ROOM, REQUEST, WHO, Asked
from tests.dev.asked import app as app
from tests.dev.asked import asked as asked


async def broken(app: App, functions: Functions) -> None:
    app.write("broken_step.py", "def (:\n")
    with pytest.raises(FunctionsBroken):
        await functions.reload()


async def test_questions_about_one_caller_share_one_context(app: App, asked: Asked):
    calls = app.folder.parent / "calls"
    app.write(
        "stream_auth.py",
        f"""
        import asyncio

        async def authenticate(request, claims):
            with open({str(calls)!r}, "a") as file:
                file.write("called\\n")
            await asyncio.sleep(0)
            return "ann"
        """,
    )
    app.write("room_stream.py", OWN_ROOM)
    functions, rules = await asked.load()
    context = await rules.context(REQUEST, ANN)

    async def may_see_many() -> list[bool]:
        return await asyncio.gather(*(rules.may_see(context, Subscription("room", "ann")) for _ in range(40)))

    assert all(await may_see_many())
    assert calls.read_text().count("called") == 1
    await functions.reload()
    assert all(await may_see_many())
    assert calls.read_text().count("called") == 2


async def test_what_was_saved_last_counts_for_those_who_are_in_already(app: App, asked: Asked):
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)
    functions, rules = await asked.load()
    context = await rules.context(REQUEST, ANN)
    app.write("stream_auth.py", "def authenticate(request, claims):\n    return 'somebody else'\n")

    await functions.reload()

    assert not await rules.may_see(context, Subscription("room", "ann"))
    assert await rules.may_see(context, Subscription("room", "somebody else"))


async def test_a_caller_who_came_before_there_were_rules_is_known_to_them(app: App, asked: Asked):
    app.write("room_stream.py", OPEN_STREAM.replace("news", "room"))
    functions, rules = await asked.load()
    context = await rules.context(REQUEST, ANN)
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)

    await functions.reload()

    assert rules.is_guarded("room") is True
    assert await rules.may_see(context, Subscription("room", "ann"))
    assert not await rules.may_see(context, Subscription("room", "bob"))


async def test_questions_wait_for_functions_that_start(app: App, asked: Asked):
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)
    functions, rules = await asked.running()

    context, _ = await asyncio.gather(rules.context(REQUEST, ANN), functions.reload())
    may_see, _ = await asyncio.gather(rules.may_see(context, Subscription("room", "ann")), functions.reload())

    assert may_see


async def test_while_the_functions_are_broken_nothing_opens_that_was_closed(app: App, asked: Asked):
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)
    app.write("news_stream.py", OPEN_STREAM)
    functions, rules = await asked.load()
    context = await rules.context(REQUEST, ANN)

    await broken(app, functions)

    assert (rules.is_guarded("room"), rules.is_guarded("news")) == (True, False)
    assert not await rules.may_see(context, Subscription("room", "ann"))
    assert not await rules.may_send(context, Subscription("room", "ann"))
    with pytest.raises(NotLetIn) as refused:
        await rules.context(REQUEST, ANN)
    assert refused.value.code == "AUTH_UNAVAILABLE"
    assert "broken_step.py" in refused.value.reason
    assert refused.value.reason.isprintable()


async def test_a_broken_application_without_authenticate_lets_in_and_keeps_closed_what_was(
    app: App, asked: Asked
):
    app.write("room_stream.py", OWN_ROOM)
    functions, rules = await asked.load()

    await broken(app, functions)

    context = await rules.context(REQUEST, None)
    assert not await rules.may_see(context, Subscription("room", "ann"))


async def test_nobody_is_let_in_before_the_functions_could_be_loaded_once(app: App, asked: Asked):
    functions, rules = await asked.running()

    await broken(app, functions)

    assert rules.is_guarded("room") is None
    with pytest.raises(NotLetIn) as refused:
        await rules.context(REQUEST, None)
    assert refused.value.code == "AUTH_UNAVAILABLE"
