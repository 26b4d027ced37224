"""Cron as Debian's cron does it.

The clock changes of `Europe/Riga` in 2021, after which cronsim's own tests go, too
(https://github.com/cuu508/cronsim): on 28 March 03:00 becomes 04:00, on 31 October 04:00 becomes
03:00 again. `tests/journeys/real_cron_clock.py` asks Debian's cron itself.
"""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server_stub.domain import schedule
from server_stub.domain.rule_error import RuleError
from server_stub.domain.schedule import (
    check,
    check_window,
    in_window,
    in_words,
    next_due,
    out_of_windows,
    upcoming,
)
from telemhq_agents.contract.rules import Schedule, Window

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
RIGA = "Europe/Riga"
EVERY_HOUR = ",".join(str(hour) for hour in range(24))
EVERY_OTHER_HOUR = ",".join(str(hour) for hour in range(1, 24, 2))

IN_MARCH = [
    ("0 * * * *", "28T01:30+02", "28T02:00+02 28T04:00+03"),
    ("*/30 * * * *", "28T02:10+02", "28T02:30+02 28T04:00+03 28T04:30+03"),
    ("*/15 * * * *", "28T02:40+02", "28T02:45+02 28T04:00+03"),
    ("0 */2 * * *", "28T01:30+02", "28T02:00+02 28T04:00+03 28T06:00+03"),
    ("30 */2 * * *", "28T01:30+02", "28T02:30+02 28T04:30+03"),
    ("0 1,2,3,4,5 * * *", "28T01:30+02", "28T02:00+02 28T04:00+03 28T05:00+03"),
    ("30 1,2,3,4,5 * * *", "28T01:30+02", "28T02:30+02 28T04:00+03 28T04:30+03"),
    ("0 2 * * *", "28T01:30+02", "28T02:00+02 29T02:00+03"),
    ("0 3 * * *", "27T01:30+02", "27T03:00+02 28T04:00+03 29T03:00+03"),
    ("0 4 * * *", "27T01:30+02", "27T04:00+02 28T04:00+03 29T04:00+03"),
    (f"0 {EVERY_HOUR} * * *", "28T01:30+02", "28T02:00+02 28T04:00+03 28T05:00+03"),
    (f"0 {EVERY_OTHER_HOUR} * * *", "28T00:30+02", "28T01:00+02 28T04:00+03 28T05:00+03"),
    ("0 1-5 * * *", "28T01:30+02", "28T02:00+02 28T04:00+03 28T05:00+03"),
    ("15 3 * * *", "27T00:00+02", "27T03:15+02 28T04:00+03 29T03:15+03"),
    ("* * * * *", "28T02:58+02", "28T02:59+02 28T04:00+03"),
    ("* 1-6 * * *", "28T02:58+02", "28T02:59+02 28T04:00+03"),
]
IN_OCTOBER = [
    ("0 * * * *", "31T01:30+03", "31T02:00+03 31T03:00+03 31T03:00+02 31T04:00+02"),
    ("*/30 * * * *", "31T03:10+03", "31T03:30+03 31T03:00+02 31T03:30+02 31T04:00+02"),
    ("*/15 * * * *", "31T03:40+03", "31T03:45+03 31T03:00+02 31T03:15+02"),
    ("0 */2 * * *", "31T01:30+03", "31T02:00+03 31T04:00+02 31T06:00+02"),
    ("30 */2 * * *", "31T01:30+03", "31T02:30+03 31T04:30+02"),
    ("0 */3 * * *", "31T01:30+03", "31T03:00+03 31T03:00+02 31T06:00+02"),
    ("0 1,2,3,4,5 * * *", "31T01:30+03", "31T02:00+03 31T03:00+03 31T04:00+02"),
    ("30 1,2,3,4,5 * * *", "31T01:30+03", "31T02:30+03 31T03:30+03 31T04:30+02"),
    ("0 2 * * *", "31T01:30+03", "31T02:00+03 32T02:00+02"),
    ("0 3 * * *", "31T01:30+03", "31T03:00+03 32T03:00+02"),
    ("0 4 * * *", "30T01:30+03", "30T04:00+03 31T04:00+02 32T04:00+02"),
    (f"0 {EVERY_HOUR} * * *", "31T01:30+03", "31T02:00+03 31T03:00+03 31T04:00+02"),
    (f"0 {EVERY_OTHER_HOUR} * * *", "31T00:30+03", "31T01:00+03 31T03:00+03 31T05:00+02"),
    ("0 1-5 * * *", "31T01:30+03", "31T02:00+03 31T03:00+03 31T04:00+02"),
    ("15 3 * * *", "30T00:00+03", "30T03:15+03 31T03:15+03 32T03:15+02"),
    ("* * * * *", "31T03:58+03", "31T03:59+03 31T03:00+02 31T03:01+02"),
    ("* 1-6 * * *", "31T03:58+03", "31T03:59+03 31T03:00+02 31T03:01+02"),
    # Asked in the second pass of the hour: what ran in the first one does not run again.
    ("15 3 * * *", "31T03:10+02", "32T03:15+02"),
    ("30 3,4 * * *", "31T03:10+02", "31T04:30+02"),
]
FROM_2020 = [
    ("1 1 L * *", "2020-01-31T01:01 2020-02-29T01:01 2020-03-31T01:01"),
    ("1 1 LW * *", "2020-01-31T01:01 2020-02-28T01:01 2020-03-31T01:01"),
    ("1 1 * * 5L", "2020-01-31T01:01 2020-02-28T01:01 2020-03-27T01:01 2020-04-24T01:01"),
    ("1 1 * * 0L", "2020-01-26T01:01"),
    ("1 1 * * 7L", "2020-01-26T01:01"),
    ("1 1 * * 1#2", "2020-01-13T01:01"),
    # A star in one of the two day fields: both must match; else one of them is enough.
    ("1 1 1-7 * */7", "2020-01-05T01:01 2020-02-02T01:01 2020-03-01T01:01 2020-04-05T01:01"),
    ("1 1 */100,1-7 * MON", "2020-01-06T01:01 2020-02-03T01:01 2020-03-02T01:01"),
    ("1 1 1 * MON", "2020-01-01T01:01 2020-01-06T01:01 2020-01-13T01:01"),
    ("0 0 * 2 MON#5", "2044-02-29T00:00"),
    ("0 0 29 2 *", "2020-02-29T00:00 2024-02-29T00:00"),
    ("0 0 30 2 1", "2020-02-03T00:00"),
    (
        "0 9 * jan-mar mon-fri",
        "2020-01-01T09:00 2020-01-02T09:00 2020-01-03T09:00 2020-01-06T09:00",
    ),
    ("5/15 * * * *", "2020-01-01T00:05 2020-01-01T00:20 2020-01-01T00:35 2020-01-01T00:50"),
    ("*/15 3 * * sun", "2020-01-05T03:00 2020-01-05T03:15"),
    ("0 0 * * */2", "2020-01-02T00:00 2020-01-04T00:00 2020-01-05T00:00"),
    ("@hourly", "2020-01-01T01:00 2020-01-01T02:00"),
    ("@daily", "2020-01-02T00:00 2020-01-03T00:00"),
    ("@MIDNIGHT", "2020-01-02T00:00"),
    ("@weekly", "2020-01-05T00:00 2020-01-12T00:00"),
    ("@monthly", "2020-02-01T00:00 2020-03-01T00:00"),
    ("@yearly", "2021-01-01T00:00"),
    ("@annually", "2021-01-01T00:00"),
]
BAD_ITEMS = ("-1", "61", "ABC", "2/", "/2", "2#", "#2", "1##1", "1//2", "¹", "1-1_0", "*/0", "5-1")
PLACES = (
    "{} * * * *",
    "* {} * * *",
    "* * {} * *",
    "* * * {} *",
    "* * * * {}",
    "1-{} * * * *",
    "* * * JAN-{} *",
    "* * * * MON-{}",
)
REFUSED = [
    "* * * *",
    "0 0 3 * * *",  # seconds first: no cron of Debian's
    "@reboot",
    "@never",
    "* * * * 1#0",
    "* * * * 1#6",
    "* * * * 5L-6",
    "* * * * 5L#1",
    "* * * * MONL",
    "0 0 30 2 *",
    "0 0 31 4,6,9,11 *",
    "1 1 */100 * MON#4",  # the first of a month is never its fourth Monday
    "* * */20 * 1L",
    "0 0 1,2,3,4,5,6,7 * *" + "," * 200,
    " ",
]


