"""When a summary is due, and which local day or week it is about."""

from __future__ import annotations

import pytest

from server_stub.domain.summary_period import latest_period, period_before
from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.rules import Every, Summary

RIGA, KATHMANDU, NEW_YORK = "Europe/Riga", "Asia/Kathmandu", "America/New_York"

# (every, hour, zone), a moment, and the period whose summary is the latest then.
TABLE: list[tuple[tuple[Every, int, str], str, tuple[str, str, str, str]]] = [
    (
        (Every.DAY, 8, "UTC"),
        "2026-11-20T08:00:00Z",
        ("2026-11-19", "2026-11-19T00:00", "2026-11-20T00:00", "2026-11-20T08:00"),
    ),
    (
        (Every.DAY, 8, "UTC"),
        "2026-11-20T07:59:59Z",
        ("2026-11-18", "2026-11-18T00:00", "2026-11-19T00:00", "2026-11-19T08:00"),
    ),
    (
        (Every.DAY, 0, KATHMANDU),
        "2026-11-20T00:00:00Z",
        ("2026-11-19", "2026-11-18T18:15", "2026-11-19T18:15", "2026-11-19T18:15"),
    ),
    # The day that has 25 hours, and the one that has 23.
    (
        (Every.DAY, 8, RIGA),
        "2025-10-27T07:00:00Z",
        ("2025-10-26", "2025-10-25T21:00", "2025-10-26T22:00", "2025-10-27T06:00"),
    ),
    (
        (Every.DAY, 8, RIGA),
        "2026-03-30T05:00:00Z",
        ("2026-03-29", "2026-03-28T22:00", "2026-03-29T21:00", "2026-03-30T05:00"),
    ),
    # 03:00 is skipped in Riga on 29 March 2026: due when the clocks show 04:00.
    (
        (Every.DAY, 3, RIGA),
        "2026-03-29T01:00:00Z",
        ("2026-03-28", "2026-03-27T22:00", "2026-03-28T22:00", "2026-03-29T01:00"),
    ),
    (
        (Every.DAY, 3, RIGA),
        "2026-03-29T00:59:59Z",
        ("2026-03-27", "2026-03-26T22:00", "2026-03-27T22:00", "2026-03-28T01:00"),
    ),
    # 01:00 comes twice in New York on 1 November 2026: due the first time, and once.
    (
        (Every.DAY, 1, NEW_YORK),
        "2026-11-01T05:00:00Z",
        ("2026-10-31", "2026-10-31T04:00", "2026-11-01T04:00", "2026-11-01T05:00"),
    ),
    (
        (Every.DAY, 1, NEW_YORK),
        "2026-11-01T06:00:00Z",
        ("2026-10-31", "2026-10-31T04:00", "2026-11-01T04:00", "2026-11-01T05:00"),
    ),
    # Weeks are Monday to Sunday, and called as ISO 8601 does.
    (
        (Every.WEEK, 8, "UTC"),
        "2026-11-20T08:00:00Z",
        ("2026-W46", "2026-11-09T00:00", "2026-11-16T00:00", "2026-11-16T08:00"),
    ),
    (
        (Every.WEEK, 8, "UTC"),
        "2026-11-16T07:00:00Z",
        ("2026-W45", "2026-11-02T00:00", "2026-11-09T00:00", "2026-11-09T08:00"),
    ),
    (
        (Every.WEEK, 8, RIGA),
        "2025-10-27T06:00:00Z",
        ("2025-W43", "2025-10-19T21:00", "2025-10-26T22:00", "2025-10-27T06:00"),
    ),
    (
        (Every.WEEK, 0, "UTC"),
        "2027-01-04T00:00:00Z",
        ("2026-W53", "2026-12-28T00:00", "2027-01-04T00:00", "2027-01-04T00:00"),
    ),
]


@pytest.mark.parametrize(("asked", "now", "expected"), TABLE)
def test_the_latest_summary_is_of_a_whole_local_day_or_week(
    asked: tuple[Every, int, str], now: str, expected: tuple[str, str, str, str]
) -> None:
    every, hour, zone = asked

    period = latest_period(Summary(every, hour, zone), from_iso(now))

    times = [to_iso(ms)[:16] for ms in (period.start_ms, period.end_ms, period.due_ms)]
    assert (period.key, *times) == expected


@pytest.mark.parametrize("every", [Every.DAY, Every.WEEK])
def test_periods_follow_each_other_without_a_gap_over_a_year(every: Every) -> None:
    summary = Summary(every, 8, RIGA)
    period = latest_period(summary, from_iso("2026-12-31T12:00:00Z"))
    keys = {period.key}
    for _ in range(366 if every is Every.DAY else 53):
        before = period_before(period, summary)
        assert before.end_ms == period.start_ms
        assert latest_period(summary, period.due_ms - 1) == before
        assert latest_period(summary, period.due_ms) == period
        keys.add(before.key)
        period = before
    assert len(keys) == (367 if every is Every.DAY else 54)
