"""A page with Motia's React client in a real browser: nothing but its address is ours.

It comes from another port than the sockets and the steps, as the page of
every frontend that is being developed. Its line to the sockets can be cut.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.apps.conftest import FUNCTIONS, PICTURE
from tests.clients.react.pages import THEIRS, Generation, Window, Windows
from tests.clients.react.todo_app import TodoApp, line_down
from tests.dev.commands import developing
from tests.gateway.waiting import until

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

TITLES: dict[Generation, str] = {
    "0.17": "stream-client-react 0.17.14-beta.196",
    "0.2": "stream-client-react 0.2.2",
}
NO_STREAM = re.compile("there is no stream 'todos'")


async def test_what_is_written_over_http_shows_in_every_window(ann: Window, bob: Window, app: TodoApp):
    mum = await app.create("Call mum")
    milk = await app.create("Buy milk")
    await ann.shows("Call mum", "Buy milk")
    await bob.shows("Call mum", "Buy milk")

    await app.change(mum, description="Call dad")
    await app.change(milk, done=True)
    for window in (ann, bob):
        await window.shows("Call dad", "Buy milk")
        await expect(window.box("Buy milk")).to_be_checked()

    await app.delete(mum)
    await ann.shows("Buy milk")
    await bob.shows("Buy milk")


async def test_what_one_window_does_the_other_shows(ann: Window, bob: Window):
    await ann.add("Call mum")
    await bob.shows("Call mum")

    await bob.box("Call mum").click()
    await expect(ann.box("Call mum")).to_be_checked()

    await ann.delete("Call mum")
    await bob.shows()
    await ann.shows()


async def test_who_comes_later_sees_what_is_there_in_the_order_of_creation(opening, app: TodoApp):
    texts = ["Call mum", "Buy milk", "Water the plants", "Book the train"]
    for text in texts:
        await app.create(text)

    ann = await opening()

    await ann.shows(*texts)


async def test_a_list_that_is_sorted_by_a_field_stays_sorted(opening, app: TodoApp):
    milk, _ = await app.create("B milk"), await app.create("C mum")
    ann = await opening(sort="description")
    await ann.shows("B milk", "C mum")

    await app.create("A plants")
    await ann.shows("A plants", "B milk", "C mum")

    await app.change(milk, description="D milk")
    await ann.shows("A plants", "C mum", "D milk")


async def test_an_error_of_a_step_reaches_a_page_of_another_port(ann: Window):
    await ann.add(" ")

    await expect(ann.problem).to_have_text("Description is required")
    assert [said for said in ann.complaints if "400" not in said] == []
    ann.complaints.clear()  # the browser notes a 400 by itself


async def test_one_todo_that_is_watched_shows_what_becomes_of_it(ann: Window, app: TodoApp):
    mum, _ = await app.create("Call mum"), await app.create("Buy milk")
    await ann.open("Call mum")

    await app.change(mum, description="Call dad")
    await expect(ann.opened).to_have_text("Call dad")

    await app.delete(mum)
    await expect(ann.opened).to_have_text("There is no such todo")
    await ann.shows("Buy milk")


async def test_a_todo_that_is_watched_before_it_exists_shows_when_it_does(opening, app: TodoApp):
    ann = await opening(opened="a")
    await expect(ann.opened).to_have_text("There is no such todo")

    await app.put("inbox", "a", "Call mum")

    await expect(ann.opened).to_have_text("Call mum")


async def test_a_burst_of_updates_ends_with_the_newest_in_the_list_and_beside_it(ann: Window, app: TodoApp):
    mum = await app.create("Call mum")
    await ann.open("Call mum")

    await asyncio.gather(*(app.put("inbox", mum, f"Call {number}") for number in range(20)))

    (newest,) = await app.texts()
    await expect(ann.opened).to_have_text(newest)
    await ann.shows(newest)


async def test_an_event_is_heard_once_by_whom_it_is_for(ann: Window, bob: Window, app: TodoApp):
    mum = await app.create("Call mum")
    await ann.open("Call mum")
    await bob.shows("Call mum")
    for window in (ann, bob):
        await window.listens()

    await app.nudge("inbox", "to all")
    await app.nudge("work", "to others")
    await app.nudge({"groupId": "inbox", "id": mum}, "to who calls mum")
    await app.nudge({"groupId": "inbox", "id": mum}, "again")

    for window in (ann, bob):
        await expect(window.said_to_group).to_have_text(["to all", "to who calls mum", "again"])
    await expect(ann.said_to_todo).to_have_text(["to who calls mum", "again"])


async def test_what_is_written_right_after_an_event_shows(ann: Window, app: TodoApp):
    mum = await app.create("Call mum")
    await ann.open("Call mum")
    await ann.listens()

    for number in range(5):
        await app.nudge({"groupId": "inbox", "id": mum}, "hurry")
        await app.change(mum, description=f"Call {number}")

    await expect(ann.opened).to_have_text("Call 4")
    await ann.shows("Call 4")
    await expect(ann.said_to_todo).to_have_count(5)


async def test_a_window_that_turns_to_another_group_shows_that_one_alone(ann: Window, app: TodoApp):
    mum = await app.create("Call mum")
    await ann.shows("Call mum")
    await app.put("work", "w", "Write the report")

    await ann.switch_to("work")
    await ann.shows("Write the report")
    await app.change(mum, description="Call dad")
    await app.create("Buy milk")
    await app.put("work", "x", "Send it")
    await ann.shows("Write the report", "Send it")

    await ann.switch_to("inbox")
    await ann.shows("Call dad", "Buy milk")


async def test_a_window_whose_line_was_cut_comes_back_with_what_the_store_holds(
    ann: Window, bob: Window, app: TodoApp
):
    mum, milk = await app.create("Call mum"), await app.create("Buy milk")
    plants = await app.create("Water the flowers")
    await ann.open("Call mum")
    await bob.open("Buy milk")
    # So that the windows have seen a time: an older one they would not go back to.
    await app.change(plants, description="Water the plants")
    for window in (ann, bob):
        await window.shows("Call mum", "Buy milk", "Water the plants")

    async with line_down(app, ann, bob):
        await app.delete(mum)
        await app.change(milk, description="Buy oat milk")
        await app.change(plants, done=True)
        await app.create("Book the train")

    expected = await app.texts()
    assert expected == ["Buy oat milk", "Water the plants", "Book the train"]
    for window in (ann, bob):
        await window.shows(*expected)
        await expect(window.box("Water the plants")).to_be_checked()
    await expect(ann.opened).to_have_text("There is no such todo")
    await expect(bob.opened).to_have_text("Buy oat milk")

    await ann.add("Call dad")
    await bob.shows(*expected, "Call dad")
    await ann.shows(*expected, "Call dad")


async def test_a_stream_that_does_not_exist_says_so_where_the_client_can_hear_it(
    windows: Windows, app: TodoApp
):
    new, old = [
        await windows.open(generation, ws=app.line.url, api=app.url, stream="todos", opened="a")
        for generation in THEIRS
    ]
    await until(lambda: app.line.open_lines == 2)

    # What is said before React has put the handlers in their places is lost: when the windows come
    # back, they are there.
    async with line_down(app, new, old):
        pass

    for window in (new, old):
        await expect(window.said_to_todo.last).to_have_text(NO_STREAM)
        await window.shows()
    await expect(old.said_to_group.last).to_have_text(NO_STREAM)
    # The newer group hook hands out what could be listened to with the first items, and there are none.
    await expect(new.page.get_by_role("status")).to_have_text("Not listening yet")


async def test_a_development_build_in_strict_mode_works_like_any_other(
    opening, app: TodoApp, generation: Generation
):
    mum = await app.create("Call mum")
    ann = await opening(build="development")
    await ann.open("Call mum")
    await ann.listens()

    await ann.add("Buy milk")
    await ann.shows("Call mum", "Buy milk")
    await app.nudge({"groupId": "inbox", "id": mum}, "hurry")
    await expect(ann.said_to_group).to_have_text(["hurry"])
    await expect(ann.said_to_todo).to_have_text(["hurry"])
    await ann.switch_to("work")
    await ann.shows()
    await ann.switch_to("inbox")
    await ann.shows("Call mum", "Buy milk")
    await ann.delete("Call mum")

    await ann.shows("Buy milk")
    if generation == "ours":
        assert len(ann.sockets) == 1


async def test_pages_of_another_port_use_what_streams_dev_serves(windows: Windows, tmp_path: Path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FUNCTIONS, tmp_path / "functions", ignore=ignored)
    async with developing(tmp_path) as dev:
        # By the name that Vite prints, and by number.
        ann = await windows.open("0.17", ws=dev.socket_url, api=dev.url, host="localhost")
        bob = await windows.open("0.2", ws=dev.socket_url, api=dev.url)

        await ann.add("Call mum")
        await bob.shows("Call mum")
        await bob.box("Call mum").click()
        await expect(ann.box("Call mum")).to_be_checked()
        await ann.delete("Call mum")
        await bob.shows()


async def test_who_was_away_hears_events_again_and_each_of_them_once(windows: Windows, app: TodoApp):
    # Both generations at once: the picture shows them side by side.
    screen: Any = {"viewport": {"width": 500, "height": 400}, "device_scale_factor": 2}
    new, old = [
        await windows.open(generation, ws=app.line.url, api=app.url, title=title, options=screen)
        for generation, title in TITLES.items()
    ]
    await app.create("Book the train to Lisbon")
    milk = await app.create("Buy milk")
    for window in (new, old):
        await window.open("Buy milk")
        await window.listens()

    async with line_down(app, new, old):
        await app.nudge("inbox", "Nobody hears this")
        await app.create("Water the plants")
        await app.change(await app.create("Call mum"), done=True)
        await app.change(milk, description="Buy oat milk")
    for window in (new, old):
        await window.shows("Book the train to Lisbon", "Buy oat milk", "Water the plants", "Call mum")
        await expect(window.box("Call mum")).to_be_checked()
        await expect(window.opened).to_have_text("Buy oat milk")
    await app.nudge({"groupId": "inbox", "id": milk}, "Ann is at the shop")

    for window in (new, old):
        await expect(window.said_to_group).to_have_text(["Ann is at the shop"])
        await expect(window.said_to_todo).to_have_text(["Ann is at the shop"])
    if PICTURE:
        await save_side_by_side([new, old], await windows.blank("0.2"), Path(PICTURE))


async def save_side_by_side(windows: list[Window], table: Window, path: Path) -> None:
    pictures = []
    for window in windows:
        png = await window.page.screenshot(full_page=True)
        pictures.append(f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">')
    await table.page.set_viewport_size({"width": 1400, "height": 900})
    await table.page.set_content(
        "<!doctype html><style>body{margin:0}div{display:flex;align-items:flex-start;gap:24px;padding:8px}"
        "img{flex:1;min-width:0;border-radius:14px;box-shadow:0 0 0 1px #8886}</style>"
        f"<div>{''.join(pictures)}</div>"
    )
    await table.page.locator("div").screenshot(path=path, omit_background=True)
