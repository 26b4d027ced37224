from __future__ import annotations

from typing import NoReturn

import pytest

from telemhq_agents.clock import from_iso
from telemhq_agents.errors import UsageError
from telemhq_agents.ledger.report import zone_of
from telemhq_cli.commands import period


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-01", "UTC", "2026-03-01T00:00:00Z"),
        ("2026-03-01", "Asia/Kolkata", "2026-02-28T18:30:00Z"),
        ("2026-03-01", "Australia/Adelaide", "2026-02-28T13:30:00Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z"),
        ("2026-03-01T09:07:00Z", "Asia/Kolkata", "2026-03-01T09:00:00Z"),
        ("2026-03-01T09:00:00+05:30", "UTC", "2026-03-01T03:30:00Z"),
    ],
)
def test_since_is_the_first_moment(text: str, zone: str, moment: str) -> None:
    assert period.since_ms(text, zone_of(zone)) == from_iso(moment)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-01", "UTC", "2026-03-02T00:00:00Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00Z"),
        ("2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00Z"),
        ("2026-03-01T09:07:00Z", "UTC", "2026-03-01T09:15:00Z"),
        ("2026-03-01T09:15:00Z", "UTC", "2026-03-01T09:15:00Z"),
    ],
)
def test_until_is_the_end_of_the_day_or_the_next_quarter(text: str, zone: str, moment: str) -> None:
    assert period.until_ms(text, zone_of(zone)) == from_iso(moment)


@pytest.mark.parametrize(
    ("zone", "ms"),
    [
        ("UTC", 253_402_300_800_000),
        ("Asia/Kolkata", 253_402_281_000_000),
        ("America/New_York", 253_402_318_800_000),
    ],
)
def test_the_last_day_of_all_ends_too(zone: str, ms: int) -> None:
    assert period.until_ms("9999-12-31", zone_of(zone)) == ms


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "0d",
        "d",
        "7",
        "7m",
        "12345d",
        "-7d",
        "2026-13-01",
        "2026-03-01T09:00:00",
        "",
        "20260301",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    for read in (period.since_ms, period.until_ms):
        with pytest.raises(UsageError, match="neither a date nor a time"):
            read(text, zone_of("UTC"))


FRIDAY = from_iso("2026-11-20T18:35:00Z")


