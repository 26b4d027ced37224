"""Where in a TOML file a value stands."""

from __future__ import annotations

from telemhq_cli.toml_lines import line_of, lines_of

TEXT = """\
# a comment
version = 1

[[trackers]]
name = "one" # [not a header]
  "failures_to_fail" = 2

[trackers.schedule]
cron = "0 3 * * *"

[[trackers.assertions]]
path = "a"
[[ trackers . assertions ]]
path = "b"
value = [
  1,
]

[[trackers]]
name = "two"
schedule = { cron = "x", grace_s = 1 }
alerting.muted = true
text = '''
[[trackers]]
'''
[[trackers.assertions]]
path = "c"
[[trackers.alerting.channels]]
kind = "email"
"""


def test_each_key_has_its_line() -> None:
    lines = lines_of(TEXT)

    expected = {
        "version": 2,
        "trackers[0]": 4,
        "trackers[0].name": 5,
        "trackers[0].failures_to_fail": 6,
        "trackers[0].schedule": 8,
        "trackers[0].schedule.cron": 9,
        "trackers[0].assertions[0].path": 12,
        "trackers[0].assertions[1].path": 14,
        "trackers[0].assertions[1].value": 15,
        "trackers[1].name": 20,
        "trackers[1].alerting.muted": 22,
    }
    assert {path: lines.get(path) for path in expected} == expected


def test_what_has_no_line_of_its_own_has_that_of_what_it_stands_in() -> None:
    lines = lines_of(TEXT)

    assert line_of(lines, "trackers[0].assertions[1].value[0]") == 15
    assert line_of(lines, "trackers[1].schedule.cron") == 21
    assert line_of(lines, "trackers[0].alerting.muted") == 4
    assert line_of(lines, "nothing.like.it") is None
    assert line_of({}, "version") is None


def test_items_of_a_new_table_are_counted_anew() -> None:
    lines = lines_of("[[t]]\n[[t.a]]\n[[t.a]]\nx=1\n[[t]]\n[[t.a]]\nx=2\n[[t.a.b]]\nx=3\n")

    assert (lines["t[0].a[1].x"], lines["t[1].a[0].x"], lines["t[1].a[0].b[0].x"]) == (4, 7, 9)


def test_inline_tables_on_lines_of_their_own_have_these_lines() -> None:
    lines = lines_of(
        "[[t]]\na = [  # two\n  { x = 1 },\n  {x = 2}\n]\nb = [\n{ x = 3 },\n]\nc = [{x = 4}]\n"
    )

    places = ("t[0].a", "t[0].a[0].x", "t[0].a[1].x", "t[0].b[0].x", "t[0].c[0].x")
    assert [line_of(lines, place) for place in places] == [2, 3, 4, 7, 9]


def test_a_file_of_any_kind_is_walked_through() -> None:
    for text in ("", "[", "[[", "= 1", "[[]]\n", "a.b.=1", "\x00", '"" = 1', "[a.b.c]\nd = 1"):
        lines_of(text)


def test_a_long_line_of_a_text_costs_no_more_than_others() -> None:
    text = "\n".join(['a = """', "x" * 100_000, '"a"' * 30_000, ". " * 50_000, '"""', "b = 1"])

    assert lines_of(text)["b"] == 6
