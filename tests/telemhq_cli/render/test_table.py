from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.resources import ApiKey, Run, Tracker, TrackerState
from telemhq_agents.contract.usage_report import UsageReport, UsageRow
from telemhq_agents.errors import TelemhqError
from telemhq_cli.render import nouns, output, screen, usage, usage_document
from telemhq_cli.render.output import Form
from telemhq_cli.render.table import EXTRA, Column, Table
from telemhq_cli.render.terminal import print_boxed
from telemhq_cli.render.voice import complain, warn
from telemhq_cli.render.words import whole
from telemhq_cli.reports.lines import shown_of
from tests.envelopes import data_of

COLUMNS = (Column("name", "Name"), Column("tokens", "Tokens", whole, is_figure=True))
TABLE = Table(COLUMNS, [("alpha", 1234567), ("be, ta", 8)], total=("Total", 1234575))

BIG = Amounts(
    runs=12_345,
    failures=1_234,
    input_tokens=74_123_456_789,
    cached_input_tokens=70_123_456_789,
    output_tokens=1_123_456_789,
    cost_nano=123_456_789_000_000,
)
BY_SESSION = UsageReport(
    ("session", "model"),
    (UsageRow(("0199a213-81c0-7800-8aa1-bbab2a035a53", "gpt-5.2-codex-max"), BIG),),
    BIG,
)


def lines_at(width: int, table: Table) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    print_boxed(table, console)
    return stream.getvalue().splitlines()


def test_a_plain_table_is_aligned_with_figures_on_the_right() -> None:
    assert TABLE.lines() == [
        "Name       Tokens",
        "-----------------",
        "alpha   1,234,567",
        "be, ta          8",
        "-----------------",
        "Total   1,234,575",
    ]


def test_csv_holds_raw_figures_and_no_total(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(TABLE, Form.CSV)

    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [["name", "tokens"], ["alpha", "1234567"], ["be, ta", "8"]]


def test_json_holds_one_object_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(TABLE, Form.JSON)

    assert data_of(capsys.readouterr().out) == [
        {"name": "alpha", "tokens": 1234567},
        {"name": "be, ta", "tokens": 8},
    ]


def test_text_that_is_not_for_a_terminal_has_no_box_and_no_colour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.show_table(TABLE, Form.TEXT)

    assert capsys.readouterr().out == "\n".join(TABLE.lines()) + "\n"


def test_an_empty_table_says_so() -> None:
    assert Table(COLUMNS, [], empty="No trackers yet.").lines() == ["No trackers yet."]


def test_a_terminal_of_80_columns_folds_long_names_and_cuts_no_figure() -> None:
    lines = lines_at(80, usage.for_people(BY_SESSION))

    assert max(map(len, lines)) <= 80
    shown = next(line for line in lines if "0199a" in line)
    for figure in ("12.3k", "1.2k", "74.1B", "1.1B", "$123,456.79"):
        assert figure in shown
    folded = "".join(line.split()[0] for line in lines[2:] if line.strip())
    assert "0199a213-81c0-7800-8aa1-bbab2a035a53" in folded
    assert "…" not in "".join(lines)
    assert lines[-1].strip() == (
        "Left out for want of room: Cached, Share; --csv and --json leave nothing out."
    )


LONG_MODEL, LONG_PROJECT, LONG_ID = "claude-opus-4-20250514-xl", "billing-reconciler-2", 7 * 10**18
WHEN = "2026-11-20T10:51:07.123Z"


def test_usage_at_80_columns_has_its_projects_and_models_in_full() -> None:
    amounts = Amounts(runs=12, input_tokens=74_123_456, output_tokens=1_123_456, cost_nano=10**12)
    row = UsageRow((LONG_PROJECT, LONG_MODEL), amounts)

    lines = lines_at(80, usage.for_people(UsageReport(("project", "model"), (row,), amounts)))

    [shown] = [line for line in lines if LONG_PROJECT in line]
    assert shown.split() == [LONG_PROJECT, LONG_MODEL, "12", "74.1M", "1.1M", "$1,000.00"]
    assert max(map(len, lines)) <= 80


def test_keys_at_80_columns_have_their_ids_in_full() -> None:
    found = [ApiKey(str(LONG_ID), LONG_PROJECT, "thq_abcd", WHEN, WHEN, WHEN)]

    lines = lines_at(80, nouns.keys(found).for_people())

    [shown] = [line for line in lines if str(LONG_ID) in line]
    assert LONG_PROJECT in shown
    assert shown.count("2026-11-20 10:51Z") == 2
    assert max(map(len, lines)) <= 80


def test_trackers_at_80_columns_have_their_names_ids_and_times_in_full() -> None:
    made = Tracker(
        *(str(LONG_ID), "1", "Claude Code on build-7", "", TrackerState.ACTIVE),
        *("somebody.with.a.name@example.com", WHEN),
        last_run_at=WHEN,
        last_status="success",
        runs=1234,
    )

    lines = lines_at(80, nouns.trackers([made, made]).for_people())

    shown = [line for line in lines if str(LONG_ID) in line]
    assert len(shown) == 2
    assert "Claude Code on build-7" in shown[0]
    assert "2026-11-20 10:51Z" in shown[0]
    assert max(map(len, lines)) <= 80
    assert "Owner" in lines[-1]


def run_that_ended(payload: dict[str, Any]) -> Run:
    return Run(
        *("1", "run", WHEN, WHEN, "error", True, "", LONG_MODEL, LONG_PROJECT, "", "", ""),
        *(1, 0, 0, 0, 0, 1, 0.25, 61_000, payload),
    )


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"exit_code": 3}, "exit 3"),
        ({"exit_code": 0}, "exit 0"),
        ({"signal": "SIGKILL"}, "SIGKILL"),
        ({"signal": 9, "exit_code": [3]}, ""),
        ({}, ""),
    ],
)
def test_a_run_tells_how_its_job_ended(payload: dict[str, Any], shown: str) -> None:
    [record] = nouns.runs([run_that_ended(payload)]).records()

    assert record["ended"] == shown


