"""Which pages may talk to us."""

from __future__ import annotations

import pytest

from streams.auth.origins import Origins
from streams.errors import DefinitionRefused


@pytest.mark.parametrize(
    "origin",
    [None, "http://localhost", "http://localhost:5173", "https://127.0.0.1:3000", "http://[::1]:8080"],
)
def test_pages_of_this_machine_and_programs_always_may(origin: str | None):
    assert Origins().allows(origin)
    assert Origins(["https://app.example.com"]).allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "file://",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:5173.evil.example",
        "http://localhost:port",
        "http://user@localhost",
        "http://localhost/path",
        "http://localhost\n",
        "chrome-extension://localhost",
        "http://127.0.0.1x",
    ],
)
def test_other_pages_may_not(origin: str):
    assert not Origins().allows(origin)


def test_a_listed_origin_means_that_scheme_name_and_port_only():
    origins = Origins(["https://app.example.com", "http://Intern.example:8080/".rstrip("/")])

    assert origins.allows("https://app.example.com")
    assert origins.allows("http://intern.example:8080")
    for other in (
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://appxexample.com",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://x.app.example.com",
        "http://intern.example",
    ):
        assert not origins.allows(other), other


def test_a_star_stands_for_every_name_below_and_not_for_the_name_itself():
    origins = Origins(["https://*.example.com"])

    assert origins.allows("https://a.example.com")
    assert origins.allows("https://pr-17.preview.example.com")
    for other in (
        "https://example.com",
        "https://.example.com",
        "https://evilexample.com",
        "https://evil.example/.example.com",
        "https://a.example.com.evil.example",
        "https://a@b.example.com",
        "http://a.example.com",
    ):
        assert not origins.allows(other), other


def test_what_is_longer_than_any_origin_is_not_looked_at():
    assert not Origins(["https://*.example.com"]).allows(f"https://{'a.' * 16_000}example.com")


@pytest.mark.parametrize(
    ("listed", "sent"),
    [("https://example.com:443", "https://example.com"), ("http://example.com:80", "http://example.com")],
)
def test_a_port_that_goes_without_saying_may_be_said(listed: str, sent: str):
    assert Origins([listed]).allows(sent)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "https://*.",
        "https://a.*.example.com",
        "app.example.com",
        "https://example.com/",
        "https://example.com/path",
        "ws://example.com",
        "https://user@example.com",
        "https://example.com:port",
        "null",
        "",
    ],
)
def test_what_is_no_origin_is_refused_with_an_example(origin: str):
    with pytest.raises(DefinitionRefused, match=r"such as https://app\.example\.com"):
        Origins([origin])


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443", "null", ""]
)
def test_outside_of_development_a_page_of_this_machine_is_let_in_by_name_only(origin: str):
    assert not Origins(is_local=False).allows(origin)
    assert not Origins(["https://app.example.com"], is_local=False).allows(origin)
    assert Origins(["http://localhost:3000"], is_local=False).allows("http://localhost:3000")
