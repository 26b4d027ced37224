"""Schedules, thresholds, changes of state and assertions, from the command line to a real server."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
import respx

from telemhq_agents import clock
from telemhq_agents.errors import UsageError
from telemhq_cli.commands import spans
from telemhq_cli.commands.tracker_rules import quiet_hours, snoozed_until, window

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer

HOUR_MS = 3_600_000


@pytest.fixture
def nightly(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    """Somebody who is logged in and has a tracker, nightly."""
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("tracker", "create", "nightly")
    return telemhq


def test_a_schedule_is_set_said_in_words_shown_and_cleared(nightly: CommandLine) -> None:
    done = nightly(
        *("tracker", "schedule", "set", "nightly", "0 3 * * *"),
        *("--timezone", "Europe/Riga", "--grace", "10m"),
    )
    shown = nightly.asks("tracker", "show", "nightly")

    assert "03:00" in done.out
    assert done.out.count(" 03:00 +0") == 3
    assert shown["rules"]["schedule"] == {
        "cron": "0 3 * * *",
        "interval_s": 0,
        "timezone": "Europe/Riga",
        "grace_s": 600,
    }
    text = nightly("tracker", "show", "nightly").out
    assert shown["schedule"] in text
    assert "grace 10 min" in text
    assert "never missed" in nightly("tracker", "schedule", "clear", "nightly").out
    assert nightly.asks("tracker", "show", "nightly")["rules"]["schedule"] is None


def test_a_new_cron_keeps_zone_and_grace_and_an_interval_takes_its_place(
    nightly: CommandLine,
) -> None:
    first = ("tracker", "schedule", "set", "nightly", "0 3 * * *", "--timezone", "Asia/Kolkata")
    nightly(*first, "--grace", "1h")

    moved = nightly.asks("tracker", "schedule", "set", "nightly", "30 4 * * mon-fri")
    often = nightly.asks("tracker", "schedule", "set", "nightly", "--every", "90m")

    assert (moved["schedule"]["timezone"], moved["schedule"]["grace_s"]) == ("Asia/Kolkata", 3600)
    assert (often["schedule"]["cron"], often["schedule"]["interval_s"]) == ("", 5400)
    assert often["schedule"]["grace_s"] == 3600


def test_a_cron_without_a_zone_is_about_this_machines_clock(nightly: CommandLine) -> None:
    nightly.machine.extra["TZ"] = "America/New_York"

    told = nightly.asks("tracker", "schedule", "set", "nightly", "0 3 * * *")

    assert told["schedule"]["timezone"] == "America/New_York"
    assert {moment["local"][11:19] for moment in told["upcoming"]} == {"03:00:00"}


def test_a_schedule_is_explained_by_name_expression_or_span(nightly: CommandLine) -> None:
    nightly("tracker", "schedule", "set", "nightly", "@daily", "--timezone", "UTC")

    assert "00:00" in nightly("tracker", "schedule", "explain", "nightly").out
    assert "14:05" in nightly("tracker", "schedule", "explain", "5 14 * * *").out
    assert len(nightly.asks("tracker", "schedule", "next", "1h30m", "-n", "4")) == 4
    rows = list(
        csv.reader(io.StringIO(nightly("tracker", "schedule", "next", "nightly", "--csv").out))
    )
    assert rows[0] == ["local", "at"]
    assert len(rows) == 11


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["schedule", "explain", "nope"], "no tracker of yours and no schedule"),
        (["schedule", "explain", "nightly"], "nightly has no schedule"),
        (["schedule", "set", "nightly"], "either CRON or --every"),
        (["schedule", "set", "nightly", "0 3 * * *", "--every", "1h"], "either CRON or --every"),
        (["schedule", "set", "nightly", "--every", "soon"], "--every: 'soon' is no span of time"),
        (["schedule", "set", "nightly", "--every", "1500ms"], "no whole number of seconds"),
        (["set", "nightly"], "Nothing is to be set"),
        (["set", "nightly", "--timezone", "UTC"], "--timezone goes with"),
        (["set", "nightly", "--snooze", "later"], "neither a span nor a time"),
        (["set", "nightly", "--maintenance", "2h"], "lacks its length"),
        (["set", "nightly", "--quiet", "at night"], "no hours of a day"),
        (["set", "nightly", "--overlap", "maybe"], "Unknown overlap 'maybe'"),
        (["set", "nightly", "--fail-after", "0"], "--fail-after must be 1 or more"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_named_and_changes_nothing(
    nightly: CommandLine, arguments: list[str], said: str
) -> None:
    done = nightly("tracker", *arguments, code=2)

    assert said in done.complaint
    assert nightly.asks("tracker", "show", "nightly")["rules_revision"] == 0


def test_what_the_server_refuses_is_said_with_its_field(nightly: CommandLine) -> None:
    done = nightly("tracker", "schedule", "set", "nightly", "0 0 30 2 *", code=5)
    large = nightly("assertion", "add", "nightly", "a", "=", "9223372036854775808", code=5)

    assert "schedule.cron" in done.complaint
    assert "value: a whole number has more than 63 bits" in large.complaint


def test_thresholds_silences_and_alerts_are_set_by_one_command(nightly: CommandLine) -> None:
    before = clock.now_ms()

    told = nightly.asks(
        *("tracker", "set", "nightly", "--fail-after", "3", "--recover-after", "2"),
        *("--min-duration", "1s", "--max-duration", "1h30m", "--overlap", "fail"),
        *("--snooze", "2h", "--maintenance", "0 2 * * sun 2h", "--maintenance", "@monthly 1d"),
        *("--mute", "--repeat", "6h", "--gap", "10m", "--quiet", "22:00-7:00"),
        *("--timezone", "Europe/Riga", "--ignore-status", "--summary", "weekly"),
        *("--summary-hour", "7"),
    )

    rules = told["rules"]
    snoozed = clock.from_iso(rules.pop("snoozed_until"))
    assert before + 2 * HOUR_MS <= snoozed <= clock.now_ms() + 2 * HOUR_MS
    assert rules == {
        "schedule": None,
        "assertions": [],
        "fail_on_status": False,
        "failures_to_fail": 3,
        "successes_to_recover": 2,
        "min_duration_ms": 1000,
        "max_duration_ms": 5_400_000,
        "overlap": "fail",
        "maintenance": [
            {"cron": "0 2 * * sun", "length_s": 7200, "timezone": "Europe/Riga"},
            {"cron": "@monthly", "length_s": 86_400, "timezone": "Europe/Riga"},
        ],
        "alerting": {
            "muted": True,
            "repeat_s": 21_600,
            "least_gap_s": 600,
            "quiet_from": "22:00",
            "quiet_until": "07:00",
            "timezone": "Europe/Riga",
            "channels": [],
        },
        "summary": {"every": "weekly", "hour": 7, "timezone": "Europe/Riga"},
    }
    text = nightly("tracker", "show", "nightly").out
    for words in ("3 failures in a row", "2 successes in a row", "1 h 30 min", "22:00-07:00"):
        assert words in text


def test_what_was_set_is_taken_back(nightly: CommandLine) -> None:
    nightly(
        *("tracker", "set", "nightly", "--snooze", "2h", "--maintenance", "@weekly 2h", "--mute"),
        *("--repeat", "6h", "--quiet", "22:00-07:00", "--max-duration", "1h", "--overlap", "fail"),
    )

    told = nightly.asks(
        *("tracker", "set", "nightly", "--snooze", "off", "--maintenance", "none", "--unmute"),
        *("--repeat", "never", "--quiet", "off", "--max-duration", "none", "--overlap", "allow"),
    )

    assert told["rules"] == {
        **told["rules"],
        "snoozed_until": "",
        "maintenance": [],
        "max_duration_ms": 0,
        "overlap": "allow",
    }
    alerting = told["rules"]["alerting"]
    assert (alerting["muted"], alerting["repeat_s"], alerting["quiet_from"]) == (False, 0, "")


def test_changes_of_state_are_listed_with_their_reasons(nightly: CommandLine) -> None:
    nightly("ping", "nightly")
    nightly("ping", "nightly", "--status", "error")

    found = nightly.asks("tracker", "transitions", "nightly")

    assert [(one["to_state"], one["cause"]) for one in found] == [
        ("failing", "run failed"),
        ("active", "first run"),
    ]
    assert len(nightly.asks("tracker", "transitions", "nightly", "-n", "1")) == 1
    assert "run failed" in nightly("tracker", "transitions", "nightly", "--csv").out
    shown = nightly("tracker", "show", "nightly").out
    assert "failing since" in shown
    assert "Latest changes of its state" in shown


def test_an_assertions_life(nightly: CommandLine) -> None:
    added = nightly.asks("assertion", "add", "nightly", "items_processed", ">", "0")
    assert (added["operator"], added["value"], added["severity"]) == ("greater_than", 0, "fail")
    assert "items_processed" in nightly("assertion", "list", "nightly").out
    nightly("ping", "nightly", "-f", "items_processed=0")

    changed = nightly.asks(
        *("assertion", "update", "nightly", "items_processed", "--value", "-1", "--warn")
    )

    assert (changed["id"], changed["value"], changed["severity"]) == (added["id"], -1, "warn")
    [run] = nightly.asks("tracker", "runs", "nightly")
    assert run["verdicts"][0]["verdict"] == "broken"
    assert "failed" in nightly("tracker", "runs", "nightly").out
    assert nightly.asks("assertion", "remove", "nightly", added["id"])["removed"] is True
    assert nightly.asks("assertion", "list", "nightly") == []
    assert "no assertion" in nightly("assertion", "remove", "nightly", "x", code=2).complaint


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("=", "success", ("equals", "success")),
        ("!=", "null", ("not_equals", None)),
        ("gt", "-1.5", ("greater_than", -1.5)),
        (">=", "5", ("greater_or_equal", 5)),
        ("<", "5", ("less_than", 5)),
        ("less_or_equal", "5", ("less_or_equal", 5)),
        ("in", "a, 1,true", ("one_of", ["a", 1, True])),
        ("in", '["a,b"]', ("one_of", ["a,b"])),
        ("~", "^5$", ("regex", "^5$")),
        ("~", "5", ("regex", "5")),
        ("=", '"5"', ("equals", "5")),
        ("=", "NaN", ("equals", "NaN")),
    ],
)
def test_operators_and_values_are_read_as_people_write_them(
    nightly: CommandLine, operator: str, value: str, expected: tuple[str, object]
) -> None:
    added = nightly.asks("assertion", "add", "nightly", "field", operator, value)

    assert (added["operator"], added["value"]) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "nightly", "a", "greater", "1"], "did you mean 'greater_than'?"),
        (["add", "nightly", "a", "=", "1", "--wran"], "unexpected extra argument"),
        (["test", "nightly", "a", "="], "an ID, or PATH OPERATOR VALUE"),
        (["test", "nightly", "a"], "no assertion 'a'"),
        (["update", "nightly", "a"], "Nothing is to be changed"),
        (["list", "nope"], "no tracker 'nope'"),
        (["add", "nightly", "a", "<", "1e999"], "1e999 is beyond any number"),
        (["add", "nightly", "a", "in", "1,1e999"], "1e999 is beyond any number"),
        (["add", "nightly", "a", "=", "\udcff"], "Half a character cannot be sent"),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else "",
)
def test_a_mistake_about_assertions_is_named(
    nightly: CommandLine, arguments: list[str], said: str
) -> None:
    assert said in nightly("assertion", *arguments, code=2).complaint


def test_an_assertion_is_tried_on_past_runs_before_it_judges_any(nightly: CommandLine) -> None:
    for number in (4, 0, 2):
        nightly("ping", "nightly", "-f", f"items_processed={number}")

    text = nightly("assertion", "test", "nightly", "items_processed", ">", "0").out
    told = nightly.asks("assertion", "test", "nightly", "items_processed", ">", "1", "--runs", "1")
    rows = list(
        csv.DictReader(
            io.StringIO(
                nightly("assertion", "test", "nightly", "items_processed", ">", "3", "--csv").out
            )
        )
    )

    assert "Of the latest 3 runs 1 would have failed." in text
    assert "items_processed is 0" in text
    assert (told["runs"], told["failed"]) == (1, 0)
    assert [row["severity"] for row in rows] == ["fail", "fail"]
    assert nightly.asks("tracker", "show", "nightly")["state"] == "active"


def test_the_trackers_own_assertions_are_tried_all_or_one(nightly: CommandLine) -> None:
    nightly("ping", "nightly", "-f", "items_processed=0")
    nightly("assertion", "add", "nightly", "items_processed", ">", "0")
    nightly("assertion", "add", "nightly", "errors", "=", "0", "--warn")

    whole = nightly.asks("assertion", "test", "nightly")
    one = nightly.asks("assertion", "test", "nightly", "errors")

    assert len(whole["broken"][0]["verdicts"]) == 2
    assert (one["failed"], one["warned"]) == (0, 1)
    assert "all would have passed" in nightly("assertion", "test", "nightly", "kind", "!=", "x").out


def test_suggestions_are_shown_and_added_on_request(nightly: CommandLine) -> None:
    for _ in range(3):
        nightly("ping", "nightly", "--status", "success", "-f", "items_processed=3")

    suggested = nightly.asks("assertion", "suggest", "nightly")
    added = nightly.asks("assertion", "suggest", "nightly", "--add")

    assert {one["path"] for one in suggested} >= {"status", "items_processed"}
    assert all(one["id"] for one in added)
    assert nightly.asks("assertion", "list", "nightly") == added
    assert "Nothing to suggest" in nightly("assertion", "suggest", "nightly").out


def test_suggestions_are_added_all_or_none(nightly: CommandLine) -> None:
    for number in range(49):
        nightly("assertion", "add", "nightly", f"field{number}", "=", "1", "--warn")
    nightly("ping", "nightly", "--status", "success", "-f", "items_processed=3")

    done = nightly("assertion", "suggest", "nightly", "--add", code=2)

    assert "Nothing was added: of 50 assertions 1 are free" in done.complaint
    assert "items_processed > 0" in done.complaint
    assert len(nightly.asks("assertion", "list", "nightly")) == 49


def test_hours_stay_by_the_clock_that_was_set_before(nightly: CommandLine) -> None:
    def zones(*options: str) -> tuple[str, str]:
        rules = nightly.asks("tracker", "set", "nightly", *options)["rules"]
        return rules["alerting"]["timezone"], rules["summary"]["timezone"]

    nightly("config", "set", "timezone", "Asia/Tokyo")

    first = zones("--quiet", "22:00-07:00", "--summary", "daily")
    set_ = zones("--quiet", "22:00-07:00", "--summary-hour", "7", "--timezone", "Europe/Riga")
    kept = zones("--quiet", "21:00-06:00", "--summary-hour", "8")
    nightly("tracker", "set", "nightly", "--quiet", "off", "--summary", "never")
    again = zones("--quiet", "20:00-05:00", "--summary", "weekly")
    moved = zones("--quiet", "20:00-05:00", "--timezone", "UTC")

    assert first == ("Asia/Tokyo", "Asia/Tokyo")
    assert set_ == kept == again == ("Europe/Riga", "Europe/Riga")
    assert moved == ("UTC", "Europe/Riga")


@respx.mock
def test_of_a_server_that_knows_no_rules_a_tracker_is_shown_and_the_rest_said_to_be_missing(
    telemhq: CommandLine,
) -> None:
    url = "https://older.test"
    tracker = {
        "id": "1",
        "account": "1",
        "name": "nightly",
        "ping_url": f"{url}/ping/x",
        "state": "active",
        "owner": "ada@example.com",
        "created_at": "2026-01-01T00:00:00Z",
    }
    respx.get(f"{url}/api/v1/trackers").respond(json=[tracker])
    respx.route().respond(404, text="Not Found")
    telemhq.machine.extra.update(TELEMHQ_URL=url, TELEMHQ_API_KEY="thq_x")

    shown = telemhq("tracker", "show", "nightly")
    refused = telemhq("tracker", "schedule", "set", "nightly", "@daily", code=6)

    assert f"{url}/ping/x" in shown.out
    assert f"{url} does not know changes of state" in shown.complaint
    assert f"{url} does not know rules of trackers." in refused.complaint


SPANS = [
    ("90s", 90_000),
    ("10m", 600_000),
    ("10 min", 600_000),
    ("1h30m", 5_400_000),
    ("1h 30m", 5_400_000),
    ("2d", 172_800_000),
    ("1w", 604_800_000),
    ("250ms", 250),
    ("1H", 3_600_000),
    ("none", 0),
    ("0", 0),
]


@pytest.mark.parametrize(("text", "ms"), SPANS)
def test_a_span_is_read_as_people_write_it(text: str, ms: int) -> None:
    assert spans.milliseconds(text, "--x") == ms


@pytest.mark.parametrize("text", ["", " ", "10", "m", "1x", "-1h", "1.5h", "1h x", "h1", "9" * 99])
def test_what_is_no_span_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(UsageError, match="--x"):
        spans.milliseconds(text, "--x")


def test_a_snooze_ends_after_a_span_or_at_a_time() -> None:
    assert snoozed_until("off") == ""
    assert snoozed_until("2026-12-01T08:00:00+01:00") == "2026-12-01T07:00:00.000Z"
    with pytest.raises(UsageError):
        snoozed_until("99999999999w")


def test_a_window_is_a_cron_expression_and_a_length() -> None:
    assert window(" 0 2 * * sun  2h ") == {"cron": "0 2 * * sun", "length_s": 7200}
    assert quiet_hours("9:00 - 17:30") == ("09:00", "17:30")
