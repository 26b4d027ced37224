from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "codex"
NOON = 1_795_176_000_000
FORK_WITHOUT_IDS = "01a1f7ed-6ebf-7660-9362-79e16f814bd2"
FORK = "01a1f7e3-50fe-7031-bc55-04e9c5bfde6b"


@pytest.fixture
def session(telemhq: CommandLine) -> CodexSession:
    session = CodexSession(telemhq.machine.home / "codex", NOON)
    session.turn(NOON, 1_000_000, 10)
    session.turn(NOON + 60_000, 2_000, 5)
    return session


def test_a_session_is_explained_line_by_line_and_equals_the_ledger(
    telemhq: CommandLine, session: CodexSession
) -> None:
    told = telemhq("usage", "--explain", session.thread[:13]).out

    lines = [line.split() for line in told.splitlines() if line.startswith(session.path.name)]
    content = session.path.read_text().splitlines()
    numbers = [int(line[0].rpartition(":")[2]) for line in lines]
    assert ["token_usage_record" in content[number - 1] for number in numbers].count(True) == 2
    assert "1,000,000" in told
    assert "The ledger holds the same." in told
    assert told.startswith(f"Codex session {session.thread}, line by line\n")


def test_programs_get_every_line_rule_and_sum(telemhq: CommandLine, session: CodexSession) -> None:
    envelope = telemhq("usage", "--explain", session.thread, "--json").envelope
    told = envelope["data"]
    rows = list(
        csv.DictReader(io.StringIO(telemhq("usage", "--explain", session.thread, "--csv").out))
    )

    assert envelope["schema"] == "telemhq.explanation/1"
    assert (told["source"], told["session"]) == ("codex", session.thread)
    assert told["is_equal"] is True
    assert told["counted"] == told["ledger"]
    assert (told["counted"]["responses"], told["counted"]["input_tokens"]) == (2, 1_002_000)
    assert {line["path"] for line in told["lines"]} == {str(session.path)}
    assert [row["rule"] for row in rows] == [line["rule"] for line in told["lines"]]
    counted = [int(row["input_tokens"]) for row in rows if row["verdict"] == "counted"]
    assert counted == [1_000_000, 2_000]


def test_a_log_that_is_gone_leaves_what_the_ledger_holds(
    telemhq: CommandLine, session: CodexSession
) -> None:
    telemhq("codex", "scan")
    session.path.unlink()

    told = telemhq.asks("usage", "--explain", session.thread)

    assert told["note"] == "The log is gone; the ledger holds 2 responses of it."
    assert (told["lines"], told["is_equal"]) == ([], False)
    assert told["ledger"]["input_tokens"] == 1_002_000


def test_a_log_that_lost_its_end_tells_how_much_is_missing(
    telemhq: CommandLine, session: CodexSession
) -> None:
    telemhq("codex", "scan")
    lines = session.path.read_bytes().splitlines(keepends=True)
    second = [at for at, line in enumerate(lines) if b"token_usage_record" in line][1]
    session.path.write_bytes(b"".join(lines[:second]))

    told = telemhq.asks("usage", "--explain", session.thread)

    assert "The ledger holds 1 response more than the logs tell" in told["note"]


def test_a_forks_copies_are_named_as_such(telemhq: CommandLine) -> None:
    shutil.copytree(FIXTURES / "0.145.0" / "home", telemhq.machine.home / "codex")

    told = telemhq.asks("usage", "--explain", FORK)

    rules = {(rule["verdict"], rule["rule"]): rule["lines"] for rule in told["rules"]}
    assert rules["skipped", "copied from the log it was forked from"] == 3
    assert told["is_equal"] is True


def test_a_session_of_claude_code_is_explained_too(telemhq: CommandLine) -> None:
    session = ClaudeSession(telemhq.machine.home / "claude")
    session.prompt(NOON, 4_000, 12)

    told = telemhq.asks("usage", "--explain", session.session)

    assert (told["source"], told["is_equal"]) == ("claude", True)
    assert told["counted"]["output_tokens"] == 12
    assert told["ledger"]["responses"] == 1


def test_an_id_of_nobody_or_of_several_is_refused_with_a_next_step(
    telemhq: CommandLine, session: CodexSession
) -> None:
    shutil.copytree(
        FIXTURES / "0.145.0" / "home", telemhq.machine.home / "codex", dirs_exist_ok=True
    )

    nobody = telemhq("usage", "--explain", "nobody", code=2)
    several = telemhq("usage", "--explain", "01a1f7e", code=2)

    assert "No session or thread begins with 'nobody'." in nobody.complaint
    assert "'01a1f7e' may be any of 01a1f7e" in several.complaint
    assert "telemhq usage --local --by session" in nobody.complaint
    assert session.path.exists()


@pytest.mark.parametrize("other", [["--mine"], ["--by", "day"], ["--reprice"], ["--since", "1d"]])
def test_an_explanation_is_of_one_session_alone(telemhq: CommandLine, other: list[str]) -> None:
    assert "--explain goes with" in telemhq("usage", "--explain", "x", *other, code=2).complaint


def test_what_is_an_estimate_is_said_beside_the_figures_with_the_reason(
    telemhq: CommandLine,
) -> None:
    home = telemhq.machine.home / "codex"
    shutil.copytree(FIXTURES / "0.98.0" / "home", home)
    (fork,) = home.rglob(f"*{FORK_WITHOUT_IDS}.jsonl")
    parent = json.loads(fork.read_bytes().split(b"\n")[0])["payload"]["forked_from_id"]
    (gone,) = home.rglob(f"*{parent}.jsonl")
    gone.unlink()

    told = telemhq.asks("usage", "--local", "--by", "thread")
    shown = telemhq("usage", "--local", "--by", "source").out

    of_fork = next(row for row in told["rows"] if row["thread"] == FORK_WITHOUT_IDS)
    assert told["estimates"] == [
        {
            "source": "codex",
            "reason": "the log it was forked from is gone",
            "responses": of_fork["responses"],
            "tokens": of_fork["total_tokens"],
            "models": ["gpt-5-mini"],
        }
    ]
    assert [row["estimated"] for row in told["rows"]].count(True) == 1
    assert of_fork["estimated"]
    assert f"of Codex (gpt-5-mini; {of_fork['total_tokens']:,} tokens)" in shown
    assert "estimate" in shown
    assert "the log it was forked from is gone" in shown
