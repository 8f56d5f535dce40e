"""Names as they are shown."""

import pytest

from minigrad.names import one_name, shown


@pytest.mark.parametrize(
    "name, seen",
    [
        ("cat", "cat"),
        ("中文 é ₤ 😀", "中文 é ₤ 😀"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\x1b[31m\0\x7f\x85", "a\\x1b[31m\\x00\\x7f\\x85"),
        ("\u202eabc\u200b", "\\u202eabc\\u200b"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\\b", "a\\b"),
        ("line\nline", "line\nline"),
    ],
)
def test_what_cannot_be_seen_is_escaped(name, seen):
    assert shown(name) == seen == shown(seen)
    shown(name).encode("utf-8")


def test_one_name_is_one_line_and_composed():
    assert one_name("cafe\u0301\n") == "café\\n"