def test_runs_at_80_columns_show_how_they_ended() -> None:
    lines = lines_at(80, nouns.runs([run_that_ended({"signal": "SIGKILL"})]).for_people())

    assert any("2026-11-20 10:51Z" in line and "SIGKILL" in line for line in lines)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= 80


def test_a_wide_terminal_shows_thousands_separators_and_uncut_names() -> None:
    shown = "\n".join(lines_at(160, usage.for_people(BY_SESSION)))

    assert "0199a213-81c0-7800-8aa1-bbab2a035a53" in shown
    assert "74,123,456,789" in shown


def test_brackets_in_a_name_are_no_markup() -> None:
    table = Table(COLUMNS, [("[red]x[/red]", 1)])

    assert any("[red]x[/red]" in line for line in lines_at(80, table))


def test_a_report_without_prices_names_the_models() -> None:
    priced = Amounts(runs=1, cost_nano=2_000_000_000)
    unpriced = Amounts(runs=1, unpriced_tokens=500)
    report = UsageReport(
        ("model",),
        (UsageRow(("gpt-5",), priced), UsageRow(("in-house-1",), unpriced)),
        priced + unpriced,
    )

    lines = usage.for_people(report, notes=(usage.without_price(report),)).lines()

    assert any(line.startswith("in-house-1") and line.endswith("unpriced*") for line in lines)
    assert any(line.startswith("Total") and line.endswith("$2.00*") for line in lines)
    assert (
        lines[-1]
        == "* No price is known for in-house-1. Next: telemhq prices update, or prices set"
    )


def test_what_was_sent_without_a_cost_is_summed_by_model() -> None:
    some, more = Amounts(runs=1, unpriced_tokens=500), Amounts(runs=1, unpriced_tokens=1500)
    rows = (UsageRow(("web", "gpt-5"), some), UsageRow(("api", "gpt-5"), more))
    report = UsageReport(("project", "model"), rows, some + more)

    assert usage.sent_without_cost(report) == "* Sent without a cost: gpt-5 (2,000 tokens)"
    assert not usage.sent_without_cost(UsageReport(("model",), (), Amounts()))


def test_a_report_without_groups_is_one_line() -> None:
    report = UsageReport((), (), Amounts(runs=3))

    assert [line.split()[0] for line in usage.for_people(report).lines()[2:]] == ["Total"]
    assert usage_document.table_of(shown_of(report), report).rows == [(3, *[0] * 10, "")]


def test_details_are_for_programs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("id", "Id", is_detail=True), *COLUMNS)
    table = Table(columns, [("7f3a", "alpha", 5)], total=("", "Total", 5))

    output.show_table(table, Form.TEXT)
    text = capsys.readouterr().out
    output.show_table(table, Form.CSV)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    assert "7f3a" not in text
    assert "alpha" in text
    assert rows == [{"id": "7f3a", "name": "alpha", "tokens": "5"}]


def test_a_long_complaint_is_folded_and_what_one_copies_stays_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "/a/made-up/directory/" + "x" * 90
    words = "word " * 20

    complain(TelemhqError(f"The file {path} cannot be read: {words}", "telemhq login"))

    *lines, step = capsys.readouterr().err.splitlines()
    assert path in "\n".join(lines)
    assert all(len(line) <= 80 for line in lines if path not in line)
    assert len(lines) > 2
    assert step == "  telemhq login"


def test_a_complaint_is_as_wide_as_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.fileno", lambda: 2, raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((50, 24)))

    warn("one two three four five six seven eight nine ten eleven twelve")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 50