def moment(day: str, month: str) -> int:
    """Read `28T04:00+03` of a month of 2021; the 32nd is the first of the next one."""
    if day.startswith("32"):
        month, day = "2021-11", f"01{day[2:]}"
    return ms(f"{month}-{day[:8]}:00{day[8:]}:00")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def local(text: str, zone: str = RIGA) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("cron", "after", "expected", "month"),
    [(*case, "2021-03") for case in IN_MARCH] + [(*case, "2021-10") for case in IN_OCTOBER],
)
def test_both_clock_changes_are_debian_crons(
    cron: str, after: str, expected: str, month: str
) -> None:
    moments = [moment(day, month) for day in expected.split()]

    due = upcoming(Schedule(cron, timezone=RIGA), moment(after, month), len(moments))

    assert due == moments


@pytest.mark.parametrize(("cron", "expected"), FROM_2020)
def test_expressions_mean_what_debians_cron_reads_in_them(cron: str, expected: str) -> None:
    moments = [ms(f"{text}+00:00") for text in expected.split()]

    assert upcoming(Schedule(cron), ms("2020-01-01T00:00+00:00"), len(moments)) == moments


def test_the_next_moment_is_strictly_after_the_one_asked_about() -> None:
    three = local("2026-11-20T03:00")
    nightly = Schedule("0 3 * * *", timezone=RIGA)

    assert next_due(nightly, three - 1) == three
    assert next_due(nightly, three) == three + 24 * 3_600_000
    assert next_due(nightly, three - 500) == three


