"""`telemhq usage export`: files that other programs read, whole and harmless."""

from __future__ import annotations

import csv
import io
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.clock import from_iso
from telemhq_cli.render.exporting import FileFormat, Rows, written
from telemhq_cli.render.spreadsheet import defused
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

NOON = from_iso("2026-03-02T12:00:00Z")
DAY = 24 * 3600 * 1000


@pytest.fixture
def worked(telemhq: CommandLine) -> CommandLine:
    codex = CodexSession(telemhq.machine.home / "codex", NOON)
    codex.turn(NOON, 1_000_000, 10)
    codex.turn(NOON + DAY, 200_000, 5)
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 500, 20)
    return telemhq


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def export(telemhq: CommandLine, *options: str) -> str:
    return telemhq("usage", "export", "--timezone", "UTC", *options).out


def test_a_report_is_exported_by_day_project_and_model(worked: CommandLine) -> None:
    found = rows(export(worked))

    assert [(one["day"], one["project"], one["model"], one["total_tokens"]) for one in found] == [
        ("2026-03-02", "billing", "claude-opus-4-8", "520"),
        ("2026-03-02", "billing", "gpt-5.4", "1000010"),
        ("2026-03-03", "billing", "gpt-5.4", "200005"),
    ]


def test_every_form_says_the_same(worked: CommandLine) -> None:
    document = json.loads(export(worked, "--format", "json"))
    assert document["schema"] == "telemhq.usage/1"
    assert (document["messages"], document["error"]) == ([], None)
    wanted = document["data"]["rows"]

    lines = [json.loads(line) for line in export(worked, "--format", "jsonl").splitlines()]
    assert lines == wanted
    assert [list(one.values()) for one in rows(export(worked))] == [
        [str(value) for value in one.values()] for one in wanted
    ]
    assert table(export(worked, "--format", "markdown")) == [
        {name: str(value) for name, value in one.items()} for one in wanted
    ]
    assert document["data"]["total"] == worked.asks("usage")["total"]


def table(text: str) -> list[dict[str, str]]:
    """Read a table as GitHub's Markdown does: a row for each line, a cell for each bare pipe."""
    lines = [
        [cell.replace("\0", "|").strip() for cell in line.replace("\\|", "\0").split("|")[1:-1]]
        for line in text.splitlines()
    ]
    head, rule, *body = lines
    assert all(set(cell) <= {"-", ":"} and "---" in cell for cell in rule)
    return [dict(zip(head, line, strict=True)) for line in body]


def test_groups_are_chosen_and_a_wrong_one_is_named(worked: CommandLine) -> None:
    assert list(rows(export(worked, "--by", "source,day"))[0])[:2] == ["source", "day"]
    assert list(rows(export(worked, "--by", "source", "--by", "day"))[0])[:2] == ["source", "day"]

    wrong = worked("usage", "export", "--by", "projct", code=2)
    assert "Unknown group 'projct'" in wrong.complaint
    assert "did you mean 'project'?" in wrong.complaint
    for slip in ("day,day", "", ",", "day,"):
        worked("usage", "export", "--by", slip, code=2)
    worked("usage", "export", "--by", "day", "--what", "turns", code=2)


def test_sessions_and_turns_add_up_to_the_report(worked: CommandLine) -> None:
    report = worked.asks("usage")["total"]
    for what, count in (("sessions", 2), ("turns", 3)):
        found = rows(export(worked, "--what", what))
        assert len(found) == count
        for figure in ("runs", "total_tokens", "responses"):
            assert sum(int(one[figure]) for one in found) == report[figure], (what, figure)
        cost = round(sum(float(one["cost_usd"]) for one in found), 9)
        assert cost == report["cost_usd"]
    narrowed = rows(export(worked, "--what", "turns", "--since", "2026-03-03"))
    assert [one["total_tokens"] for one in narrowed] == ["200005"]


@pytest.mark.parametrize("what", ["sessions", "turns"])
def test_single_things_have_a_document_of_their_own(worked: CommandLine, what: str) -> None:
    document = json.loads(export(worked, "--what", what, "--format", "json"))
    lines = [
        json.loads(one) for one in export(worked, "--what", what, "--format", "jsonl").splitlines()
    ]

    assert document["schema"] == f"telemhq.{what}/1"
    assert document["data"][what] == lines
    assert len(table(export(worked, "--what", what, "--format", "markdown"))) == len(lines)


def test_a_server_exports_what_this_machine_does(
    telemhq: CommandLine, server: RunningServer
) -> None:
    at = clock.now_ms() - DAY
    codex = CodexSession(telemhq.machine.home / "codex", at)
    codex.turn(at, 1_000_000, 10)
    codex.turn(at + 1000, 5, 5)
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    telemhq("agent", "once", "--backfill")

    assert export(telemhq, "--team") == export(telemhq)
    for what in ("sessions", "turns"):
        ours, theirs = (
            rows(export(telemhq, "--what", what, whose)) for whose in ("--local", "--mine")
        )
        assert [one["total_tokens"] for one in theirs] == [one["total_tokens"] for one in ours]
        assert [one["cost_usd"] for one in theirs] == [one["cost_usd"] for one in ours]
        assert {one["member"] for one in theirs} == {"ada@example.com"}


