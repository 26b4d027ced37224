"""A frame of `telemhq top`: it fills the screen and no more, and what matters most stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.resources import Run, Tracker, TrackerState
from telemhq_agents.contract.sessions import Outcome, Session
from telemhq_agents.contract.usage_report import UsageRow
from telemhq_cli.render.top import Spend, There, Top, TrackedRun, change, document, lines

NOW = from_iso("2026-11-20T16:52:07Z")
MINUTE = 60_000
RIGA = ZoneInfo("Europe/Riga")
DOLLAR = 1_000_000_000


def session(project: str, ago_ms: int, **more: Any) -> Session:
    fields: dict[str, Any] = {
        "session": project,
        "source": "claude",
        "began_at": to_iso(NOW - ago_ms - 30 * MINUTE),
        "ended_at": to_iso(NOW - ago_ms),
        "projects": [project],
        "models": ["claude-opus-4-8"],
        "total_tokens": 1_234_567,
        "cost_usd": 3.2,
        "runs": 1,
    }
    return Session(**{**fields, **more})


def run(tracker: str, ago_ms: int, **more: Any) -> TrackedRun:
    at = to_iso(NOW - ago_ms)
    fields: dict[str, Any] = {
        **dict.fromkeys(("provider", "source", "session_id", "thread_id"), ""),
        **dict.fromkeys(("cached_input_tokens", "cache_write_tokens", "reasoning_tokens"), 0),
        "id": "1",
        "kind": "run",
        "received_at": at,
        "ended_at": at,
        "status": "success",
        "failed": False,
        "model": "gpt-5.4",
        "project": "reports",
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2_000,
        "cost_usd": 0.25,
        "duration_ms": 61_000,
    }
    return TrackedRun(tracker, Run(**{**fields, **more}))


def failing(name: str, ago_ms: int, cause: str = "missed") -> Tracker:
    return Tracker(
        id=name,
        account="1",
        name=name,
        ping_url="https://example.com/ping/secret",
        state=TrackerState.FAILING,
        owner="ada@example.com",
        created_at="2026-01-01T00:00:00.000Z",
        failing_since=to_iso(NOW - ago_ms),
        cause=cause,
    )


SPEND = Spend(
    Amounts(runs=34, failures=2, total_tokens=1_234_567, cost_nano=12 * DOLLAR),
    Amounts(runs=20, total_tokens=1_000_000, cost_nano=10 * DOLLAR),
    from_iso("2026-11-19T17:00:00Z"),
)
PARTS = (
    UsageRow(("web-app",), Amounts(runs=30, total_tokens=1_200_000, cost_nano=11 * DOLLAR)),
    UsageRow(("",), Amounts(runs=4, failures=2, total_tokens=34_567, cost_nano=DOLLAR)),
)
SESSIONS = (
    session("web-app", 12_000, outcome=Outcome.RUNNING),
    session("billing-api", 3 * MINUTE, outcome=Outcome.RUNNING, source="codex"),
    session("docs", 45 * MINUTE, outcome=Outcome.FAILED, failure="rate_limit"),
)
THERE = There(
    "https://telemhq.example.com",
    asked_ms=NOW - 4_000,
    trackers=7,
    failing=(failing("nightly-report", 90 * MINUTE), failing("sync", 26 * 60 * MINUTE, "payload")),
    runs=(run("cron", 30_000), run("nightly-report", 90 * MINUTE, status="error", cost_usd=None)),
)
ALONE = Top(NOW, RIGA, "this machine", SPEND, "project", PARTS, SESSIONS)
CONNECTED = replace(ALONE, there=THERE)


def text(top: Top, width: int, height: int | None, *, ascii_only: bool = False) -> str:
    found = lines(top, width, height, ascii_only=ascii_only)
    return "\n".join(line.plain.rstrip() for line in found)


SMALL = """\
telemhq top · this machine                                   Fri 20 Nov 18:52:07

Today  $12.00  1.2M tokens, 34 runs, 2 failed
       yesterday by 19:00: $10.00, 1.0M tokens  +20%

Failing trackers: 2  Since         Why      Owner
nightly-report       17:22         missed   ada@example.com
sync                 19 Nov 16:52  payload  ada@example.com

Running: 2   Agent   Model            Since    Ago  Tokens   Cost
web-app      Claude  claude-opus-4-8  18:21   12 s    1.2M  $3.20
billing-api  Codex   claude-opus-4-8  18:19  3 min    1.2M  $3.20

Latest runs      Ago  Status   Project  Model          Took  Tokens     Cost
cron            30 s  success  reports  gpt-5.4  1 min 01 s    2.0k  $0.2500
nightly-report   1 h  error    reports  gpt-5.4  1 min 01 s    2.0k

Today by project  Runs  Failed  Tokens    Cost
web-app             30       0    1.2M  $11.00
(none)               4       2   34.6k   $1.00


