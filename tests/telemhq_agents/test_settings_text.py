"""A settings file's text, changed in one place: the rest of it stays to the letter."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.settings_text import line_of, lost_comments, with_value, without_value

FILE = """\
# my own settings

url = "https://a.test"   # the old one
private = [
  "~/one",  # of a client
  "~/two",
]

# work is elsewhere
[profiles.work]
url = "https://work.test"

[profiles."at home"]
timezone = "Asia/Kolkata" # far away
"""


@pytest.mark.parametrize(
    ("place", "value", "old", "new"),
    [
        (
            ("url",),
            "https://b.test",
            'url = "https://a.test"   # the old one',
            'url = "https://b.test"  # the old one',
        ),
        (
            ("profiles", "work", "url"),
            "https://c.test",
            'url = "https://work.test"',
            'url = "https://c.test"',
        ),
        (
            ("profiles", "work", "timezone"),
            "Europe/Berlin",
            'url = "https://work.test"\n',
            'url = "https://work.test"\ntimezone = "Europe/Berlin"\n',
        ),
        (
            ("profiles", "at home", "url"),
            "https://d.test",
            "# far away\n",
            '# far away\nurl = "https://d.test"\n',
        ),
        (("coalesce",), "5m", '  "~/two",\n]\n', '  "~/two",\n]\ncoalesce = "5m"\n'),
        (
            ("profiles", "new", "url"),
            "https://e.test",
            "# far away\n",
            '# far away\n\n[profiles.new]\nurl = "https://e.test"\n',
        ),
    ],
)
def test_one_setting_is_set_where_it_belongs_and_nothing_else_moves(
    place: tuple[str, ...], value: str, old: str, new: str
) -> None:
    assert FILE.count(old) == 1

    changed = with_value(FILE, place, value)

    assert changed == FILE.replace(old, new)
    assert lost_comments(FILE, changed) == []


def test_a_comment_within_a_list_that_is_replaced_is_told() -> None:
    changed = with_value(FILE, ("private",), ["~/three"])

    assert tomllib.loads(changed)["private"] == ["~/three"]
    assert lost_comments(FILE, changed) == ["# of a client"]
    assert "# my own settings" in changed


def test_a_setting_that_goes_takes_its_line_alone() -> None:
    gone = without_value(FILE, ("url",))

    assert gone == FILE.replace('url = "https://a.test"   # the old one\n', "")
    assert lost_comments(FILE, gone) == ["# the old one"]


@pytest.mark.parametrize(
    "text",
    [
        'profiles = { work = { url = "https://w.test" } }  # one line\n',
        'profiles.work.url = "https://w.test"  # dotted\n',
        '[profiles]\nwork.url = "https://w.test"  # half dotted\n',
        '[profiles]\nwork = {url = "https://w.test"}\n',
    ],
)
def test_in_an_unusual_spelling_the_right_setting_is_changed_all_the_same(text: str) -> None:
    changed = with_value(text, ("profiles", "work", "url"), "https://x.test")
    added = with_value(text, ("profiles", "work", "timezone"), "UTC")

    assert tomllib.loads(changed) == {"profiles": {"work": {"url": "https://x.test"}}}
    work = {"url": "https://w.test", "timezone": "UTC"}
    assert tomllib.loads(added) == {"profiles": {"work": work}}


def test_a_file_without_a_newline_at_its_end_gets_one_before_more() -> None:
    text = with_value('url = "https://a.test"', ("coalesce",), "5m")

    assert text == 'url = "https://a.test"\ncoalesce = "5m"\n'


def test_a_first_setting_stands_above_the_tables_and_their_comments() -> None:
    text = '# about work\n[profiles.work]\nurl = "https://w.test"\n'

    assert with_value(text, ("coalesce",), "5m") == f'coalesce = "5m"\n{text}'


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("url",), 3),
        (("private",), 4),
        (("profiles", "work"), 10),
        (("profiles", "work", "url"), 11),
        (("profiles", "at home", "timezone"), 14),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_setting_is_that_of_its_own_table(place: tuple[str, ...], line: int) -> None:
    assert line_of(FILE, place) == line


def test_a_sign_within_a_text_is_no_comment() -> None:
    text = "url = \"https://a.test/#1\"\ntimezone = '# none'\n"

    assert lost_comments(text, "") == []


def test_lines_that_end_as_on_windows_stay_so() -> None:
    text = FILE.replace("\n", "\r\n")

    changed = with_value(text, ("profiles", "work", "timezone"), "UTC")

    old = 'url = "https://work.test"\r\n'
    assert changed == text.replace(old, f'{old}timezone = "UTC"\r\n')
    assert lost_comments(text, changed) == []


@pytest.mark.parametrize("mark", ["\u2028", "\x85"])
def test_a_sign_that_parts_lines_elsewhere_parts_none_here(mark: str) -> None:
    text = f'# one{mark}private = [\nurl = "https://a.test"\n'

    assert line_of(text, ("url",)) == 2
    assert with_value(text, ("url",), "x") == text.replace("https://a.test", "x")


def test_a_text_of_several_lines_ends_with_its_last_quote() -> None:
    text = 'url = """a\n\\"""#"""""  # mine\ncoalesce = "5m"\n'

    assert line_of(text, ("coalesce",)) == 3
    assert lost_comments(text, "") == ["# mine"]


def test_the_line_below_a_list_is_found_at_once_however_long_that_is() -> None:
    count = 20_000
    text = "".join(["private = [\n", '"/a",\n' * count, ']\nurl = "x"\n'])

    began = time.process_time()

    assert line_of(text, ("url",)) == count + 3
    assert time.process_time() - began < 5  # it took minutes when each line was tried as the last


PLACES = st.sampled_from(
    [("url",), ("private",), ("profiles", "work", "url"), ("profiles", "x y", "timezone")]
)
VALUES = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(PLACES, VALUES), max_size=8))
def test_whatever_is_set_in_whatever_order_is_what_is_read_and_no_comment_is_lost(
    changes: list[tuple[tuple[str, ...], str]],
) -> None:
    text, wanted = "# kept\n", {}
    for place, value in changes:
        text = with_value(text, place, value)
        wanted[place] = value

    read = tomllib.loads(text)
    found: dict[tuple[str, ...], Any] = {}
    for place in wanted:
        inside: Any = read
        for name in place:
            inside = inside[name]
        found[place] = inside
    assert found == wanted
    assert lost_comments("# kept\n", text) == []