# Files


def test_a_file_is_written_whole_and_readable_by_its_owner_alone(
    worked: CommandLine, tmp_path: Path
) -> None:
    target = tmp_path / "usage.csv"

    done = worked("usage", "export", "--timezone", "UTC", "--output", str(target))

    assert done.out == f"3 rows written to {target}.\n"
    assert target.read_text() == export(worked)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["usage.csv"]


def test_a_file_that_is_there_stays_unless_forced(worked: CommandLine, tmp_path: Path) -> None:
    target = tmp_path / "usage.csv"
    target.write_text("mine\n")

    done = worked("usage", "export", "-o", str(target), code=2)

    assert "is there already" in done.complaint
    assert "--force" in done.complaint
    assert target.read_text() == "mine\n"
    worked("usage", "export", "-o", str(target), "--force")
    assert target.read_text().startswith("day,project,model,")


def test_through_a_link_its_file_is_replaced_and_the_link_stays(
    worked: CommandLine, tmp_path: Path
) -> None:
    target, link = tmp_path / "usage.csv", tmp_path / "latest.csv"
    target.write_text("old\n")
    link.symlink_to(target)

    worked("usage", "export", "-o", str(link), "--force")

    assert link.is_symlink()
    assert target.read_text().startswith("day,")


@pytest.mark.parametrize("name", ["", "no/such/directory/usage.csv", "/dev/null", "."])
def test_what_cannot_be_a_file_is_refused(worked: CommandLine, tmp_path: Path, name: str) -> None:
    target = str(tmp_path / name) if name else str(tmp_path)

    worked("usage", "export", "--output", target, "--force", code=2)


def test_a_dash_is_stdout(worked: CommandLine) -> None:
    assert export(worked, "--output", "-") == export(worked)


def test_no_command_writes_a_formula(telemhq: CommandLine) -> None:
    CodexSession(telemhq.machine.home / "codex", NOON).turn(NOON, 1_000_000, 10)
    path = next((telemhq.machine.home / "codex").rglob("*.jsonl"))
    path.write_text(path.read_text().replace("gpt-5.4", "=1+1"))

    for command in (("--by", "model"), ("sessions",), ("trend",), ("export",)):
        cells = next(csv.reader(io.StringIO(found(telemhq, *command).split("\n", 1)[1])))
        assert "'=1+1" in cells
        assert "1000010" in cells


def found(telemhq: CommandLine, *command: str) -> str:
    return telemhq("usage", *command, *(() if command == ("export",) else ("--csv",))).out


def test_a_column_named_by_a_payload_is_no_formula_either() -> None:
    what = Rows(["=1+1"], [{"=1+1": -2}], {})

    assert written(what, FileFormat.CSV) == "'=1+1\n-2\n"


# Cells

CELLS: list[tuple[Any, Any]] = [
    ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
    ("+1", "'+1"),
    ("-1", "'-1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\tx", "'\tx"),
    ("\rx", "'\rx"),
    ("\nx", "'\nx"),
    ("\uff1dx", "'\uff1dx"),
    ("a=b", "a=b"),
    ("'=x", "'=x"),
    ("", ""),
    (-1, -1),
    (-0.5, -0.5),
]


@pytest.mark.parametrize(("cell", "expected"), CELLS)
def test_no_text_becomes_a_formula_and_numbers_stay_numbers(cell: Any, expected: Any) -> None:
    assert defused(cell) == expected


def test_names_from_outside_cannot_break_a_csv() -> None:
    names = ["=1+1", 'a"b', "a,b", "a\nb", "plain"]
    what = Rows(["project", "runs"], [{"project": name, "runs": -1} for name in names], {})

    found = list(csv.reader(io.StringIO(written(what, FileFormat.CSV))))

    assert found[1:] == [[name, "-1"] for name in ["'=1+1", *names[1:]]]


def test_names_from_outside_cannot_break_a_markdown_table() -> None:
    names = ["a|b", "a\\|b", "a\r\nb", "<script>", "`x`", "[x](y)", "\x1b[31m", "tab\there"]
    what = Rows(["project", "runs"], [{"project": name, "runs": 1} for name in names], {})

    text = written(what, FileFormat.MARKDOWN)

    assert text.splitlines()[:2] == ["| project | runs |", "| --- | ---: |"]
    assert len(text.splitlines()) == 2 + len(names)
    for line in text.splitlines():
        bare = line.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 3, line
    assert "<script" not in text
    assert "\x1b" not in text


def test_lists_and_counts_are_one_cell() -> None:
    row = {"models": ["a", "b"], "tools": {"Bash": 2, "Edit": 1}, "none": None}
    what = Rows(list(row), [row], {})

    assert written(what, FileFormat.CSV) == "models,tools,none\na; b,Bash 2; Edit 1,\n"


def test_nothing_is_a_file_without_rows(telemhq: CommandLine) -> None:
    assert export(telemhq, "--format", "jsonl") == ""
    assert len(export(telemhq).splitlines()) == 1
    assert len(export(telemhq, "--format", "markdown").splitlines()) == 2
    assert json.loads(export(telemhq, "--format", "json"))["data"]["rows"] == []
