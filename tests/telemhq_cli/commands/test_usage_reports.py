"""`telemhq usage` on made-up logs: whose days, of what, in which order, how much, beside what."""

from __future__ import annotations

import csv
import io
import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.clock import from_iso
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine

NOW = from_iso("2026-11-20T18:35:00Z")
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

# When, in which project, by which model, how many tokens.
WORK = [
    ("2026-10-31T16:00:00Z", "api", "gpt-5.4", 1),
    ("2026-11-01T03:59:00Z", "api", "gpt-5.4", 2),
    ("2026-11-01T05:30:00Z", "web", "gpt-5.4-mini", 4),
    ("2026-11-01T06:30:00Z", "web", "gpt-5.4", 8),
    ("2026-11-02T04:59:00Z", "cli", "gpt-5.4", 16),
    ("2026-11-02T05:00:00Z", "api", "gpt-5.4-mini", 32),
    ("2026-11-12T12:00:00Z", "api", "gpt-5.4", 64),
    ("2026-11-13T18:50:00Z", "api", "gpt-5.4", 128),
    ("2026-11-14T00:00:00Z", "web", "gpt-5.4", 256),
    ("2026-11-20T18:34:00Z", "docs", "in-house-1", 512),
]
EVERYTHING = 1023


@pytest.fixture
def worked(telemhq: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW)
    for at, project, model, tokens in WORK:
        session = CodexSession(telemhq.machine.home / "codex", from_iso(at) - 1000)
        session.turn(from_iso(at) - 500, tokens, 0)
        text = session.path.read_text().replace("/srv/made-up/billing", f"/srv/made-up/{project}")
        session.path.write_text(text.replace('"gpt-5.4"', f'"{model}"'))
    return telemhq


def tokens(told: dict[str, Any], *groups: str) -> dict[str, int]:
    assert sum(row["total_tokens"] for row in told["rows"]) == told["total"]["total_tokens"]
    rows = {" ".join(str(row[group]) for group in groups): row for row in told["rows"]}
    assert len(rows) == len(told["rows"])
    return {keys: row["total_tokens"] for keys, row in rows.items()}


def by(telemhq: CommandLine, *options: str) -> dict[str, int]:
    groups = [one for before, one in pairwise(options) if before == "--by"]
    return tokens(telemhq.asks("usage", *options), *groups)


NEW_YORK = ("--timezone", "America/New_York")


def test_days_weeks_and_months_are_local_ones_across_a_change_of_the_clocks(
    worked: CommandLine,
) -> None:
    until = (*NEW_YORK, "--until", "2026-11-02")

    assert by(worked, "--by", "day", *until) == {
        "2026-10-31": 3,
        "2026-11-01": 4 + 8 + 16,
        "2026-11-02": 32,
    }
    assert by(worked, "--by", "week", *until) == {"2026-W44": 31, "2026-W45": 32}
    assert by(worked, "--by", "month", *until) == {"2026-10": 3, "2026-11": 60}
    assert by(worked, "--by", "hour", *NEW_YORK, "--since", "2026-11-01", *until[2:]) == {
        "2026-11-01T01:00-04:00": 4,
        "2026-11-01T01:00-05:00": 8,
        "2026-11-01T23:00-05:00": 16,
        "2026-11-02T00:00-05:00": 32,
    }
    assert by(worked, "--by", "month", "--by", "project", *until) == {
        "2026-10 api": 3,
        "2026-11 web": 12,
        "2026-11 cli": 16,
        "2026-11 api": 32,
    }
    assert by(worked, "--by", "week", "--timezone", "UTC")["2026-W46"] == 64 + 128 + 256


@pytest.mark.parametrize(
    ("options", "total"),
    [
        (("--since", "7d"), 256 + 512),
        (("--since", "2w"), 64 + 128 + 256 + 512),
        (("--since", "friday"), 512),
        (("--since", "24h"), 512),
        (("--until", "yesterday"), EVERYTHING - 512),
        (("--since", "14d", "--until", "7d"), 64 + 128),
        (("--project", "api"), 1 + 2 + 32 + 64 + 128),
        (("--project", "api", "--project", "docs"), 1 + 2 + 32 + 64 + 128 + 512),
        (("--model", "gpt-5.4-mini"), 36),
        (("--model", "gpt-5.4-mini", "--project", "web"), 4),
        (("--model", "gpt-5.4-mini", "--project", "docs"), 0),
        (("--member", "me"), EVERYTHING),
        (("--project", "api", "--source", "codex", "--since", "2026-11-12"), 64 + 128),
    ],
)
def test_filters_narrow_and_their_values_are_alternatives(
    worked: CommandLine, options: tuple[str, ...], total: int
) -> None:
    told = worked.asks("usage", "--timezone", "UTC", *options)

    assert sum(tokens(told, "project", "model").values()) == total
    ClaudeSession(worked.machine.home / "claude")
    again = worked("usage", "--timezone", "UTC", *options, "--csv").out
    assert sum(int(row["total_tokens"]) for row in csv.DictReader(io.StringIO(again))) == total


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--project", "apy"), "There is no project 'apy' on this machine; did you mean 'api'?"),
        (("--model", "gpt-54"), "There is no model 'gpt-54' on this machine; did you mean 'gpt-5."),
        (("--member", "ada@x.y"), "There is no member 'ada@x.y' on this machine."),
        (("--tracker", "nightly"), "This machine's ledger knows no trackers"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "No time lies between"),
        (("--sort", "cots"), "no 'cots' to sort by; did you mean 'cost'?"),
        (("--compare", "--by", "week"), "No week of this time is one of the time before."),
        (("--compare", "--until", "2026-11-19"), "--compare needs to know where"),
        (("--compare", "--since", "24h", "--by", "day"), "No day of this time"),
        (("--top", "0"), "--top must be 1 or more."),
        (("--reprice", "--top", "2"), "--top does not go with --reprice."),
        (("--json", "heatmap"), "--json does not belong here. Give it after heatmap."),
    ],
)
def test_what_cannot_be_reported_is_said(
    worked: CommandLine, options: tuple[str, ...], said: str
) -> None:
    assert said in worked("usage", *options, code=2).complaint


