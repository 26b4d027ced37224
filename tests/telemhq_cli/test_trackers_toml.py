"""trackers.toml: what is read, what is refused and how it is named, what is written."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.contract.judging import FileTracker, TrackerFile
from telemhq_agents.contract.problem import FieldProblem, Problem
from telemhq_agents.contract.rules import (
    Alerting,
    Assertion,
    Channel,
    ChannelKind,
    Operator,
    Overlap,
    Rules,
    Schedule,
    Severity,
    Window,
)
from telemhq_agents.errors import RefusedError, UsageError
from telemhq_cli.trackers_toml import mistakes_of, read, text_of

FULL = FileTracker(
    name="nightly import",
    schedule=Schedule("0 3 * * *", timezone="Europe/Riga", grace_s=600),
    assertions=[
        Assertion("items_processed", Operator.GREATER_THAN, 0),
        Assertion(r"a\.b[0]", Operator.ONE_OF, [1, "x", True], Severity.WARN),
        Assertion("error", Operator.EQUALS, ""),
    ],
    failures_to_fail=2,
    overlap=Overlap.FAIL,
    maintenance=[Window("0 2 * * 0", 7200, "Europe/Riga")],
    alerting=Alerting(repeat_s=3600, channels=[Channel(ChannelKind.EMAIL, "ops@example.com")]),
)

WRITTEN = """\
# Trackers of Engines at https://telemhq.example.com.
# See what applying this would change: telemhq tracker apply FILE --dry-run
# docs/reference/rules.md names every key. What is left out has its default.
# No signing secrets are in here. A webhook's address can be one: keep it as such.

version = 1

[[trackers]]
name = "nightly import"
failures_to_fail = 2
overlap = "fail"
maintenance = [
    { cron = "0 2 * * 0", length_s = 7200, timezone = "Europe/Riga" },
]

[trackers.schedule]
cron = "0 3 * * *"
timezone = "Europe/Riga"
grace_s = 600

[[trackers.assertions]]
path = "items_processed"
operator = "greater_than"
value = 0

[[trackers.assertions]]
path = "a\\\\.b[0]"
operator = "one_of"
value = [
    1,
    "x",
    true,
]
severity = "warn"

[[trackers.assertions]]
path = "error"
operator = "equals"
value = ""

[trackers.alerting]
repeat_s = 3600
channels = [
    { kind = "email", target = "ops@example.com" },
]