WIDE = Table(
    (
        Column("name", "Name"),
        Column("runs", "Runs", whole, is_figure=True),
        Column("input", "Input", whole, is_figure=True, grudged=1),
        Column("cached", "Cached", whole, is_figure=True, spare=2),
        Column("extra", "Extra", whole, is_figure=True, spare=EXTRA + 1),
        Column("more", "More", whole, is_figure=True, spare=EXTRA),
        Column("share", "Share", lambda _: "########", spare=1, is_picture=True),
    ),
    [("a name of 24 characters.", 12, 1_234_567, 7_654_321, 1, 2, 0.5)],
    notes=("A note.",),
)
HAVE_IT = "; --csv and --json leave nothing out."


@pytest.mark.parametrize(
    ("width", "titles", "figures", "left_out"),
    [
        (75, "Name Runs Input Cached Extra More Share", "1,234,567 7,654,321", ""),
        (74, "Name Runs Input Cached More Share", "1,234,567 7,654,321", ""),
        (62, "Name Runs Input Cached Share", "1,234,567 7,654,321", ""),
        (61, "Name Runs Input Cached More Share", "1.2M 7.7M", ""),
        (56, "Name Runs Input Cached Share", "1.2M 7.7M", ""),
        (50, "Name Runs Input Share", "1.2M", "Cached"),
        (42, "Name Runs Input", "1.2M", "Cached, Share"),
        (26, "Name Runs Input", "1.2M", "Cached, Share"),
        (20, "Name Runs", "", "Input, Cached, Share"),
    ],
)
def test_what_has_no_room_goes_in_order_and_is_told_unless_it_is_an_extra(
    width: int, titles: str, figures: str, left_out: str
) -> None:
    lines = WIDE.lines(width)

    assert lines[0].split() == titles.split()
    assert all(figure in "".join(lines) for figure in figures.split())
    assert max(map(len, lines)) <= width
    told = " ".join(lines[lines.index("A note.") + 1 :])
    assert told == (f"Left out for want of room: {left_out}{HAVE_IT}" if left_out else "")


def test_what_is_piped_has_no_pictures_and_nothing_for_wide_screens() -> None:
    assert WIDE.lines()[0].split() == ["Name", "Runs", "Input", "Cached"]
    assert "1,234,567" in WIDE.lines()[2]


def test_a_terminal_in_ascii_gets_ascii_boxes() -> None:
    screen.ask(ascii_only=True)
    try:
        framed, bare = lines_at(100, TABLE), lines_at(20, WIDE)
    finally:
        screen.forget()

    assert "".join(framed + bare).isascii()
    assert framed[0].strip("+-") == ""
    assert bare[1].strip("-") == ""


ODD = ("日本語プロジェクト", "🎉party", "e\u0301tude", "plain")


def test_wide_letters_and_accents_leave_the_figures_in_line() -> None:
    table = Table(COLUMNS, [(name, 5) for name in ODD])

    for lines in (table.lines(), table.lines(40), lines_at(40, table)):
        ends = {cell_len(line[: line.index("5")]) for line in lines if "5" in line}
        assert len(ends) == 1
    assert ODD[0] in "".join(lines_at(40, table))


def test_a_wide_name_is_folded_by_the_columns_it_takes() -> None:
    lines = Table(COLUMNS, [("日本語プロジェクト名前", 1_234_567)]).lines(24)

    assert max(map(cell_len, lines)) <= 24
    assert "".join(line.split()[0] for line in lines[2:]) == "日本語プロジェクト名前"


@pytest.mark.parametrize("mark", ["\t", "\n", "\x1b", "\u2028", "\u200f", "\u202e"])
def test_no_name_moves_what_stands_beside_it(mark: str) -> None:
    lines = Table(COLUMNS, [(f"a{mark}b", 5), ("cde", 6)]).lines()

    assert lines[2:] == ["a\N{REPLACEMENT CHARACTER}b        5", "cde        6"]


def test_one_long_name_costs_no_other_row_its_columns() -> None:
    rows = [("x" * 200, 12, 1, 2, 3, 4, 0.5), ("short", 12, 1, 2, 3, 4, 0.5)]
    lines = replace(WIDE, rows=rows).lines(120)

    assert lines[0].split() == ["Name", "Runs", "Input", "Cached", "Extra", "More", "Share"]
    assert sum(line.count("x") for line in lines[1:]) == 200
    assert max(map(len, lines)) <= 120


def test_a_title_is_folded_between_its_words_where_a_width_was_asked_for() -> None:
    title = "2026-11-14 to 2026-11-20 beside 2026-11-07 to 2026-11-13"

    *heading, blank, names, _, _ = replace(TABLE, title=title, total=None).lines(40)[:-1]

    assert " ".join(heading) == title
    assert max(map(len, heading)) <= 40
    assert (blank, names.split()) == ("", ["Name", "Tokens"])
