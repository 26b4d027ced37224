"""`telemhq ledger …`, and `usage --reprice`, on a machine with logs."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.clock import from_iso
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine

NOON = from_iso("2026-03-01T12:00:00Z")


@pytest.fixture
def logs(telemhq: CommandLine) -> CommandLine:
    """A Codex turn and a Claude Code prompt, booked. GPT-5.4 costs 2.50 / 15 (OpenAI's list)."""
    CodexSession(telemhq.machine.home / "codex", NOON).turn(NOON, 100_000, 10)
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 500, 20)
    telemhq("usage")
    return telemhq


def total(telemhq: CommandLine) -> Any:
    return telemhq.asks("usage")["total"]


def test_an_export_moves_history_to_another_machine(logs: CommandLine, people: Any) -> None:
    exported = logs("ledger", "export", "-").out
    file = logs.machine.home / "export.jsonl"
    file.write_text(exported)

    other = people("other")
    done = other.asks("ledger", "import", str(file))
    again = other("ledger", "import", str(file))

    assert (done["new_facts"], done["turns"], done["is_own"]) == (2, 2, False)
    assert "0 new responses" in again.out
    assert "another machine's" in again.out
    assert total(other) == total(logs)


def test_a_reader_of_an_export_may_go_before_its_end(telemhq: CommandLine) -> None:
    session = CodexSession(telemhq.machine.home / "codex", NOON)
    for number in range(100):  # more than a pipe's writer holds back
        session.turn(NOON + number * 60_000, 1000, 10)
    telemhq("usage")

    reader, writer = os.pipe()
    os.close(reader)
    export = subprocess.run(
        [sys.executable, "-m", "telemhq_cli.main", "ledger", "export", "-"],
        env=telemhq.machine.environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert export.stderr == b""


def test_an_export_without_a_name_lies_with_the_backups_for_its_owner_alone(
    logs: CommandLine,
) -> None:
    exported = logs.asks("ledger", "export")
    copied = logs.asks("ledger", "backup")

    from pathlib import Path

    for name, suffix in ((exported["file"], ".jsonl"), (copied["file"], ".sqlite3")):
        file = Path(name)
        assert file.parent == logs.machine.ours / "backups"
        assert file.suffix == suffix
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert exported["lines"] == len(Path(exported["file"]).read_text().splitlines())
    assert copied["bytes"] == Path(copied["file"]).stat().st_size
    assert logs.asks("ledger", "import", exported["file"])["new_facts"] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "not whole"),
        ("no json\n", "old.jsonl, line 1: "),
        ('{"line":"ledger","version":9,"device":"x","made":""}\n', "version 9"),
    ],
)
def test_an_import_that_cannot_be_ends_with_2_and_says_why(
    logs: CommandLine, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "old.jsonl"
    if content is not None:
        file.write_text(content)
    before = total(logs)

    done = logs("ledger", "import", str(file), code=2)

    assert said in done.complaint
    assert total(logs) == before


def test_no_prompt_and_no_secret_is_in_an_export(logs: CommandLine) -> None:
    text = logs("ledger", "export", "-").out

    assert "a made-up prompt" not in text
    assert json.loads(text.splitlines()[0])["line"] == "ledger"


def test_a_whole_ledger_is_said_to_be_whole(logs: CommandLine) -> None:
    done = logs("ledger", "verify")

    assert "The ledger is whole: 2 responses and 2 turns come to its sums." in done.out
    assert logs.asks("ledger", "verify") == {
        "whole": True,
        "responses": 2,
        "turns": 2,
        "findings": [],
    }


def test_a_wrong_sum_is_shown_with_what_to_do_and_repaired(logs: CommandLine) -> None:
    right = total(logs)
    connection = sqlite3.connect(logs.machine.ours / "ledger.sqlite3", isolation_level=None)
    connection.execute("UPDATE buckets SET output_tokens = 7777 WHERE model = 'gpt-5.4'")
    connection.close()

    found = logs("ledger", "verify", "--csv", code=1)
    (row,) = csv.DictReader(io.StringIO(found.out))
    repaired = logs("ledger", "verify", "--repair", "--csv")
    (mended,) = csv.DictReader(io.StringIO(repaired.out))

    assert (row["what"], row["problem"], row["state"]) == (
        *("sum", "output_tokens 7777, not 10", "wrong"),
    )
    assert "gpt-5.4" in row["where"]
    assert row["to_do"] == "telemhq ledger verify --repair recomputes it"
    assert (mended["problem"], mended["state"]) == ("output_tokens 7777, not 10", "repaired")
    assert total(logs) == right
    assert "is whole" in logs("ledger", "verify").out


def test_a_file_that_is_no_ledger_is_told_by_verify_and_left(logs: CommandLine) -> None:
    ledger = logs.machine.ours / "ledger.sqlite3"
    ledger.write_bytes(b"no database" * 1000)

    done = logs("ledger", "verify", code=1)

    assert "damaged" in done.out
    assert "--repair" in done.out
    assert ledger.read_bytes() == b"no database" * 1000


def test_an_import_waits_for_nobody_who_reads_logs_for_long(
    logs: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from telemhq_agents.ledger import locks
    from telemhq_cli.commands import ledger

    monkeypatch.setattr(ledger, "WAIT_S", 0.05)
    file = tmp_path / "e.jsonl"
    logs("ledger", "export", str(file))

    with locks.held(logs.machine.ours / "locks" / "booking.lock", 0) as got:
        assert got
        done = logs("ledger", "import", str(file), code=1)

    assert "Another process reads the logs" in done.complaint


# Prices that changed


def test_repricing_shows_the_difference_by_model_and_keeps_the_cost(logs: CommandLine) -> None:
    before = total(logs)
    logs("prices", "set", "gpt-5.4", "--input", "5", "--output", "15")

    text = logs("usage", "--reprice").out
    envelope = logs("usage", "--reprice", "--by", "project", "--json").envelope
    document = envelope["data"]
    rows = list(csv.DictReader(io.StringIO(logs("usage", "--reprice", "--csv").out)))

    assert "gpt-5.4" in text
    assert "+$0.25" in text
    assert envelope["schema"] == "telemhq.reprice/1"
    assert document["group_by"] == ["project", "model"]
    (codex,) = [row for row in document["rows"] if row["model"] == "gpt-5.4"]
    assert (codex["cost_usd"], codex["repriced_usd"]) == (0.25015, 0.50015)
    assert codex["difference_usd"] == 0.25
    assert document["total"]["difference_usd"] == 0.25
    assert {row["model"]: float(row["difference_usd"]) for row in rows} == {
        "gpt-5.4": 0.25,
        "claude-opus-4-8": 0.0,
    }
    assert total(logs) == before


def test_repricing_names_models_that_have_no_price_today(telemhq: CommandLine) -> None:
    session = CodexSession(telemhq.machine.home / "codex", NOON)
    session.turn(NOON, 1_000_000, 10)
    session.path.write_text(session.path.read_text().replace("gpt-5.4", "in-house-1"))

    text = telemhq("usage", "--reprice").out
    telemhq("prices", "set", "in-house-1", "--input", "2", "--output", "0")
    document = telemhq.asks("usage", "--reprice")

    assert "No price is known for in-house-1" in text
    (row,) = document["rows"]
    assert (row["unpriced_tokens"], row["still_unpriced_tokens"]) == (1_000_010, 0)
    assert (row["cost_usd"], row["repriced_usd"]) == (0.0, 2.0)


def test_repricing_is_about_this_machine_alone(telemhq: CommandLine) -> None:
    done = telemhq("usage", "--reprice", "--team", code=2)

    assert "--local" in done.complaint
    assert "tracker" in telemhq("usage", "--reprice", "--by", "tracker", code=2).complaint


def test_models_without_a_price_are_named_in_every_form(telemhq: CommandLine) -> None:
    session = CodexSession(telemhq.machine.home / "codex", NOON)
    session.turn(NOON, 1_000_000, 10)
    session.path.write_text(session.path.read_text().replace("gpt-5.4", "in-house-1"))
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 500, 20)

    for by in ([], ["--by", "source"], ["--by", "day"], ["--by", "model"]):
        document = telemhq.asks("usage", *by)
        rows = list(csv.DictReader(io.StringIO(telemhq("usage", *by, "--csv").out)))

        assert document["unpriced_models"] == [{"model": "in-house-1", "tokens": 1_000_010}]
        assert [row["unpriced_models"] for row in rows if int(row["unpriced_tokens"])] == [
            "in-house-1"
        ]
        assert all(not row["unpriced_models"] for row in rows if not int(row["unpriced_tokens"]))
        assert "in-house-1" in telemhq("usage", *by).out