def test_an_interval_counts_from_the_moment_itself() -> None:
    assert next_due(Schedule(interval_s=90), 1_000_123) == 1_090_123


@pytest.mark.parametrize("cron", [place.format(item) for place, item in product(PLACES, BAD_ITEMS)])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(RuleError) as refused:
        check(Schedule(cron))

    assert refused.value.field == "cron"


@pytest.mark.parametrize("cron", REFUSED)
def test_what_never_fires_or_is_not_five_fields_is_refused_at_once(cron: str) -> None:
    began = time.process_time()

    with pytest.raises(RuleError) as refused:
        check(Schedule(cron))

    assert refused.value.field == "cron"
    assert time.process_time() - began < 1  # fifty years of days, and no more


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Schedule(), "cron"),
        (Schedule("0 3 * * *", interval_s=60), "cron"),
        (Schedule("0 3 * * *", timezone="Mars/Olympus"), "timezone"),
        (Schedule("0 3 * * *", timezone=""), "timezone"),
        (Schedule("0 3 * * *", timezone="../../etc/passwd"), "timezone"),
        (Schedule("0 3 * * *", timezone="Europe"), "timezone"),
        (Schedule(interval_s=60, timezone="Mars/Olympus"), "timezone"),
        (Schedule("0 3 * * *", grace_s=-1), "grace_s"),
        (Schedule("0 3 * * *", grace_s=366 * 86_400 + 1), "grace_s"),
        (Schedule(interval_s=-5), "interval_s"),
        (Schedule(interval_s=366 * 86_400 + 1), "interval_s"),
    ],
)
def test_a_schedule_that_cannot_be_followed_names_its_field(given: Schedule, field: str) -> None:
    with pytest.raises(RuleError) as refused:
        check(given)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Schedule("0 3 * * *", timezone=RIGA), "At 03:00 every day (Europe/Riga)"),
        (Schedule("*/15 * * * *"), "Every 15th minute of every hour (UTC)"),
        (Schedule("@weekly"), "At 00:00 on Sunday (UTC)"),
        (Schedule("0 0 * * 5L"), "At 00:00 on the last Friday of the month (UTC)"),
        (Schedule(interval_s=60), "Every minute"),
        (Schedule(interval_s=5400), "Every 90 minutes"),
        (Schedule(interval_s=86_400), "Every day"),
        (Schedule(interval_s=61), "Every 61 seconds"),
        (Schedule(interval_s=1), "Every second"),
    ],
)
def test_a_schedule_is_said_in_words(given: Schedule, words: str) -> None:
    assert in_words(given) == words


