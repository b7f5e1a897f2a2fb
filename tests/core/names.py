"""Names that groups and items can have, the odd ones first."""

from __future__ import annotations

from hypothesis import strategies as st

from streams.keys import MAX_NAME_BYTES

ODD_NAMES = [
    "a/b",
    "*",
    ">",
    "a.b",
    ".",
    "..",
    "a.",
    "日本",
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
    "עברית و عربي",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    " ",
    "  two  spaces ",
    "\t\r\n",
    "a\nb\n",
    "\x7f",
    "\ufeffa",
    "\uffff",
    "_event",
    "_meta",
    "=",
    "==",
    "=41",
    "%2E",
    "%2F",
    "a?b#c",
    '"\\',
    "$KV",
    "-",
    "🙂",
    "👨‍👩‍👧",
    "A",
    "a",
    "." * MAX_NAME_BYTES,
    "日" * 85 + "a",
    "a" * MAX_NAME_BYTES,
]


def _is_valid(name: str) -> bool:
    return 0 < len(name.encode()) <= MAX_NAME_BYTES


# Surrogates (Cs) are the only code points that are no characters.
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80
).filter(_is_valid)
