from __future__ import annotations

import time

import pytest

from telemhq_agents.nearest import did_you_mean, missed, nearest

TRACKERS = ["nightly import", "nightly report", "weekly", "backup"]


@pytest.mark.parametrize(
    ("wanted", "known", "found"),
    [
        ("nigtly report", TRACKERS, "nightly report"),
        ("weakly", TRACKERS, "weekly"),
        ("Weekly", TRACKERS, "weekly"),
        ("BACKUP", TRACKERS, "backup"),
        ("back", TRACKERS, "backup"),
        ("week", TRACKERS, "weekly"),
        ("nightly", ["nightly import of the books of last year"], "nightly import of the books of last year"),
        ("n", ["nightly import", "nightly report"], ""),  # two begin so
        ("shoe-size", TRACKERS, ""),
        ("", TRACKERS, ""),
        ("x", [], ""),
        ("bob@example.com", ["ada@example.com", "grace@example.com"], ""),
        ("bob@example.com", ["ada@example.com", "rob@example.com"], "rob@example.com"),
        ("--json", ["--version", "--help"], ""),
        ("--jsn", ["--version", "--json", "--since"], "--json"),
        ("-json", ["--json"], "--json"),
        ("weekly", ["weekly"], ""),  # what is there is not what was meant instead
        ("weekly", ["", "weekly2"], "weekly2"),
        ("ada@exmaple.com", ["ada@example.com", "grace@example.com"], "ada@example.com"),
        ("usage.cost_us", ["usage.cost_usd", "usage.input_tokens"], "usage.cost_usd"),
    ],
)  # fmt: skip
def test_the_nearest_name_is_what_was_meant(wanted: str, known: list[str], found: str) -> None:
    assert nearest(wanted, known) == found


def test_a_hint_is_a_question_at_the_end_of_a_sentence() -> None:
    assert did_you_mean("weakly", TRACKERS) == "; did you mean 'weekly'?"
    assert did_you_mean("zzz", TRACKERS) == ""
    assert missed("There is no tracker 'weakly'", "weakly", TRACKERS) == (
        "There is no tracker 'weakly'; did you mean 'weekly'?"
    )
    assert missed("There is no tracker 'zzz'", "zzz", TRACKERS) == "There is no tracker 'zzz'."


def test_names_that_are_made_to_take_long_do_not() -> None:
    known = [f"{'a' * 5000}{number}" for number in range(100_000)]

    before = time.process_time()
    assert nearest("a" * 4999 + "b", known)
    assert time.process_time() - before < 2
