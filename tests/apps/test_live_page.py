"""The page that `streams dev` serves, in a real browser: two screens, one stream."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from tests.apps.conftest import PICTURE, People, Screen

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


async def test_what_one_adds_shows_on_both_in_the_order_of_creation(ann: Screen, bob: Screen) -> None:
    await ann.add("Call mum")
    await bob.shows("Call mum")
    await bob.add("Buy milk")

    await ann.shows("Call mum", "Buy milk")
    await bob.shows("Call mum", "Buy milk")


async def test_who_comes_later_sees_what_is_there(ann: Screen, people: People) -> None:
    await ann.add("Call mum")
    await ann.shows("Call mum")

    carl = await people.open()

    await carl.shows("Call mum")


async def test_what_one_completes_is_done_for_the_other_and_can_be_opened_again(
    ann: Screen, bob: Screen
) -> None:
    await ann.add("Call mum")

    await ann.box("Call mum").click()
    await expect(bob.box("Call mum")).to_be_checked()
    await expect(ann.box("Call mum")).to_be_checked()

    await bob.box("Call mum").press("Space")
    await expect(ann.box("Call mum")).not_to_be_checked()
    await expect(bob.box("Call mum")).not_to_be_checked()


async def test_a_text_is_edited_by_double_click_and_shows_on_both(ann: Screen, bob: Screen) -> None:
    await ann.add("Call mum")

    await ann.texts.dblclick()
    await ann.page.keyboard.type("Call dad")
    await ann.page.keyboard.press("Enter")

    await bob.shows("Call dad")
    await ann.shows("Call dad")


async def test_escape_leaves_the_text_as_it_was_and_the_focus_where_it_was(ann: Screen, bob: Screen) -> None:
    await ann.add("Call mum")

    await ann.button("Edit: Call mum").click()
    await ann.page.keyboard.type("Call nobody")
    await ann.page.keyboard.press("Escape")
    await expect(ann.button("Edit: Call mum")).to_be_focused()
    await ann.add("Buy milk")

    await bob.shows("Call mum", "Buy milk")


async def test_a_field_that_was_not_touched_does_not_undo_what_another_wrote(
    ann: Screen, bob: Screen
) -> None:
    await ann.add("Call mum")
    await ann.button("Edit: Call mum").click()

    await bob.texts.dblclick()
    await bob.page.keyboard.type("Call dad")
    await bob.page.keyboard.press("Enter")
    await expect(ann.texts).to_have_text("Call dad")
    await ann.page.keyboard.press("Enter")
    await ann.add("Buy milk")

    await bob.shows("Call dad", "Buy milk")


async def test_what_one_deletes_goes_from_both_and_the_keyboard_stays_in_the_list(
    ann: Screen, bob: Screen
) -> None:
    await ann.add("Call mum")
    await ann.shows("Call mum")
    await ann.add("Buy milk")
    await ann.shows("Call mum", "Buy milk")

    await ann.button("Delete: Call mum").press("Enter")

    await ann.shows("Buy milk")
    await bob.shows("Buy milk")
    await expect(ann.box("Buy milk")).to_be_focused()


async def test_what_an_http_call_deletes_goes_from_both(
    ann: Screen, bob: Screen, http: httpx.AsyncClient
) -> None:
    created = (await http.post("/todo", json={"description": "Call mum"})).json()["new_value"]
    await ann.shows("Call mum")
    await bob.shows("Call mum")

    await http.delete(f"/todo/{created['id']}")

    await expect(ann.page.get_by_text("Nothing here yet.")).to_be_visible()
    await expect(bob.page.get_by_text("Nothing here yet.")).to_be_visible()
    await ann.shows()
    await bob.shows()


async def test_the_picture_of_the_readme(people: People) -> None:
    size: Any = {"width": 540, "height": 600}
    light = await people.open(viewport=size, device_scale_factor=2, color_scheme="light")
    dark = await people.open(viewport=size, device_scale_factor=2, color_scheme="dark")
    for person, text in (
        (light, "Book the train to Lisbon"),
        (dark, "Buy milk"),
        (light, "Water the plants"),
        (dark, "Call mum"),
    ):
        await person.add(text)
        await expect(person.texts.last).to_have_text(text)
    await dark.box("Buy milk").click()

    for screen in (light, dark):
        await screen.shows("Book the train to Lisbon", "Buy milk", "Water the plants", "Call mum")
        await expect(screen.box("Buy milk")).to_be_checked()
    if PICTURE:
        await save_side_by_side([light, dark], people, Path(PICTURE))


async def test_markup_is_shown_as_the_text_that_it_is(ann: Screen, bob: Screen) -> None:
    dialogs: list[str] = []
    for screen in (ann, bob):
        screen.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    markup = "<img src=x onerror=alert(1)>"

    await ann.add(markup)

    await ann.shows(markup)
    await bob.shows(markup)
    assert await bob.page.locator("#todos img").count() == 0
    assert dialogs == []


async def test_a_todo_without_a_text_is_answered_with_the_sentence_of_the_api(ann: Screen) -> None:
    await ann.add(" ")

    await expect(ann.problem).to_have_text("Description is required")
    assert [said for said in ann.complaints if "400" not in said] == []
    ann.complaints.clear()  # the browser notes a 400 by itself

    await ann.add("Call mum")
    await ann.shows("Call mum")
    await expect(ann.problem).to_be_empty()
    await expect(ann.field).to_have_value("")


async def test_what_is_refused_stays_in_its_field(ann: Screen) -> None:
    await ann.page.route(
        "**/todo",
        lambda route: route.fulfill(
            status=503, json={"error": "the store cannot be reached; try again in a moment"}
        ),
    )
    await ann.add("Call mum")

    await expect(ann.problem).to_have_text("the store cannot be reached; try again in a moment")
    await expect(ann.field).to_have_value("Call mum")
    await ann.shows()
    ann.complaints.clear()


async def test_a_box_is_ticked_by_what_was_stored_and_not_by_the_click(ann: Screen) -> None:
    await ann.add("Call mum")
    await ann.page.route("**/todo/*", lambda route: route.fulfill(json={}))  # says yes and does nothing

    async with ann.page.expect_response("**/todo/*"):
        await ann.box("Call mum").click()

    await expect(ann.page.get_by_role("listitem")).not_to_have_attribute("aria-busy", "true")
    await expect(ann.box("Call mum")).not_to_be_checked()


async def test_who_does_not_see_the_list_is_told_what_happens(ann: Screen, bob: Screen) -> None:
    news = bob.page.locator("[aria-live=polite]#news")

    await ann.add("Call mum")
    await expect(news).to_have_text("Added: Call mum")
    await ann.box("Call mum").click()
    await expect(news).to_have_text("Done: Call mum")
    await ann.button("Delete: Call mum").click()
    await expect(news).to_have_text("Deleted: Call mum")


async def test_the_terminal_line_is_copied_as_it_stands_and_adds_a_todo(
    people: People, dev_url: str, http: httpx.AsyncClient
) -> None:
    ann = await people.open(permissions=["clipboard-read", "clipboard-write"])

    await ann.button("Copy").click()
    await expect(ann.button("Copied")).to_be_visible()
    line = await ann.page.evaluate("navigator.clipboard.readText()")
    await expect(ann.page.locator("#curl")).to_have_text(line)

    *options, body = shlex.split(line)
    json_type = "content-type: application/json"
    assert options == ["curl", "-X", "POST", f"{dev_url}/todo", "-H", json_type, "-d"]
    await http.post("/todo", content=body, headers={"content-type": "application/json"})
    await ann.shows("call mum")


async def test_the_page_asks_nobody_but_its_own_server(ann: Screen, dev_url: str) -> None:
    assert [url for url in ann.asked if not url.startswith((f"{dev_url}/", "data:"))] == []
    await expect(ann.page.get_by_role("link", name="API documentation")).to_have_attribute("href", "/docs")


async def save_side_by_side(screens: list[Screen], people: People, path: Path) -> None:
    """One picture of several screens, 1400 pixels wide, on nothing: it suits a light page and a dark one."""
    pictures = []
    for screen in screens:
        await screen.page.evaluate(
            "document.activeElement.blur(), Promise.all(document.getAnimations().map((a) => a.finished))"
        )
        png = await screen.page.screenshot(full_page=True)
        pictures.append(f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">')
    table = await people.screen(viewport={"width": 1400, "height": 900})
    await table.page.set_content(
        "<!doctype html><style>body{margin:0}div{display:flex;align-items:flex-start;gap:24px;padding:8px}"
        "img{flex:1;min-width:0;border-radius:14px;box-shadow:0 0 0 1px #8886}</style>"
        f"<div>{''.join(pictures)}</div>"
    )
    await table.page.locator("div").screenshot(path=path, omit_background=True)
