"""Sums of any groups, zones and windows against the same sums made by hand from the buckets."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from server_stub.domain.usage_question import UsageQuestion
from server_stub.domain.usage_window import Window
from server_stub.reports.usage import usage_report
from server_stub.store import joining
from server_stub.store.tables import buckets, session_buckets
from telemhq_agents.clock import QUARTER_MS, from_iso
from telemhq_agents.contract.usage_report import GROUPS, UsageReport

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server_stub.store.engine import Store

FIRST = from_iso("2025-09-01T00:00Z")
QUARTERS = 300 * 24 * 4
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
Bucket = dict[str, int | str]


def made_up() -> list[Bucket]:
    dice = random.Random(20260301)
    return [
        {
            "quarter_ms": FIRST + QUARTER_MS * dice.randrange(QUARTERS),
            "tracker_id": 7,
            "member_id": 1,
            "session_id": dice.choice(["", "s1", "s2"]),
            "thread_id": dice.choice(["", "t1"]),
            "project": dice.choice(["", "api", "web"]),
            "model": dice.choice(["m1", "m2"]),
            "source": dice.choice(["codex", "claude"]),
            "runs": 1,
            "input_tokens": dice.randrange(1, 10**12),
        }
        for _ in range(500)
    ]


BUCKETS = made_up()


@pytest.fixture
def account_id(store: Store) -> int:
    def fill(connection: Connection) -> int:
        made = joining.set_up(connection, email="a@b.c", name="Ada", team=None, now_ms=1)
        assert made is not None
        sums: Counter[tuple[int | str, ...]] = Counter()
        runs: Counter[tuple[int | str, ...]] = Counter()
        plain = [column for column in BUCKETS[0] if column in buckets.c][:-2]
        for bucket in BUCKETS:
            key = tuple(bucket[column] for column in plain)
            sums[key] += int(bucket["input_tokens"])
            runs[key] += 1
        rows = [
            dict(zip(plain, key, strict=True))
            | {"account_id": made.account_id, "input_tokens": tokens, "runs": runs[key]}
            for key, tokens in sums.items()
        ]
        connection.execute(insert(buckets), rows)
        fine = [bucket | {"account_id": made.account_id} for bucket in BUCKETS]
        connection.execute(insert(session_buckets), fine)
        return made.account_id

    return store.write(fill)


def windows() -> st.SearchStrategy[Window]:
    """Whole quarter-hours anywhere in the data, either end possibly open."""
    quarters = st.integers(0, QUARTERS).map(lambda number: FIRST + number * QUARTER_MS)
    ends = st.one_of(st.none(), quarters)
    return st.builds(Window, ends, ends)


def holds(window: Window, bucket: Bucket) -> bool:
    quarter = int(bucket["quarter_ms"])
    late_enough = window.since_ms is None or quarter >= window.since_ms
    return late_enough and (window.until_ms is None or quarter < window.until_ms)


def label(bucket: Bucket, group: str, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(int(bucket["quarter_ms"]) / 1000, UTC).astimezone(zone)
    named = {
        "day": local.date().isoformat(),
        "week": f"{local:%G-W%V}",
        "month": f"{local:%Y-%m}",
        "hour": f"{local:%Y-%m-%dT%H}:00{local.isoformat()[-6:]}",
        "member": "a@b.c",
        "session": bucket["session_id"],
        "thread": bucket["thread_id"],
    }
    return str(named[group] if group in named else bucket[group])


def tokens(report: UsageReport) -> dict[tuple[str, ...], int]:
    found = {row.keys: row.amounts.input_tokens for row in report.rows}
    assert len(found) == len(report.rows)
    return found


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    groups=st.lists(
        st.sampled_from([group for group in GROUPS if group != "tracker"]), max_size=3, unique=True
    ),
    name=st.sampled_from(ZONES),
    window=windows(),
)
def test_sums_are_those_of_the_buckets_and_add_up_to_their_total(
    store: Store, account_id: int, groups: list[str], name: str, window: Window
) -> None:
    zone = ZoneInfo(name)
    expected: Counter[tuple[str, ...]] = Counter()
    for bucket in BUCKETS:
        if holds(window, bucket):
            keys = tuple(label(bucket, group, zone) for group in groups)
            expected[keys] += int(bucket["input_tokens"])

    report = usage_report(store, UsageQuestion(account_id, tuple(groups), window), zone)

    assert tokens(report) == dict(expected)
    assert report.total.input_tokens == sum(expected.values())