def test_the_rest_is_summed_in_a_row_that_is_marked_and_no_total_changes(
    worked: CommandLine,
) -> None:
    options = ("usage", "--by", "project", "--sort", "tokens", "--top", "2")
    told, plain = worked.asks(*options), worked.asks("usage", "--by", "project")

    assert [(row["project"], row["total_tokens"], row["rest"]) for row in told["rows"]] == [
        ("docs", 512, 0),
        ("web", 268, 0),
        (None, 243, 2),
    ]
    assert told["total"] == plain["total"]
    rows = list(csv.DictReader(io.StringIO(worked(*options, "--csv").out)))
    assert [(row["project"], row["rest"], row["total_tokens"]) for row in rows] == [
        ("docs", "0", "512"),
        ("web", "0", "268"),
        ("", "2", "243"),
    ]
    lines = worked(*options).out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:6]] == ["docs", "web", "(2 others)", "-" * 58]
    assert "rest" not in plain["rows"][0]


def test_the_models_without_a_price_of_the_rest_are_named_in_its_row(worked: CommandLine) -> None:
    options = ("--by", "project", "--sort", "-tokens", "--top", "1", "--csv")

    rows = list(csv.DictReader(io.StringIO(worked("usage", *options).out)))

    assert [(row["rest"], row["unpriced_models"]) for row in rows] == [
        ("0", ""),
        ("3", "in-house-1"),
    ]


def test_beside_the_time_before_stands_the_change(worked: CommandLine) -> None:
    told = worked.asks("usage", "--compare", "--by", "project", "--timezone", "UTC")

    assert told["window"] == {
        "since": "2026-11-14T00:00:00.000Z",
        "until": None,
        "timezone": "UTC",
    }
    assert told["window_before"] == {
        "since": "2026-11-07T00:00:00.000Z",
        "until": "2026-11-13T18:45:00.000Z",
    }
    figures = [
        (
            row["project"],
            row["total_tokens"],
            row["before"]["total_tokens"],
            row["change"]["total_tokens"],
            row["change_percent"]["total_tokens"],
        )
        for row in told["rows"]
    ]
    # What came later than this time of day is not compared: 128 tokens of 18:50 a week ago.
    assert figures == [
        ("web", 256, 0, 256, None),
        ("docs", 512, 0, 512, None),
        ("api", 0, 64, -64, -100.0),
    ]
    assert told["total"]["change"]["total_tokens"] == 768 - 64
    assert told["total"]["change_percent"]["total_tokens"] == 1100.0


def test_a_comparison_over_a_change_of_the_clocks_is_of_whole_local_days(
    worked: CommandLine,
) -> None:
    window = ("--since", "2026-11-01", "--until", "2026-11-01", *NEW_YORK)

    told = worked.asks("usage", "--compare", "--by", "day", *window)

    assert told["window_before"] == {
        "since": "2026-10-31T04:00:00.000Z",
        "until": "2026-11-01T04:00:00.000Z",
    }
    [row] = told["rows"]
    assert (row["day"], row["total_tokens"]) == ("2026-11-01", 28)
    assert row["before"]["total_tokens"] == 3


def test_a_comparison_is_a_table_and_rows_of_figures_too(worked: CommandLine) -> None:
    options = ("usage", "--compare", "--by", "project", "--since", "14d", "--timezone", "UTC")

    lines = worked(*options).out.splitlines()
    rows = list(csv.DictReader(io.StringIO(worked(*options, "--csv").out)))

    # By the published prices of a million input tokens: $2.50, and $0.75 for the small model.
    assert lines[0] == "2026-11-07 to 2026-11-20 18:45 beside 2026-10-24 to 2026-11-06 18:45 (UTC)"
    assert [line.split()[-1] for line in lines[4:8]] == ["+2,683%", "+1,424%", "new", "gone"]
    by_project = {row["project"]: row for row in rows}
    assert by_project["cli"]["change_percent_total_tokens"] == "-100.0"
    assert by_project["docs"]["change_percent_total_tokens"] == ""
    assert by_project["api"]["before_total_tokens"] == "35"
    assert by_project["api"]["change_total_tokens"] == str(64 + 128 - 35)


