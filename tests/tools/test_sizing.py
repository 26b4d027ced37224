"""The sizing table: what the measured figures come to."""

from __future__ import annotations

import pytest

from tools.sizing import BEGIN, END, PAGE, Measured, rates_of, table, with_table

SMALL = Measured("small", 100.0, 12.3, 1500.0)
LARGE = Measured("large", 10_000.0, 20.0, 2000.0)


def test_the_smallest_set_up_with_room_for_the_peak_is_named() -> None:
    rows = [line for line in table([SMALL, LARGE]).splitlines() if line.startswith("| 1")]

    # 10,000,000 in 30 days of 86,400 s are 3.86 a second; ten times that is 38.6, within half of 100.
    assert rows == [
        "| 100,000 | 0.039 | 0.39 | small | 150 MB |",
        "| 1,000,000 | 0.39 | 3.9 | small | 1.5 GB |",
        "| 10,000,000 | 3.9 | 39 | small | 15 GB |",
        "| 100,000,000 | 39 | 386 | large | 200 GB |",
        "| 1,000,000,000 | 386 | 3,858 | large | 2 TB |",
    ]


def test_what_nothing_measured_takes_needs_more_nodes() -> None:
    assert "| 3,858 | more than was measured |" in table([SMALL])


BENCH = """
load from wrk, 64 connections; 200 only after the commit; the best of its rounds
                                req/s   p50 ms   p99 ms   CPU us   ratio
bare ASGI                       25000      2.1      4.0     30.0    1.00
SQLite                           7000      8.0     14.0     90.0    0.28
SQLite, 10,000,000 runs          6500      8.5     15.0     95.0    0.26
PostgreSQL                       6000      9.0     20.0    100.0    0.24
PostgreSQL, 2 workers            9000      9.0     22.5    100.0    0.36
Healthchecks, SQLite              280   (quoted)
{"sqlite_ratio": 0.28}
"""


def test_the_set_ups_are_read_off_the_table_of_the_bench() -> None:
    assert rates_of(BENCH) == [
        ("SQLite", 7000.0, 14.0),
        ("PostgreSQL", 6000.0, 20.0),
        ("PostgreSQL, 2 workers", 9000.0, 22.5),
    ]
    with pytest.raises(ValueError, match="no table of measured set-ups"):
        rates_of("nothing\n{}\n")


def test_the_table_takes_the_place_of_the_one_before() -> None:
    page = f"above\n{BEGIN}old\n{END}\nbelow\n"

    assert with_table(page, "new\n") == f"above\n{BEGIN}new\n{END}\nbelow\n"


def test_the_page_has_a_place_for_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count(BEGIN) == page.count(END) == 1
    assert "smallest set-up that takes it" in page