[[trackers]]
name = "plain"
"""


def test_a_file_is_written_without_defaults_and_read_back_as_it_was() -> None:
    file = TrackerFile([FULL, FileTracker(name="plain")])

    text = text_of(file, "Engines at https://telemhq.example.com")

    assert text == WRITTEN
    assert read(text, "trackers.toml").file == file


def test_whose_trackers_they_are_stays_one_line_of_comment() -> None:
    text = text_of(TrackerFile([]), "A\n[[trackers]]\r\nB")

    assert tomllib.loads(text) == {"version": 1, "trackers": []}


@pytest.mark.parametrize("value", [None, [None, 1]])
def test_null_is_more_than_toml_can_hold(value: object) -> None:
    tracker = replace(FULL, assertions=[Assertion("a", Operator.ONE_OF, value)])

    with pytest.raises(UsageError, match=r"nightly import .* null"):
        text_of(TrackerFile([tracker]), "x")


HEAD = '[[trackers]]\nname="a"\n'
ASSERTED = HEAD + '[[trackers.assertions]]\npath="x"\n'
MISTAKES = [
    ("version = 1\ntrackers = x\n", "t.toml cannot be read: .*line 2"),
    ("[[tracker]]\nname = 'a'", "t.toml, line 1: tracker: no such key; did you mean 'trackers'"),
    (
        HEAD + "failure_to_fail = 2",
        r"t\.toml, line 3 \(a\): failure_to_fail: .* 'failures_to_fail'\?",
    ),
    (HEAD + '[trackers.schedule]\ncorn = "x"', r"line 4 \(a\): .*did you mean 'cron'\?"),
    (HEAD + 'schedule={corn="x"}', r"line 3 \(a\): schedule\.corn: no such key"),
    (HEAD + '\n\nfailures_to_fail = "2"', r"line 5 \(a\): failures_to_fail: Expected `int`, got"),
    (ASSERTED + 'operator="is"', r"line 5 \(a\): assertions\[0\]\.operator: Invalid enum value"),
    ("[[trackers]]\nfailures_to_fail = 2", r"line 1 \(tracker 1\): .*required field `name`"),
    ("version = 'x'", "line 1: version: Expected `int`"),
    ("trackers = 5", "line 1: trackers: Expected `array`"),
    ("zzz = nan", "line 1: zzz: no such key: trackers, version"),
    (
        ASSERTED + 'operator="equals"\nvalue=[nan]',
        r"line 6 \(a\): assertions\[0\]\.value\[0\]: nan",
    ),
    (
        ASSERTED + 'operator="equals"\nvalue=9223372036854775808',
        r"line 6 \(a\): assertions\[0\]\.value: a whole number has at most 63 bits",
    ),
    ("# nothing but a comment\n", r"t\.toml holds no trackers"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_line_and_key(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read(text, "t.toml")

    assert caught.value.next_step


def test_every_unknown_key_is_named_at_once() -> None:
    text = '[[trackers]]\nname = "a"\nfoo = 1\n[trackers.alerting]\nmute = true\n'

    with pytest.raises(UsageError) as caught:
        read(text, "t.toml")

    assert "line 3 (a): foo" in caught.value.message
    assert "line 5 (a): alerting.mute: no such key; did you mean 'muted'" in (caught.value.message)


def test_each_tracker_of_another_shape_is_named_at_once() -> None:
    text = HEAD + 'overlap = "no"\n' + HEAD + "[[trackers]]\nname = 'c'\nmaintenance = 1\n"

    with pytest.raises(UsageError) as caught:
        read(text, "t.toml")

    assert "line 3 (a): overlap: Invalid enum value 'no'." in caught.value.message
    assert "line 8 (c): maintenance: Expected `array`, got `int`." in caught.value.message


def test_half_a_character_is_named_before_anything_is_sent() -> None:
    asserted = {"path": "x", "operator": "equals", "value": {"\ud800": 1}}
    document = {"trackers": [{"name": "a\udfff"}, {"name": "b", "assertions": [asserted]}]}

    with pytest.raises(UsageError) as caught:
        read(json.dumps(document), "t.json")

    assert "name: a text holds half a character." in caught.value.message
    assert "(b): assertions[0].value: a key holds half a character." in caught.value.message


def test_what_the_server_refuses_is_named_by_the_files_lines() -> None:
    written = read('[[trackers]]\nname="a"\n[trackers.schedule]\ncron = "x"\n', "t.toml")
    problem = Problem(
        "invalid-rules", "No", 422, errors=[FieldProblem("trackers[0].schedule.cron", "bad")]
    )
    other = Problem("role-too-small", "No", 403)

    told = mistakes_of(written, RefusedError("No", status=422, problem=problem))

    assert told is not None
    assert told.message == "t.toml, line 4 (a): schedule.cron: bad."
    assert mistakes_of(written, RefusedError("No", status=403, problem=other)) is None


def test_a_time_of_toml_is_one_of_text_too() -> None:
    text = '[[trackers]]\nname="a"\nsnoozed_until = 2026-12-01T08:00:00Z\n'

    assert read(text, "t.toml").file.trackers[0].snoozed_until == "2026-12-01T08:00:00+00:00"


def test_json_is_read_where_the_name_says_so() -> None:
    text = '{"trackers": [{"name": "a", "assertions": [{"path": "x", "operator": "one_of", "value": [null]}]}]}'

    file = read(text, "t.json").file

    assert file.trackers[0].assertions[0].value == [None]
    for broken in ("{", "{}", "[]", "5"):
        with pytest.raises(UsageError):
            read(broken, "t.json")


plain_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)
wholes = st.integers(-(2**63) + 1, 2**63 - 1)
values = st.one_of(
    st.booleans(), wholes, st.floats(allow_nan=False, allow_infinity=False),
    plain_text, st.lists(st.one_of(wholes, plain_text), max_size=3)
)  # fmt: skip


@given(name=plain_text, path=plain_text, value=values, failures=st.integers(1, 50))
def test_whatever_is_written_is_read_back(
    name: str, path: str, value: object, failures: int
) -> None:
    rules = Rules(failures_to_fail=failures, assertions=[Assertion(path, Operator.EQUALS, value)])
    tracker = FileTracker(
        name=name, failures_to_fail=rules.failures_to_fail, assertions=rules.assertions
    )

    assert read(text_of(TrackerFile([tracker]), name), "t.toml").file.trackers == [tracker]