@pytest.mark.parametrize(
    ("ends", "total"),
    [
        (("--until", "9999-12-31"), EVERYTHING),
        (("--since", "0001-01-01"), EVERYTHING),
        (("--since", "9999w", "--until", "2026-11-01T00:00:00Z"), 1),
        (("--since", "9999-12-31"), 0),
        (("--until", "0001-01-01"), 0),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_the_ends_of_the_calendar_are_open_ends(
    worked: CommandLine, zone: str, ends: tuple[str, ...], total: int
) -> None:
    told = worked.asks("usage", "--timezone", zone, *ends)

    assert told["total"]["total_tokens"] == total
    for view in ("trend", "heatmap", "sessions"):
        found = worked.asks("usage", view, "--timezone", zone, *ends)["total"]
        assert (found["total_tokens"] if view == "sessions" else found) == total


def test_groups_are_given_one_by_one_or_with_commas(worked: CommandLine) -> None:
    one_by_one = worked.asks("usage", "--by", "project", "--by", "model", "--by", "day")

    for options in (("--by", "project,model,day"), ("--by", "project, model", "--by", "day")):
        assert worked.asks("usage", *options) == one_by_one
    for slip in ("project,", ",", "", "project,project", "project,modle"):
        worked("usage", "--by", slip, code=2)


def test_what_is_explained_has_a_name(worked: CommandLine) -> None:
    assert "An empty id begins every one" in worked("usage", "--explain", "", code=2).complaint


def test_piped_text_is_plain_and_keeps_to_a_width_that_was_asked_for(worked: CommandLine) -> None:
    plain = worked("usage", "--by", "project").out
    narrow = worked("usage", "--width", "50").out
    wide = worked("usage", "--by", "project", "--width", "160").out
    ascii_only = worked("usage", "--by", "project", "--width", "160", "--ascii").out

    assert not set(plain) & set("│─█▏\x1b")
    assert "Share" not in plain
    assert max(map(len, narrow.splitlines())) <= 50
    assert "Left out for want of room" in narrow
    for title in ("Responses", "Written", "Reasoning", "Tokens", "Per run", "Cache %", "Share"):
        assert title in wide.splitlines()[0]
    assert max(map(len, wide.splitlines())) <= 160
    assert "█" in wide
    assert ascii_only.isascii()
    assert "####" in ascii_only


def test_estimates_are_marked_in_their_rows(telemhq: CommandLine) -> None:
    home = telemhq.machine.home / "codex"
    shutil.copytree(FIXTURES / "codex" / "0.98.0" / "home", home)
    (fork,) = home.rglob("*01a1f7ed-6ebf-7660-9362-79e16f814bd2.jsonl")
    parent = fork.read_text().split('"forked_from_id":"')[1].split('"')[0]
    next(home.rglob(f"*{parent}.jsonl")).unlink()

    lines = telemhq("usage", "--by", "thread").out.splitlines()
    rows = csv.DictReader(io.StringIO(telemhq("usage", "--by", "thread", "--csv").out))

    marked = [line.split()[0] for line in lines if "~" in line.partition("  ")[2]]
    assert marked == ["01a1f7ed-6ebf-7660-9362-79e16f814bd2", "Total"]
    assert lines[-1].startswith("~ 2 responses of Codex (gpt-5-mini; ")
    assert [row["thread"] for row in rows if row["estimated"] == "true"] == marked[:1]
    elsewhere = telemhq("usage", "--by", "thread", "--model", "gpt-5.1-codex").out
    assert "~" not in elsewhere


@pytest.mark.parametrize(
    "name", ["codex/0.98.0", "codex/0.169.0", "codex/0.145.0", "claude_code/2.1.328"]
)
def test_however_a_real_log_is_reported_its_sum_is_the_truth(
    telemhq: CommandLine, name: str
) -> None:
    agent = name.partition("/")[0].partition("_")[0]
    home = FIXTURES / name
    shutil.copytree(home / "home", telemhq.machine.home / agent, dirs_exist_ok=True)
    whole = telemhq.asks("usage")["total"]

    for group in ("day", "week", "month", "hour", "session", "project", "source", "member"):
        told = telemhq.asks("usage", "--by", group, "--sort", "-output", "--top", "1")
        assert told["total"] == whole
        for figure in ("runs", "responses", "input_tokens", "output_tokens", "total_tokens"):
            assert sum(row[figure] for row in told["rows"]) == whole[figure], (group, figure)
    models = [row["model"] for row in telemhq.asks("usage", "--by", "model")["rows"]]
    parts = [telemhq.asks("usage", "--model", model)["total"] for model in models]
    assert sum(one["total_tokens"] for one in parts) == whole["total_tokens"] > 0