@pytest.mark.parametrize(
    ("text", "zone", "since", "until"),
    [
        ("today", "UTC", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("today", "Asia/Kolkata", "2026-11-20T18:30:00Z", "2026-11-21T18:30:00Z"),
        ("yesterday", "UTC", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"),
        ("monday", "UTC", "2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z"),
        ("Friday", "UTC", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("saturday", "UTC", "2026-11-14T00:00:00Z", "2026-11-15T00:00:00Z"),
        ("saturday", "Asia/Kolkata", "2026-11-20T18:30:00Z", "2026-11-21T18:30:00Z"),
        ("1d", "UTC", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
        ("7d", "UTC", "2026-11-14T00:00:00Z", "2026-11-14T00:00:00Z"),
        (" 7D ", "UTC", "2026-11-14T00:00:00Z", "2026-11-14T00:00:00Z"),
        ("1w", "UTC", "2026-11-14T00:00:00Z", "2026-11-14T00:00:00Z"),
        ("2w", "UTC", "2026-11-07T00:00:00Z", "2026-11-07T00:00:00Z"),
        ("24h", "UTC", "2026-11-19T18:30:00Z", "2026-11-19T18:45:00Z"),
        ("24h", "Asia/Kolkata", "2026-11-19T18:30:00Z", "2026-11-19T18:45:00Z"),
        # New York's clocks went back on 1 November, from UTC-4 to UTC-5.
        ("20d", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z"),
        ("19d", "America/New_York", "2026-11-02T05:00:00Z", "2026-11-02T05:00:00Z"),
        ("30d", "America/New_York", "2026-10-22T04:00:00Z", "2026-10-22T04:00:00Z"),
    ],
)
def test_words_mean_local_days_and_hours_are_exact(
    text: str, zone: str, since: str, until: str
) -> None:
    assert period.since_ms(text, zone_of(zone), FRIDAY) == from_iso(since)
    assert period.until_ms(text, zone_of(zone), FRIDAY) == from_iso(until)


@pytest.mark.parametrize(
    ("zone", "since", "end", "before", "words"),
    [
        # Whole days, and the same over either change of the clocks.
        ("UTC", "2026-11-14T00:00Z", "2026-11-21T00:00Z", "2026-11-07T00:00Z 2026-11-14T00:00Z",
         "2026-11-14 to 2026-11-20"),
        ("UTC", "2026-11-20T00:00Z", "2026-11-21T00:00Z", "2026-11-19T00:00Z 2026-11-20T00:00Z",
         "2026-11-20"),
        ("Europe/Berlin", "2026-10-25T23:00Z", "2026-11-01T23:00Z",
         "2026-10-18T22:00Z 2026-10-25T23:00Z", "2026-10-26 to 2026-11-01"),
        ("Europe/Berlin", "2026-03-28T23:00Z", "2026-03-29T22:00Z",
         "2026-03-27T23:00Z 2026-03-28T23:00Z", "2026-03-29"),
        ("America/New_York", "2026-11-01T04:00Z", "2026-11-02T05:00Z",
         "2026-10-31T04:00Z 2026-11-01T04:00Z", "2026-11-01"),
        # In Santiago the clocks skip the midnight with which 6 September 2026 would begin.
        ("America/Santiago", "2026-09-06T04:00Z", "2026-09-07T03:00Z",
         "2026-09-05T04:00Z 2026-09-06T04:00Z", "2026-09-06"),
        # A day that is not over: the days before, up to the same time of day.
        ("UTC", "2026-11-14T00:00Z", "2026-11-20T18:45Z", "2026-11-07T00:00Z 2026-11-13T18:45Z",
         "2026-11-14 to 2026-11-20 18:45"),
        ("America/New_York", "2026-11-02T05:00Z", "2026-11-02T15:00Z",
         "2026-11-01T04:00Z 2026-11-01T15:00Z", "2026-11-02 to 2026-11-02 10:00"),
        ("America/New_York", "2026-11-01T04:00Z", "2026-11-01T15:00Z",
         "2026-10-31T04:00Z 2026-10-31T14:00Z", "2026-11-01 to 2026-11-01 10:00"),
        # Anything else is as many milliseconds, and ends where this begins.
        ("UTC", "2026-11-19T18:30Z", "2026-11-20T18:45Z", "2026-11-18T18:15Z 2026-11-19T18:30Z",
         "2026-11-19 18:30 to 2026-11-20 18:45"),
    ],
)  # fmt: skip
def test_the_window_before_is_as_long_in_local_days(
    zone: str, since: str, end: str, before: str, words: str
) -> None:
    place, since_ms, end_ms = zone_of(zone), from_iso(since), from_iso(end)

    assert period.window_before(since_ms, end_ms, place) == tuple(map(from_iso, before.split()))
    assert period.in_words(since_ms, end_ms, place) == words


def test_what_is_to_come_is_not_compared() -> None:
    since, tomorrow = from_iso("2026-11-14T00:00:00Z"), from_iso("2026-11-22T00:00:00Z")

    assert period.end_so_far(since, None, FRIDAY) == from_iso("2026-11-20T18:45:00Z")
    assert period.end_so_far(since, tomorrow, FRIDAY) == from_iso("2026-11-20T18:45:00Z")
    assert period.end_so_far(since, since + 900_000, FRIDAY) == since + 900_000
    assert period.end_so_far(tomorrow, None, FRIDAY) == tomorrow + 900_000


def no_link(_: str) -> NoReturn:
    raise FileNotFoundError


@pytest.mark.parametrize(
    ("environ", "link", "name"),
    [
        ({"TZ": "Asia/Kolkata"}, "", "Asia/Kolkata"),
        ({"TZ": ":Europe/Berlin"}, "", "Europe/Berlin"),
        ({"TZ": "/usr/share/zoneinfo/Asia/Tokyo"}, "", "Asia/Tokyo"),
        ({}, "/usr/share/zoneinfo/Australia/Adelaide", "Australia/Adelaide"),
        ({}, "../usr/share/zoneinfo/Etc/UTC", "Etc/UTC"),
        ({"TZ": "CET-1CEST"}, "", "UTC"),
        ({}, "/somewhere/else", "UTC"),
    ],
)
def test_the_machines_zone_has_a_name(environ: dict[str, str], link: str, name: str) -> None:
    assert period.local_zone(environ, lambda _: link) == name


def test_a_machine_that_names_no_zone_is_in_utc() -> None:
    assert period.local_zone({}, no_link) == "UTC"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no time zone 'Mars/Olympus'"):
        zone_of("Mars/Olympus")
