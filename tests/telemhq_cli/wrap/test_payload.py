from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemhq_agents.errors import UsageError
from telemhq_cli.wrap import payload
from telemhq_cli.wrap.child import Ended
from telemhq_cli.wrap.command_line import OPTIONS, help_text, parse
from telemhq_cli.wrap.stream import LAST_LINE_LIMIT, LastLine

STARTED_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-0.25", -0.25),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ("gpt-5", "gpt-5"),
        ("", ""),
        ("007", "007"),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[1]", "[1]"),
        ('{"a":1}', '{"a":1}'),
        ("a=b", "a=b"),
    ],
)
def test_a_field_keeps_the_type_of_a_json_scalar_and_is_text_else(text: str, value: object) -> None:
    found = payload.nested([f"key={text}"])["key"]

    assert found == value
    assert type(found) is type(value)


def test_dots_nest() -> None:
    words = ["usage.input_tokens=5", "usage.output_tokens=7", "model=gpt-5"]

    assert payload.nested(words) == {
        "usage": {"input_tokens": 5, "output_tokens": 7},
        "model": "gpt-5",
    }


@pytest.mark.parametrize("words", [["a=1", "a.b=2"], ["a.b=2", "a=1"]])
def test_a_value_and_an_object_cannot_share_a_name(words: list[str]) -> None:
    with pytest.raises(UsageError, match="already holds"):
        payload.nested(words)


def test_the_later_of_two_values_wins() -> None:
    assert payload.nested(["a=1", "a=2"]) == {"a": 2}


def test_flags_and_fields_make_one_payload() -> None:
    asked = parse(
        ["nightly", "--status=ok", "--model", "gpt-5", "--duration-ms", "1500", "-fcost_usd=0.25"]
    )

    assert asked.problem == ""
    assert payload.flag_fields(asked) == {
        "status": "ok",
        "model": "gpt-5",
        "duration_ms": 1500,
        "cost_usd": 0.25,
    }


def test_what_was_measured_wins_over_what_the_job_claims() -> None:
    ended = Ended(3, STARTED_MS, duration_ms=1_234, exit_code=3)
    said = {"status": "success", "exit_code": 0, "started_at": "never", "items_processed": 9}

    assert payload.of_job(said, ended, "") == {
        "status": "error",
        "exit_code": 3,
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": "2026-01-01T00:00:01.234Z",
        "duration_ms": 1234,
        "items_processed": 9,
    }


@pytest.mark.parametrize(
    ("said", "status"),
    [({}, "success"), ({"status": "failed"}, "failed"), ({"status": 7}, "success")],
)
def test_a_job_that_exits_well_may_still_say_that_it_failed(
    said: dict[str, Any], status: str
) -> None:
    ended = Ended(0, STARTED_MS, exit_code=0)

    assert payload.of_job(said, ended, "")["status"] == status


def test_limits_are_read_as_numbers_and_bounded_where_a_clock_is() -> None:
    asked = parse(
        [
            "t",
            "--kill-after",
            "1e300",
            "--grace=0",
            "--retry",
            "3",
            "--retry-delay",
            "0",
            "--tail-output",
            "65536",
            "--",
            "x",
        ]
    )

    assert asked.problem == ""
    assert (asked.kill_after_s, asked.grace_s) == (365 * 24 * 3600, 0)
    assert (asked.retries, asked.retry_delay_s, asked.tail_bytes) == (3, 0, 65_536)
    plain = parse(["t", "--", "x"])
    assert (plain.kill_after_s, plain.grace_s, plain.retries) == (0, 10, 0)


def test_text_that_no_encoding_knows_still_makes_a_body() -> None:
    assert payload.encoded({"a": "\udcff", "b": "ä"}) == '{"a":"?","b":"ä"}'.encode()


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"{", b'{"a": NaN}', b"\xff", b"{" * 100_000])
def test_what_is_no_json_object_is_no_payload(data: bytes) -> None:
    assert payload.json_object(data) is None


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=20))
def test_the_last_line_does_not_depend_on_how_the_stream_was_cut(
    stream: bytes, cuts: list[int]
) -> None:
    whole, pieces = LastLine(), LastLine()
    whole.feed(stream)
    rest = stream
    for cut in cuts:
        pieces.feed(rest[:cut])
        rest = rest[cut:]
    pieces.feed(rest)

    lines = [line.strip() for line in stream.split(b"\n") if line.strip()]
    assert whole.value() == pieces.value() == (lines[-1] if lines else b"")


def test_a_last_line_beyond_the_limit_is_none_and_never_the_one_before() -> None:
    for end in (b"", b"\n", b"\n\n"):
        last = LastLine()
        last.feed(b'{"old": 1}\n')
        for _ in range(LAST_LINE_LIMIT // 65_536 + 1):
            last.feed(b"x" * 65_536)
        last.feed(end)

        assert last.value() == b""


def test_a_line_after_one_beyond_the_limit_counts_again() -> None:
    last = LastLine()
    last.feed(b"x" * (LAST_LINE_LIMIT + 1))
    last.feed(b'\n{"new": 1}\n')

    assert last.value() == b'{"new": 1}'


def test_the_help_names_every_option_and_fits_80_columns() -> None:
    text = help_text()

    assert all(name in text for option in OPTIONS for name in option.names)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "which tracker"),
        (["t", "--nope"], "no option --nope"),
        (["t", "--status"], "--status needs a value"),
        (["t", "--quiet=yes"], "--quiet takes no value"),
        (["t", "u"], "one argument too many"),
        (["t", "-f", "=5"], "not KEY=VALUE"),
        (["t", "--timeout", "0"], "not a number above zero"),
        (["t", "--timeout", "inf"], "not a number above zero"),
        (["t", "--"], "nothing follows --"),
        (["t", "--payload", "-", "--", "x"], "stdin"),
        (["t", "--payload-from-stdout"], "needs a command"),
        (["t", "--bogus", "--worse"], "no option --bogus"),
        (["t", "--kill-after", "0", "--", "x"], "not a number above zero"),
        (["t", "--kill-after", "5m", "--", "x"], "not a number above zero"),
        (["t", "--kill-after", "5", "--grace", "-1", "--", "x"], "not a number from zero on"),
        (["t", "--retry", "1.5", "--", "x"], "not a whole number from 1 to 100"),
        (["t", "--retry", "101", "--", "x"], "not a whole number from 1 to 100"),
        (["t", "--tail-output", "65537", "--", "x"], "not a whole number from 1 to 65536"),
        (["t", "--tail-output", "9" * 5_000, "--", "x"], "not a whole number"),
        (["t", "--lock", "", "--", "x"], "--lock needs a name"),
        (["t", "--lock", "a"], "--lock needs a command"),
        (["t", "--kill-after", "5"], "--kill-after needs a command"),
        (["t", "--on-success-only"], "--on-success-only needs a command"),
        (["t", "--grace", "5", "--", "x"], "without --kill-after"),
        (["t", "--retry-delay", "5", "--", "x"], "without --retry"),
    ],
)
def test_a_mistake_is_named(words: list[str], problem: str) -> None:
    assert problem in parse(words).problem


def test_everything_after_the_first_two_dashes_is_the_jobs() -> None:
    asked = parse(["t", "-q", "--", "run", "--", "--help", "-f"])

    assert asked.problem == ""
    assert asked.command == ["run", "--", "--help", "-f"]
    assert asked.has("--quiet")
    assert not asked.has("--help")