"""


def test_a_small_terminal_shows_all_of_a_quiet_day() -> None:
    assert text(CONNECTED, 80, 23) == SMALL


@pytest.mark.parametrize("size", [(80, 23), (160, 49), (40, 10), (20, 4), (20, 1), (300, 100)])
@pytest.mark.parametrize("top", [ALONE, CONNECTED], ids=["alone", "connected"])
def test_a_frame_is_as_large_as_the_screen(top: Top, size: tuple[int, int]) -> None:
    width, height = size
    many = replace(top, sessions=SESSIONS * 20, parts=PARTS * 20, notes=("a problem " * 30,))

    found = lines(many, width, height, ascii_only=False)

    assert len(found) == height
    assert max(line.cell_len for line in found) <= width


def test_without_a_login_the_latest_sessions_stand_for_the_latest_runs() -> None:
    shown = text(ALONE, 80, 23)

    assert "Failing trackers" not in shown
    assert "Latest runs" not in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("docs ")]
    assert row.split() == [
        *("docs", "Claude", "claude-opus-4-8", "45", "min", "1.2M", "$3.20", "rate_limit")
    ]


def test_a_large_terminal_shows_whole_names() -> None:
    long = "a-project-with-a-name-that-is-rather-long-for-a-small-terminal"
    top = replace(ALONE, sessions=(session(long, 0, outcome=Outcome.RUNNING),))

    assert long in text(top, 160, 49)
    assert long not in text(top, 80, 23)
    assert long[:10] in text(top, 80, 23)


def test_what_has_no_room_is_counted() -> None:
    running = [session(f"p{at}", 0, outcome=Outcome.RUNNING) for at in range(30)]
    shown = text(replace(ALONE, sessions=tuple(running)), 80, 23)

    visible = [name for name in (f"p{at}" for at in range(30)) if f"\n{name} " in shown]
    assert "Running: 30" in shown
    assert f"  … {30 - len(visible)} more" in shown
    assert len(visible) > 5


def test_failing_trackers_give_up_their_lines_last() -> None:
    bad = tuple(failing(f"job{at}", at * MINUTE) for at in range(8))
    top = replace(CONNECTED, there=replace(THERE, failing=bad), sessions=SESSIONS * 20)

    shown = text(top, 80, 23)

    assert all(f"\njob{at} " in shown for at in range(8))
    assert "Running: 40" in shown


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (There("https://x"), "Asking the server …"),
        (There("https://x", problem="https://x cannot be reached."), "The server cannot be asked."),
        (There("https://x", asked_ms=NOW, trackers=1), "None of 1 tracker."),
    ],
)
def test_a_server_that_says_nothing_yet_is_no_server_without_failures(
    there: There, expected: str
) -> None:
    assert expected in text(replace(ALONE, there=there), 80, 23)


def test_a_day_without_anything_says_so() -> None:
    empty = Spend(Amounts(), Amounts(), SPEND.before_until_ms)
    shown = text(replace(ALONE, spend=empty, parts=(), sessions=()), 80, 23)

    assert "Today  $0.00  0 tokens, 0 runs, 0 failed" in shown
    assert "yesterday by 19:00: $0.00, 0 tokens\n" in shown
    assert "Running: 0\n  Nothing runs here." in shown
    assert "Latest sessions\n  None today." in shown
    assert "Today by project\n  Nothing used yet today." in shown


def test_a_team_has_no_sessions_of_this_machine() -> None:
    top = replace(CONNECTED, whose="Engines", part="member", sessions=None)

    shown = text(top, 80, 23)

    assert shown.startswith("telemhq top · Engines ")
    assert "Today by member" in shown
    assert "Running" not in shown


def test_in_ascii_every_character_is() -> None:
    odd = replace(ALONE, sessions=(session("наш-проект", 0, outcome=Outcome.RUNNING),))

    shown = text(odd, 80, 23, ascii_only=True)

    assert shown.isascii()
    assert "telemhq top - this machine" in shown
    assert "???-??????" in shown


def test_in_ascii_columns_stay_where_they_are() -> None:
    wide = session("日本語", 0, outcome=Outcome.RUNNING)
    plain = session("nihongo", 0, outcome=Outcome.RUNNING)

    shown = text(replace(ALONE, sessions=(wide, plain)), 80, None, ascii_only=True)

    first, second = (
        next(line for line in shown.splitlines() if line.startswith(name))
        for name in ("??????", "nihongo")
    )
    assert first[7:] == second[7:]


def test_names_cannot_steer_the_terminal() -> None:
    evil = session("a\x1b[2Jb", 0, outcome=Outcome.RUNNING, models=["m\nn"])

    shown = text(replace(ALONE, sessions=(evil,), notes=("x\x1b]0;y",)), 80, None)

    assert "\x1b" not in shown
    assert "a\N{REPLACEMENT CHARACTER}[2Jb" in shown


def test_printed_once_the_reason_why_a_server_says_nothing_is_told_to_its_end() -> None:
    problem = f"http://127.0.0.1:1 cannot be reached: {'very ' * 30}far off."
    shown = text(replace(ALONE, there=There("http://127.0.0.1:1", problem=problem)), 80, None)

    assert "".join(shown.split()).endswith("".join(problem.split()))
    assert max(map(len, shown.splitlines())) <= 80


def test_printed_once_a_frame_takes_as_many_lines_as_it_needs() -> None:
    shown = text(replace(ALONE, sessions=SESSIONS * 20), 80, None)

    assert shown.count("\nweb-app  ") == 21
    assert "more" not in shown


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(12, 10, "+20%"), (5, 10, "-50%"), (10, 10, "+0%"), (10, 0, ""), (0, 0, "")],
)
def test_the_change_is_told_where_there_is_something_to_compare_with(
    now: int, before: int, expected: str
) -> None:
    assert change(now, before) == expected


def test_the_document_holds_what_is_drawn() -> None:
    found = document(CONNECTED)

    assert found["schema"] == "telemhq.top/1"
    assert (found["today"]["cost_usd"], found["yesterday_by_now"]["cost_usd"]) == (12.0, 10.0)
    assert [one["project"] for one in found["by_project"]] == ["web-app", ""]
    assert [one.projects for one in found["running"]] == [["web-app"], ["billing-api"]]
    assert [one.projects for one in found["latest"]] == [["docs"]]
    assert found["server"]["trackers"] == 7
    assert [one["tracker"] for one in found["server"]["runs"]] == ["cron", "nightly-report"]
