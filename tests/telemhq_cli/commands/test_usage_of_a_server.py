"""`telemhq usage --mine|--team` asks a real server for what it asks a ledger."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

RUNS = [
    ("nightly", "2026-03-02T10:00:00Z", "api", "gpt-5.4", 1, 0.25),
    ("nightly", "2026-03-08T23:30:00Z", "api", "gpt-5.4-mini", 2, 0.5),
    ("nightly", "2026-03-09T10:00:00Z", "web", "gpt-5.4", 4, 1.0),
    ("hourly", "2026-03-10T10:00:00Z", "web", "gpt-5.4", 8, None),
    ("hourly", "2026-03-15T10:00:00Z", "api", "gpt-5.4", 16, 2.0),
]


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    urls = {
        name: telemhq.asks("tracker", "create", name)["ping_url"] for name in ("nightly", "hourly")
    }
    for tracker, at, project, model, tokens, cost in RUNS:
        told: dict[str, Any] = {"project": project, "model": model, "input_tokens": tokens}
        told |= {"ended_at": at} | ({} if cost is None else {"cost_usd": cost})
        assert httpx.post(urls[tracker], json=told).status_code == 200
    return telemhq


def tokens(told: dict[str, Any], *groups: str) -> dict[str, int]:
    assert sum(row["total_tokens"] for row in told["rows"]) == told["total"]["total_tokens"]
    return {
        " ".join(str(row[group]) for group in groups): row["total_tokens"] for row in told["rows"]
    }


FILTERED: list[tuple[tuple[str, ...], int]] = [
    ((), 31),
    (("--project", "api"), 19),
    (("--project", "api", "--project", "web"), 31),
    (("--model", "gpt-5.4-mini"), 2),
    (("--tracker", "hourly"), 24),
    (("--tracker", "hourly", "--project", "web"), 8),
    (("--member", "me"), 31),
    (("--member", "ADA@example.com"), 31),
    (("--since", "2026-03-09"), 28),
    (("--since", "2026-03-09", "--timezone", "Asia/Kolkata"), 30),
    (("--until", "2026-03-08", "--timezone", "Asia/Kolkata"), 1),
    (("--since", "2026-03-08T23:30:00Z", "--until", "2026-03-10T10:00:00Z"), 6),
    (("--since", "24h"), 0),
    (("--until", "yesterday"), 31),
    (("--member", " ME "), 31),
    (("--since", "2026-3-9"), 28),
    (("--since", "0001-01-01"), 31),
    (("--since", "9999w"), 31),
    (("--until", "9999-12-31"), 31),
    (("--since", "9999-12-31"), 0),
    (("--until", "0001-01-01", "--timezone", "Asia/Kolkata"), 0),
]


def test_filters_and_windows_are_those_of_the_ledger(ada: CommandLine) -> None:
    for options, total in FILTERED:
        for scope in ("--mine", "--team"):
            told = ada.asks("usage", scope, "--by", "tracker", *options)
            assert told["total"]["total_tokens"] == total, (scope, options)


def test_weeks_and_months_are_the_accounts_own(ada: CommandLine) -> None:
    told = ada.asks("usage", "--team", "--by", "week")

    assert told["window"]["timezone"] == "UTC"
    assert tokens(told, "week") == {"2026-W10": 3, "2026-W11": 28}
    assert tokens(
        ada.asks("usage", "--mine", "--by", "week", "--timezone", "Asia/Kolkata"), "week"
    ) == {"2026-W10": 1, "2026-W11": 30}
    assert tokens(ada.asks("usage", "--mine", "--by", "month"), "month") == {"2026-03": 31}


def test_a_team_is_compared_and_topped_like_a_machine(ada: CommandLine) -> None:
    options = ("--by", "project", "--since", "2026-03-09", "--until", "2026-03-15")

    told = ada.asks("usage", "--team", "--compare", *options, "--sort", "cost", "--top", "1")
    lines = ada("usage", "--team", "--compare", *options).out.splitlines()
    rows = csv.DictReader(io.StringIO(ada("usage", "--mine", "--compare", *options, "--csv").out))

    assert told["window_before"] == {
        "since": "2026-03-02T00:00:00.000Z",
        "until": "2026-03-09T00:00:00.000Z",
    }
    first, rest = told["rows"]
    assert (first["project"], first["cost_usd"], first["before"]["cost_usd"]) == ("api", 2.0, 0.75)
    assert first["change_percent"]["cost_usd"] == 166.67
    assert (rest["project"], rest["rest"], rest["change"]["cost_usd"]) == (None, 1, 1.0)
    assert told["total"]["change"]["total_tokens"] == 28 - 3
    assert lines[0] == "2026-03-09 to 2026-03-15 beside 2026-03-02 to 2026-03-08 (UTC)"
    assert [line.split()[-1] for line in lines[4:6]] == ["+167%", "new"]
    assert lines[-1] == "* Sent without a cost: gpt-5.4 (8 tokens)"
    assert [row["change_cost_usd"] for row in rows] == ["1.25", "1.0"]


def test_what_reaches_back_before_all_clocks_is_compared_with_what_may_be_there(
    ada: CommandLine,
) -> None:
    told = ada.asks("usage", "--team", "--compare", "--since", "1990-01-01", "--by", "project")

    assert told["total"]["total_tokens"] == 31
    assert told["total"]["before"]["total_tokens"] == 0
    ada("usage", "--team", "--compare", "--since", "9999w", code=2)


def test_a_teams_three_tables_each_show_their_top(ada: CommandLine) -> None:
    shown = ada("usage", "--team", "--top", "1").out

    assert [line for line in shown.splitlines() if line.endswith(("member", "project", "model"))]
    assert shown.count("(1 other)") == 2
    assert shown.count("Total") == 3


UNKNOWN = [
    (("--project", "wep"), "There is no project 'wep' in Ada; did you mean 'web'?"),
    (("--project", " web "), "There is no project ' web ' in Ada; did you mean 'web'?"),
    (("--model", "gpt-5.4-min"), "did you mean 'gpt-5.4-mini'?"),
    (("--tracker", "nighty"), "There is no tracker 'nighty' in Ada; did you mean 'nightly'?"),
    (("--member", "eda@example.com"), "did you mean 'ada@example.com'?"),
]


def test_a_name_that_nobody_has_is_refused_with_what_was_meant(ada: CommandLine) -> None:
    for options, said in UNKNOWN:
        for scope in ("--mine", "--team"):
            assert said in ada("usage", scope, *options, code=2).complaint
