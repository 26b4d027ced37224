"""`telemhq usage heatmap` and `usage trend`: pictures that add up to the report."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents import clock
from telemhq_agents.clock import from_iso
from tests.telemhq_cli.logs import ClaudeSession, CodexSession

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

SUMMER = from_iso("2026-10-25T00:30:00Z")  # 02:30 in Berlin, for the first time that night
WINTER = from_iso("2026-10-25T01:30:00Z")  # 02:30 again
NOON = from_iso("2026-03-02T12:00:00Z")  # a Monday
DAY = 24 * 3600 * 1000


def codex(telemhq: CommandLine, *turns: tuple[int, int]) -> None:
    session = CodexSession(telemhq.machine.home / "codex", turns[0][0])
    for at_ms, tokens in turns:
        session.turn(at_ms, tokens, 0)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def busy(found: Any, of: str = "tokens") -> dict[tuple[str, int], float]:
    return {(one["weekday"], one["hour"]): one[of] for one in found["cells"] if one[of]}


def test_both_hours_of_an_autumn_night_lie_in_one_cell(telemhq: CommandLine) -> None:
    codex(telemhq, (SUMMER, 100), (WINTER, 20), (NOON, 3))

    found = telemhq.asks("usage", "heatmap", "--timezone", "Europe/Berlin")

    assert len(found["cells"]) == 168
    assert busy(found) == {("sunday", 2): 120, ("monday", 13): 3}
    assert found["total"] == 123
    assert found["busiest"] == {"weekday": "sunday", "hour": 2, "tokens": 120}
    assert found["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("of", "key", "total"),
    [("tokens", "tokens", 1_000_000), ("runs", "runs", 1), ("failures", "failures", 1)],
)
def test_the_cells_are_of_what_was_asked_for(
    telemhq: CommandLine, of: str, key: str, total: int
) -> None:
    codex(telemhq, (NOON, 1_000_000))

    found = telemhq.asks("usage", "heatmap", "--of", of, "--timezone", "UTC")

    assert (found["of"], found["total"]) == (key, total)
    assert sum(one[key] for one in found["cells"]) == total
    assert found["busiest"][key] == total


def test_costs_are_the_reports_to_the_last_digit(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 1_234_567), (NOON + DAY, 89), (WINTER, 1))

    found = telemhq.asks("usage", "heatmap", "--of", "cost")
    report = telemhq.asks("usage")

    assert found["total"] == report["total"]["cost_usd"] > 0
    assert round(sum(one["cost_usd"] for one in found["cells"]), 9) == found["total"]


def test_a_heatmap_fits_eighty_columns_and_names_the_busiest_hour(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 900), (NOON + DAY, 100), (NOON + 2 * DAY, 1))

    lines = telemhq("usage", "heatmap", "--timezone", "UTC").out.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[0] == "Tokens by weekday and hour: this machine, UTC"
    monday, tuesday, wednesday = lines[3:6]
    assert monday[:5] + monday[5 + 2 * 12 : 5 + 2 * 13] == "Mon  ██"
    assert tuesday[5 + 2 * 12 : 5 + 2 * 13] == "▒▒"
    assert wednesday[5 + 2 * 12 : 5 + 2 * 13] == "░░"
    assert (monday.split()[-1], lines[10].split()) == ("900", ["1.0k"])
    assert lines[-2] == "Up to: ░░ 56  ▒▒ 225  ▓▓ 506  ██ 900"
    assert lines[-1] == "Busiest: Monday, 12:00 to 13:00: 900."


@pytest.mark.parametrize("look", [(), ("--ascii",)])
def test_a_heatmap_fits_forty_columns(telemhq: CommandLine, look: tuple[str, ...]) -> None:
    codex(telemhq, (NOON, 900), (NOON + DAY, 100), (NOON + 2 * DAY, 1))
    asked = ("usage", "heatmap", "--timezone", "UTC", "--since", "2026-03-01", *look)

    lines = telemhq(*asked, "--width", "40").out.splitlines()

    assert max(map(len, lines)) <= 40
    (monday,) = [line for line in lines if line.startswith("Mon")]
    assert monday[5 + 12] == ("#" if look else "█")
    assert monday.split()[-1] == "900"
    assert " ".join(lines).endswith("Busiest: Monday, 12:00 to 13:00: 900.")


def test_a_heatmap_in_ascii_is_ascii(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 900), (NOON + DAY, 100))

    done = telemhq("usage", "heatmap", "--ascii", "--timezone", "UTC")

    assert done.out.isascii()
    assert "##" in done.out.splitlines()[3]
    assert "--" in done.out.splitlines()[4]


def test_a_heatmap_of_nothing_says_so(telemhq: CommandLine) -> None:
    done = telemhq("usage", "heatmap", "--of", "failures")

    assert done.out.splitlines()[-1] == "No failures in this period."
    assert telemhq.asks("usage", "heatmap")["busiest"] is None


def test_a_heatmap_as_csv_has_every_cell(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 900))

    found = rows(telemhq("usage", "heatmap", "--csv", "--timezone", "UTC").out)

    assert len(found) == 168
    assert [one for one in found if one["tokens"] != "0"] == [
        {"weekday": "monday", "hour": "12", "tokens": "900"}
    ]


def test_costs_without_a_price_are_named_below_the_picture(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 900))
    path = next((telemhq.machine.home / "codex").rglob("*.jsonl"))
    path.write_text(path.read_text().replace("gpt-5.4", "in-house-1"))

    for picture in ("heatmap", "trend"):
        assert "No price is known for in-house-1" in telemhq("usage", picture, "--of", "cost").out
        assert "in-house-1." not in telemhq("usage", picture, "--of", "tokens").out


# Trend


def points(found: Any, name: str) -> dict[str, float]:
    (line,) = [one for one in found["series"] if one["name"] == name]
    return dict(zip(found["steps"], line["values"], strict=True))


def trend(telemhq: CommandLine, *options: str) -> Any:
    return telemhq.asks("usage", "trend", "--timezone", "UTC", *options)


def test_days_without_activity_are_zeros(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 100), (NOON + 3 * DAY, 20))

    found = trend(telemhq, "--since", "2026-03-01", "--until", "2026-03-06")

    assert points(found, "gpt-5.4") == {
        "2026-03-01": 0,
        "2026-03-02": 100,
        "2026-03-03": 0,
        "2026-03-04": 0,
        "2026-03-05": 20,
        "2026-03-06": 0,
    }
    assert (found["step"], found["total"]) == ("day", 120)


@pytest.mark.parametrize(
    ("since", "until", "step", "count"),
    [
        ("2026-03-02", "2026-03-03", "hour", 48),
        ("2026-03-02", "2026-03-04", "day", 3),
        ("2026-01-01", "2026-04-30", "day", 120),
        ("2026-01-01", "2026-05-01", "week", 18),
    ],
)
def test_the_length_of_the_window_says_what_a_point_is(
    telemhq: CommandLine, since: str, until: str, step: str, count: int
) -> None:
    codex(telemhq, (NOON, 100))

    found = trend(telemhq, "--since", since, "--until", until)

    assert (found["step"], len(found["steps"])) == (step, count)
    assert found["total"] == sum(points(found, "gpt-5.4").values()) == 100


def test_a_day_of_twenty_five_hours_has_as_many_points(telemhq: CommandLine) -> None:
    codex(telemhq, (SUMMER, 100), (WINTER, 20))
    day = "2026-10-25"

    found = telemhq.asks(
        "usage", "trend", "--timezone", "Europe/Berlin", "--since", day, "--until", day
    )

    assert len(found["steps"]) == 25
    assert {step: value for step, value in points(found, "gpt-5.4").items() if value} == {
        "2026-10-25T02:00+02:00": 100,
        "2026-10-25T02:00+01:00": 20,
    }
    assert found["steps"][2:4] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]


def test_two_days_are_charted_by_the_hour_whenever_they_are(
    telemhq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    codex(telemhq, (WINTER, 20))
    monkeypatch.setattr(clock, "now_ms", lambda: WINTER + DAY + 7 * 60_000)
    autumn = ("--timezone", "Europe/Berlin", "--since", "2026-10-24", "--until", "2026-10-25")

    assert trend(telemhq, "--since", "48h")["step"] == "hour"
    in_berlin = telemhq.asks("usage", "trend", *autumn)
    assert (in_berlin["step"], len(in_berlin["steps"])) == ("hour", 49)


def test_what_has_no_name_has_none_for_programs_as_in_the_report(telemhq: CommandLine) -> None:
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 5000, 0)
    path = next((telemhq.machine.home / "claude").rglob("*.jsonl"))
    path.write_text(path.read_text().replace("/srv/made-up/billing", "/"))
    asked = ("--by", "project", "--since", "2026-03-02", "--until", "2026-03-05")

    assert [one["name"] for one in trend(telemhq, *asked)["series"]] == [""]
    assert [one["project"] for one in telemhq.asks("usage", "--by", "project")["rows"]] == [""]
    assert {one["project"] for one in rows(telemhq("usage", "trend", *asked, "--csv").out)} == {""}
    assert "(none)" in telemhq("usage", "trend", *asked).out


def test_lines_are_what_was_asked_for_the_largest_first(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 100))
    ClaudeSession(telemhq.machine.home / "claude").prompt(NOON, 5000, 0)
    window = ("--since", "2026-03-02", "--until", "2026-03-05")

    by_model = trend(telemhq, *window)
    by_source = trend(telemhq, "--by", "source", "--of", "runs", *window)

    assert [one["name"] for one in by_model["series"]] == ["claude-opus-4-8", "gpt-5.4"]
    assert {one["name"]: one["total"] for one in by_source["series"]} == {"claude": 1, "codex": 1}


def test_beyond_six_lines_and_one_the_rest_is_one_and_nothing_is_lost(
    telemhq: CommandLine,
) -> None:
    for number in range(9):
        codex(telemhq, (NOON, 10 ** (number // 2) + number))
    for number, path in enumerate(sorted((telemhq.machine.home / "codex").rglob("*.jsonl"))):
        path.write_text(path.read_text().replace("gpt-5.4", f"model-{number}"))

    found = trend(telemhq, "--since", "2026-03-02", "--until", "2026-03-05")
    report = telemhq.asks("usage", "--by", "model")

    names = [one["name"] for one in found["series"]]
    assert (len(names), names[-1]) == (7, "others (3)")
    assert found["total"] == report["total"]["total_tokens"]
    assert sum(one["total"] for one in found["series"]) == found["total"]
    least = sorted(row["total_tokens"] for row in report["rows"])[:3]
    assert found["series"][-1]["total"] == sum(least)


def test_an_open_window_reaches_from_the_first_day_to_now(telemhq: CommandLine) -> None:
    now = clock.now_ms()
    codex(telemhq, (now - 4 * DAY, 100))

    found = trend(telemhq)

    first, last = (clock.to_iso(ms)[:10] for ms in (now - 4 * DAY, now))
    assert (found["steps"][0], found["steps"][-1]) == (first, last)
    assert found["total"] == 100


def test_a_window_of_a_thousand_years_begins_where_something_was_used(
    telemhq: CommandLine,
) -> None:
    codex(telemhq, (NOON, 100))

    found = trend(telemhq, "--since", "1026-01-01")

    assert found["steps"][0] in {"2026-03-02", "2026-W10"}
    assert found["total"] == 100


def test_the_chart_has_its_sums_below_and_fits(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 3000), (NOON + DAY, 1000))
    window = ("--since", "2026-03-02", "--until", "2026-03-05", "--timezone", "UTC")

    done = telemhq("usage", "trend", *window)
    narrow = telemhq("usage", "trend", "--width", "60", "--ascii", *window)

    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Tokens by day and model: this machine, since 2026-03-02")
    sums = next(line for line in lines if line.startswith("gpt-5.4"))
    assert sums.split() == ["gpt-5.4", "4.0k", "100%", "1.0k", "3.0k", "2026-03-02"]
    assert max(map(len, narrow.out.splitlines()[1:])) <= 60
    assert narrow.out.isascii()


def test_a_trend_of_nothing_says_where_it_looked(telemhq: CommandLine) -> None:
    assert "No usage in this period. Looked in" in telemhq("usage", "trend").out
    assert telemhq.asks("usage", "trend")["series"] == []


def test_a_trend_as_csv_has_a_row_for_each_point(telemhq: CommandLine) -> None:
    codex(telemhq, (NOON, 100))
    window = ("--since", "2026-03-02", "--until", "2026-03-04", "--timezone", "UTC")

    found = rows(telemhq("usage", "trend", "--csv", *window).out)

    assert found == [
        {"day": "2026-03-02", "model": "gpt-5.4", "tokens": "100"},
        {"day": "2026-03-03", "model": "gpt-5.4", "tokens": "0"},
        {"day": "2026-03-04", "model": "gpt-5.4", "tokens": "0"},
    ]


def test_a_servers_pictures_are_this_machines(telemhq: CommandLine, server: RunningServer) -> None:
    codex(telemhq, (clock.now_ms() - 3 * DAY, 100), (clock.now_ms() - DAY, 20))
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key)
    telemhq("agent", "once", "--backfill")
    zone = ("--timezone", "Asia/Kolkata")

    for picture in (("heatmap",), ("trend", "--since", "5d"), ("trend", "--of", "cost")):
        ours = telemhq.asks("usage", *picture, *zone)
        assert telemhq.asks("usage", *picture, "--mine", *zone) == ours, picture
        assert telemhq.asks("usage", *picture, "--team", *zone) == ours, picture
    named = telemhq("usage", "trend", "--team", "--by", "member").out
    assert "ada@example.com" in named


@pytest.mark.parametrize("picture", ["heatmap", "trend"])
def test_what_a_picture_cannot_be_of_is_named(telemhq: CommandLine, picture: str) -> None:
    done = telemhq("usage", picture, "--of", "token", code=2)
    assert "Unknown figure 'token'" in done.complaint
    telemhq("usage", picture, "--json", "--csv", code=2)
    telemhq("usage", picture, "--since", "whenever", code=2)
    telemhq("usage", picture, "--tracker", "nightly", code=2)
