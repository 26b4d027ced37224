"""`telemhq tracker chart`, `fields`, `field`, `breakdown`, `show` and `runs` against a server."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from telemhq_cli.commands import tracker_chart_projects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

MOST_COLUMNS = 80


def sent(ada: CommandLine, *payloads: dict[str, Any]) -> None:
    url = ada.asks("tracker", "show", "nightly")["ping_url"]
    with httpx.Client(trust_env=False) as client:
        for second, payload in enumerate(payloads):
            at = f"2026-11-02T10:{second // 60:02}:{second % 60:02}Z"
            client.post(url, json={"ended_at": at, **payload}).raise_for_status()


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("tracker", "create", "nightly")
    telemhq.machine.extra["TZ"] = "Europe/Riga"
    return telemhq


@pytest.fixture
def nightly(ada: CommandLine) -> CommandLine:
    """Ada, whose tracker has four runs."""
    sent(
        ada,
        {"project": "web", "cost_usd": 0.1, "total_tokens": 100, "eval_score": 0.9},
        {"project": "web", "total_tokens": 200},
        {"project": "search", "cost_usd": 0.4, "total_tokens": 700},
        {"project": "search", "cost_usd": 0.3, "total_tokens": 0, "status": "error"},
    )
    return ada


def test_a_field_is_drawn_with_its_figures_within_80_columns(nightly: CommandLine) -> None:
    out = nightly("tracker", "chart", "nightly", "-f", "cost_usd").out

    assert out.startswith("nightly: latest 4 runs, 2026-11-02 12:00 (Europe/Riga)\n\ncost_usd\n")
    assert max(map(len, out.splitlines())) <= MOST_COLUMNS
    figures = out.splitlines()[-1].split()
    assert figures == ["cost_usd", "3", "1", "$0.3000", "$0.1000", "$0.4000", "$0.2667"]


def test_without_fields_the_charted_ones_are_drawn_each_unit_apart(nightly: CommandLine) -> None:
    out = nightly("tracker", "chart", "nightly").out

    assert "Fields of different units are drawn apart." in out
    for field in ("cost_usd", "total_tokens", "eval_score"):
        assert f"\n{field}\n" in out


def test_programs_get_every_run_or_as_many_points_as_they_ask_for(ada: CommandLine) -> None:
    sent(ada, *({"cost_usd": cost} for cost in range(1, 101)))

    whole = ada.asks("tracker", "chart", "nightly", "-f", "cost_usd", "--window", "100")
    few = ada.asks(
        *("tracker", "chart", "nightly", "-f", "cost_usd", "--window", "100", "--width", "50")
    )

    (every,), (some,) = whole["series"], few["series"]
    assert every["values"] == list(range(1, 101))
    assert (len(some["values"]), some["max"][-1]) == (50, 100)
    expected = {"last": 100, "min": 1, "max": 100, "mean": pytest.approx(50.5), "gaps": 0}
    for document in (whole, few):
        (figures,) = document["figures"]
        assert {name: figures[name] for name in expected} == expected


def test_a_chart_as_csv_leaves_gaps_empty(nightly: CommandLine) -> None:
    out = nightly("tracker", "chart", "nightly", "-f", "cost_usd", "--csv").out

    rows = list(csv.DictReader(io.StringIO(out)))

    assert [row["cost_usd"] for row in rows] == ["0.1", "", "0.4", "0.3"]
    assert rows[2]["ended_at"] == "2026-11-02T10:00:02.000Z"


def test_a_chart_of_one_project_has_its_runs_alone(nightly: CommandLine) -> None:
    arguments = ("tracker", "chart", "nightly", "-f", "cost_usd", "--project", "search")

    assert "latest 2 runs of search, " in nightly(*arguments).out
    assert nightly.asks(*arguments)["series"][0]["values"] == [0.4, 0.3]


def test_one_field_is_drawn_with_a_line_for_each_project(
    nightly: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("tracker", "chart", "nightly", "-f", "total_tokens", "--by", "project")

    out = nightly(*arguments).out
    told = nightly.asks(*arguments)
    monkeypatch.setattr(tracker_chart_projects, "MOST_LINES", 1)
    fewer = nightly(*arguments)

    assert "total_tokens by project, up to 50 runs of each" in out
    assert [one["project"] for one in told["projects"]] == ["search", "web"]
    assert [one["series"][0]["values"] for one in told["projects"]] == [[700, 0], [100, 200]]
    assert "1 more projects are not drawn" in fewer.complaint


def test_a_field_that_only_older_runs_have_is_no_tracker_without_runs(
    nightly: CommandLine,
) -> None:
    arguments = ("tracker", "chart", "nightly", "-f", "eval_score", "--by", "project")

    out = nightly(*arguments, "--window", "3").out

    assert "none of the latest 3 runs has eval_score" in out
    assert "Next: telemhq tracker chart nightly -f eval_score --by project --window 100000" in out
    assert "no runs" not in out


def test_in_ascii_a_chart_is(nightly: CommandLine) -> None:
    assert nightly("tracker", "chart", "nightly", "--ascii").out.isascii()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "cost_us"], "has a number in 'cost_us'; did you mean 'cost_usd'?"),
        (["-f", "cost_usd", "-f", "nowhere"], "has a number in 'nowhere'."),
        (["--project", "serch"], "is of the project 'serch'; did you mean 'search'?"),
        (["--window", "0"], "--window must be 1 to 100000"),
        (["--window", "100001"], "--window must be 1 to 100000"),
        (["-f", ".."], "has an empty name"),
        ([f"-f=x{number}" for number in range(21)], "21 fields are too many"),
        (["--by", "project"], "draws one field"),
        (["--by", "project", "-f", "cost_usd", "--project", "web"], "exclude each other"),
        (["--by", "project", "-f", "cost"], "did you mean 'cost_usd'?"),
        (["--json", "--csv"], "exclude each other"),
        (["--timezone", "Mars/Base"], "Mars/Base"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_a_chart_that_cannot_be_says_why(
    nightly: CommandLine, arguments: list[str], said: str
) -> None:
    done = nightly("tracker", "chart", "nightly", *arguments, code=None)

    assert said in done.complaint
    assert done.code in {2, 5}


def test_a_tracker_without_runs_or_numbers_has_no_chart_but_a_next_step(ada: CommandLine) -> None:
    without_runs = ada("tracker", "chart", "nightly").out
    sent(ada, {"note": "no number"})

    assert "no runs" in without_runs
    assert "Next: telemhq ping nightly" in without_runs
    assert "Next: telemhq tracker fields nightly" in ada("tracker", "chart", "nightly").out


def test_fields_are_listed_pinned_hidden_and_reset(nightly: CommandLine) -> None:
    def choices() -> dict[str, str | None]:
        found = nightly.asks("tracker", "fields", "nightly")["fields"]
        return {one["field"]: one["choice"] for one in found}

    listed = nightly("tracker", "fields", "nightly").out
    nightly("tracker", "field", "pin", "nightly", "eval_score")
    nightly("tracker", "field", "hide", "nightly", "cost_usd")
    chosen = choices()
    hidden = nightly.asks("tracker", "chart", "nightly")["series"]
    nightly("tracker", "field", "reset", "nightly", "cost_usd")

    assert "Of the latest 4 runs." in listed
    assert (chosen["eval_score"], chosen["cost_usd"]) == ("pinned", "hidden")
    assert "cost_usd" not in [one["field"] for one in hidden]
    assert choices()["cost_usd"] is None


def test_fields_as_csv_hold_figures_as_they_were_sent(nightly: CommandLine) -> None:
    sent(nightly, {"cost_usd": 0.25, "latency_ms": 62.5, "balance": -5})

    out = nightly("tracker", "fields", "nightly", "--csv").out
    last = {row["field"]: row["last"] for row in csv.DictReader(io.StringIO(out))}

    assert (last["cost_usd"], last["latency_ms"], last["balance"]) == ("0.25", "62.5", "-5")


def test_a_pinned_field_in_a_list_is_counted_like_any_other(nightly: CommandLine) -> None:
    sent(nightly, {"items": [{"cost": 1.5}]})

    done = nightly("tracker", "field", "pin", "nightly", "items.0.cost")
    listed = nightly.asks("tracker", "fields", "nightly")["fields"]

    assert done.complaint == ""
    (one,) = [one for one in listed if one["field"] == "items.0.cost"]
    assert (one["runs"], one["last"], one["choice"]) == (1, 1.5, "pinned")


def test_pinning_what_no_run_has_is_done_and_warned_of(nightly: CommandLine) -> None:
    done = nightly("tracker", "field", "pin", "nightly", "eval_scor")

    assert "eval_scor is pinned for you." in done.out
    assert "did you mean 'eval_score'?" in done.complaint


def test_a_breakdown_adds_up_usage_and_fields_by_project(nightly: CommandLine) -> None:
    arguments = ("tracker", "breakdown", "nightly", "-f", "cost_usd")

    told = nightly.asks(*arguments)
    rows = list(csv.DictReader(io.StringIO(nightly(*arguments, "--csv").out)))
    out = nightly(*arguments).out

    figures = {row["project"]: row for row in told["rows"]}
    assert (figures["search"]["runs"], figures["search"]["failures"]) == (2, 1)
    assert (figures["search"]["total_tokens"], figures["search"]["cost_usd"]) == (700, 0.7)
    assert (figures["web"]["total_tokens"], told["total"]["total_tokens"]) == (300, 1000)
    sums = {one["project"]: one["fields"][0]["sum"] for one in told["fields"]["projects"]}
    assert sums == {"search": pytest.approx(0.7), "web": 0.1}
    assert (rows[0]["project"], rows[0]["cost_usd:mean"]) == ("search", "0.35")
    assert max(map(len, out.splitlines())) <= MOST_COLUMNS
    assert "cost_usd, over the latest 4 runs" in out
    assert "* Some of it was sent without a cost. --by model tells for which models." in out


def test_a_breakdown_keeps_to_its_time_and_goes_by_model_too(nightly: CommandLine) -> None:
    early = nightly.asks("tracker", "breakdown", "nightly", "--until", "2026-11-01")
    models = nightly.asks("tracker", "breakdown", "nightly", "--by", "model")

    assert (early["rows"], early["total"]["runs"]) == ([], 0)
    assert [row["model"] for row in models["rows"]] == [""]
    both = ("tracker", "breakdown", "nightly", "--by", "model", "-f", "cost_usd")
    assert "Fields are added up by project" in nightly(*both, code=2).complaint
    near = ("tracker", "breakdown", "nightly", "-f", "cost_us")
    assert "did you mean 'cost_usd'?" in nightly(*near, code=2).complaint


def test_a_tracker_is_shown_with_its_last_verdicts_and_the_next_step(nightly: CommandLine) -> None:
    nightly("assertion", "add", "nightly", "items_processed", ">", "0")
    sent(nightly, {"items_processed": 0})
    nightly("assertion", "add", "nightly", "eval_score", ">", "0.5")

    out = nightly("tracker", "show", "nightly").out
    told = nightly.asks("tracker", "show", "nightly")

    assert "items_processed > 0  broken: items_processed is 0, expected more than 0" in out
    assert "eval_score > 0.5     no run tried it yet" in out
    assert out.endswith("Next: telemhq tracker runs nightly --failed\n")
    assert max(map(len, out.splitlines())) <= MOST_COLUMNS
    assert [one["verdict"] for one in told["verdicts"]] == ["broken", "untried"]
    assert told["next_step"] == "telemhq tracker runs nightly --failed"


def test_runs_are_filtered_by_project_and_failure(nightly: CommandLine) -> None:
    failed = nightly.asks("tracker", "runs", "nightly", "--failed")
    web = nightly.asks("tracker", "runs", "nightly", "--project", "web", "-n", "1")

    assert [run["status"] for run in failed] == ["error"]
    assert [run["total_tokens"] for run in web] == [200]
    none = nightly("tracker", "runs", "nightly", "--project", "web", "--failed")
    assert none.out == "No failed run of web yet.\n"
    unknown = nightly("tracker", "runs", "nightly", "--project", "wed", code=2)
    assert "did you mean 'web'?" in unknown.complaint


def stopping(*steps: Callable[[], object]) -> Callable[[float], None]:
    """Return a sleep that does one of these things each time, and then is interrupted."""
    left = list(steps)

    def sleep(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    return sleep


def test_following_shows_each_new_run_once_until_it_is_interrupted(
    nightly: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = nightly.asks("tracker", "show", "nightly")["ping_url"]

    def ping(tokens: int) -> Callable[[], object]:
        body = {"total_tokens": tokens, "project": "web", "status": "error"}
        return lambda: httpx.post(url, json=body, trust_env=False).raise_for_status()

    def follow(*arguments: str) -> list[str]:
        sleep = stopping(ping(11), lambda: None, ping(12))
        monkeypatch.setattr("telemhq_cli.commands.tracker_runs.sleep", sleep)
        done = nightly("tracker", "runs", "nightly", "--follow", *arguments, code=130)
        assert done.err == ""
        return done.out.splitlines()

    lines = follow("-n", "2")
    objects = [json.loads(line) for line in follow("-n", "1", "--json", "--project", "web")]

    assert lines[0].split()[:3] == ["Received", "(UTC)", "Status"]
    assert [line.split()[4] for line in lines[1:]] == ["700", "0", "11", "12"]
    assert max(map(len, lines)) <= MOST_COLUMNS
    assert [one["total_tokens"] for one in objects] == [12, 11, 12]


def test_following_a_project_that_no_run_names_warns_of_a_slip(
    nightly: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telemhq_cli.commands.tracker_runs.sleep", stopping())

    slip = nightly("tracker", "runs", "nightly", "--follow", "--project", "wbe", code=130)
    right = nightly("tracker", "runs", "nightly", "--follow", "--project", "web", code=130)

    assert "is of the project 'wbe'; did you mean 'web'?" in slip.complaint
    assert right.err == ""


def test_ctrl_c_ends_following_quietly_with_130(nightly: CommandLine) -> None:
    command = ("tracker", "runs", "nightly", "--follow", "-n", "1")
    with subprocess.Popen(
        [sys.executable, "-m", "telemhq_cli.main", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **nightly.machine.environ},
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline(), child.stdout.readline()]

        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)

    assert (child.returncode, out, err) == (130, "", "")
    assert "failed" in lines[1]


def test_following_a_tracker_is_no_table(nightly: CommandLine) -> None:
    done = nightly("tracker", "runs", "nightly", "--follow", "--csv", code=2)

    assert "--csv and --follow exclude each other" in done.complaint


@pytest.mark.parametrize("seconds", ["0.1", "3601", "inf", "nan"])
def test_following_looks_at_times_that_a_clock_has(nightly: CommandLine, seconds: str) -> None:
    done = nightly("tracker", "runs", "nightly", "--follow", "--every", seconds, code=2)

    assert "--every" in done.complaint


def change(server_file: Path, statement: str, *values: object) -> None:
    """Change the server's database behind its back, as time and an operator would."""
    with closing(sqlite3.connect(server_file)) as database, database:
        database.execute(statement, values)


def test_what_is_left_of_runs_that_are_kept_no_more_is_told_where_the_plan_has_it(
    nightly: CommandLine, tmp_path: Path
) -> None:
    arguments = ("tracker", "chart", "nightly", "-f", "cost_usd", "--window", "90000")
    known = nightly.asks("tracker", "show", "nightly")
    ids = (int(known["account"]), int(known["id"]))
    archived = (*ids, 0, 40, 1, 1000, 86_399_000)
    file = tmp_path / "server.sqlite3"
    change(file, "INSERT INTO archives VALUES (?, ?, ?, ?, ?, ?, ?)", *archived)

    kept = nightly(*arguments).out
    document = nightly.asks(*arguments)
    change(file, "UPDATE accounts SET plan = 'free'")
    free = nightly(*arguments).out

    assert "Older: 40 runs, 1970-01-01 to 1970-01-01, of which only counts are kept." in kept
    assert (document["archive"]["runs"], document["archive"]["failed"]) == (40, 1)
    assert "Older:" not in free