@UNHURRIED
@given(
    st.from_regex(r"[0-9*,/LW#A-Z-]{1,8}( [0-9*,/LW#A-Z-]{1,8}){4}", fullmatch=True),
    st.integers(1_600_000_000_000, 2_000_000_000_000),
)
def test_any_text_is_refused_or_fires_later(cron: str, after_ms: int) -> None:
    try:
        check(Schedule(cron, timezone=RIGA))
    except RuleError:
        return

    assert next_due(Schedule(cron, timezone=RIGA), after_ms) > after_ms


@UNHURRIED
@given(
    st.sampled_from([case[0] for case in (*IN_MARCH, *IN_OCTOBER)]),
    st.sampled_from([RIGA, "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"]),
    st.integers(ms("2021-01-01T00:00+00:00"), ms("2022-01-01T00:00+00:00")),
    st.lists(st.integers(0, 3 * 3_600_000), min_size=1, max_size=6),
)
def test_moments_do_not_depend_on_what_was_asked_before(
    cron: str, zone: str, start_ms: int, steps: list[int]
) -> None:
    remembering = schedule.Timetable(cron, zone)
    asked = [start_ms + step for step in steps]

    answers = [remembering.after(after_ms) for after_ms in asked]

    assert answers == [schedule.Timetable(cron, zone).after(after_ms) for after_ms in asked]


def test_a_window_covers_its_first_moment_and_not_its_end() -> None:
    nightly = [Window("0 2 * * *", 3600, RIGA)]
    begins, ends = local("2026-11-20T02:00"), local("2026-11-20T03:00")

    assert in_window(nightly, begins - 1) is None
    assert in_window(nightly, begins) == ends
    assert in_window(nightly, ends - 1) == ends
    assert in_window(nightly, ends) is None


def test_windows_that_touch_are_left_together() -> None:
    windows = [Window("0 3 * * *", 3600), Window("0 2 * * *", 3600)]
    inside = ms("2026-11-20T02:30+00:00")

    assert out_of_windows(windows, inside) == ms("2026-11-20T04:00+00:00")


def test_a_window_across_a_clock_change_is_as_long_as_it_says() -> None:
    window = [Window("30 2 * * *", 2 * 3600, RIGA)]  # 03:00 becomes 04:00 in it
    begins = local("2021-03-28T02:30")

    assert in_window(window, begins) == begins + 2 * 3_600_000


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (Window("* * * * *", 60), "length_s"),
        (Window("0 2 * * *", 86_400), "length_s"),
        (Window("0 2,4 * * *", 2 * 3600), "length_s"),
        (Window("0 2 * * *", 0), "length_s"),
        (Window("0 2 * *", 60), "cron"),
        (Window("0 2 * * *", 60, "Mars/Olympus"), "timezone"),
    ],
)
def test_a_window_that_never_ends_or_cannot_be_read_is_refused(window: Window, field: str) -> None:
    with pytest.raises(RuleError) as refused:
        check_window(window)

    assert refused.value.field == field


def test_moments_of_a_day_are_in_order_all_year_round() -> None:
    due = upcoming(Schedule("*/20 1-4 * * *", timezone=RIGA), ms("2021-01-01T00:00+00:00"), 4000)

    assert all(one < other for one, other in pairwise(due))
