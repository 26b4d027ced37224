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


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-03-01T09:00:00", "", "20260301"])
def test_anything_else_is_refused(text: str) -> None:
    for read in (period.since_ms, period.until_ms):
        with pytest.raises(UsageError, match="neither a date nor a time"):
            read(text, zone_of("UTC"))


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
