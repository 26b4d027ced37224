"""The usage report: sums by anything, exact in any time zone, from buckets alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.contract import routes
from telemhq_agents.contract.usage_report import GROUPS
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast, Person

EMPTY = dict.fromkeys(
    (
        "runs",
        "responses",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "total_tokens",
        "cost_usd",
        "unpriced_tokens",
        "failures",
    ),
    0,
)


def ping(person: Person, tracker: Any, ended_at: str, tokens: int, **more: object) -> None:
    body = {"ended_at": ended_at, "input_tokens": tokens, **more}
    answer = person.http.post(tracker["ping_url"], json=body)
    assert answer.status_code == 200, answer.text


def table(person: Person, figure: str, *groups: str, **params: object) -> dict[Any, int]:
    """Return one figure of a report by its keys (a plain key where there is one group)."""
    report = person.got(routes.USAGE, group_by=list(groups), **params)
    assert report["group_by"] == list(groups)
    assert sum(row[figure] for row in report["rows"]) == report["total"][figure]
    rows = [(tuple(row[group] for group in groups), row[figure]) for row in report["rows"]]
    assert len(dict(rows)) == len(rows)
    return {keys[0] if len(keys) == 1 else keys: value for keys, value in rows}


@pytest.fixture
def busy(cast: Cast) -> Cast:
    """Grace's and Carl's runs of one day, in two projects, two models and two sessions."""
    grace, carl = cast.member.new_tracker("Codex"), cast.colleague.new_tracker("cron")
    codex = {"source": "codex", "model": "gpt-5", "session_id": "s1"}
    ping(cast.member, grace, "2026-03-01T10:00:00Z", 100, project="api", thread_id="t1", **codex)
    ping(cast.member, grace, "2026-03-01T10:20:00Z", 20, project="api", thread_id="t2", **codex)
    ping(
        cast.member, grace, "2026-03-01T11:00:00Z", 3, project="web", model="opus", source="claude"
    )
    ping(cast.colleague, carl, "2026-03-01T11:59:59Z", 5000, project="api", status="failed")
    ping(cast.colleague, carl, "2026-03-01T12:00:00Z", 40000, cost_usd=0.5)
    return cast


BY_GROUP: list[tuple[tuple[str, ...], dict[Any, int]]] = [
    (("member",), {"grace@example.com": 123, "carl@example.com": 45000}),
    (("project",), {"api": 5120, "web": 3, "": 40000}),
    (("model",), {"gpt-5": 120, "opus": 3, "": 45000}),
    (("source",), {"codex": 120, "claude": 3, "": 45000}),
    (("tracker",), {"Codex": 123, "cron": 45000}),
    (("session",), {"s1": 120, "": 45003}),
    (("thread",), {"t1": 100, "t2": 20, "": 45003}),
    (("day",), {"2026-03-01": 45123}),
    (
        ("hour",),
        {
            "2026-03-01T10:00+00:00": 120,
            "2026-03-01T11:00+00:00": 5003,
            "2026-03-01T12:00+00:00": 40000,
        },
    ),
    (
        ("member", "project"),
        {
            ("grace@example.com", "api"): 120,
            ("grace@example.com", "web"): 3,
            ("carl@example.com", "api"): 5000,
            ("carl@example.com", ""): 40000,
        },
    ),
    (
        ("thread", "hour", "project"),
        {
            ("t1", "2026-03-01T10:00+00:00", "api"): 100,
            ("t2", "2026-03-01T10:00+00:00", "api"): 20,
            ("", "2026-03-01T11:00+00:00", "web"): 3,
            ("", "2026-03-01T11:00+00:00", "api"): 5000,
            ("", "2026-03-01T12:00+00:00", ""): 40000,
        },
    ),
]


def test_the_team_is_reported_by_whatever_is_asked_for(busy: Cast) -> None:
    for groups, expected in BY_GROUP:
        assert table(busy.manager, "input_tokens", *groups, scope="team") == expected, groups


def test_a_row_has_its_keys_and_every_figure(busy: Cast) -> None:
    report = busy.owner.got(routes.USAGE, scope="team", group_by="member,project")

    assert report["schema"] == "telemhq.usage/1"
    assert report["group_by"] == ["member", "project"]
    assert report["rows"][0] == EMPTY | {
        "member": "carl@example.com",
        "project": "",
        "runs": 1,
        "input_tokens": 40000,
        "total_tokens": 40000,
        "cost_usd": 0.5,
    }
    assert [list(row) for row in report["rows"]] == [["member", "project", *EMPTY]] * 4
    assert report["total"] == EMPTY | {
        "runs": 5,
        "failures": 1,
        "input_tokens": 45123,
        "total_tokens": 45123,
        "cost_usd": 0.5,
        "unpriced_tokens": 5123,
    }


def test_every_group_at_once_still_adds_up(busy: Cast) -> None:
    found = table(busy.owner, "input_tokens", *GROUPS, scope="team")

    assert sorted(found.values()) == [3, 20, 100, 5000, 40000]


def test_without_a_group_there_is_one_row_the_total(busy: Cast) -> None:
    report = busy.owner.got(routes.USAGE, scope="team")

    assert report["rows"] == [report["total"]]


def test_nothing_recorded_is_an_empty_report(cast: Cast) -> None:
    for groups in ([], ["day"], ["session", "hour"]):
        report = cast.owner.got(routes.USAGE, scope="team", group_by=groups)
        assert (report["rows"], report["total"]) == ([], EMPTY)


def test_mine_is_mine_for_everybody_and_the_default(busy: Cast) -> None:
    assert table(busy.member, "input_tokens", "member") == {"grace@example.com": 123}
    assert table(busy.member, "input_tokens", "project", scope="mine") == {"api": 120, "web": 3}
    assert table(busy.owner, "input_tokens", "member", scope="mine") == {}
    assert table(busy.member, "input_tokens", member="me") == {(): 123}


def test_filters_narrow_and_their_values_are_alternatives(busy: Cast) -> None:
    def total(**filters: object) -> int:
        return int(busy.owner.got(routes.USAGE, scope="team", **filters)["total"]["input_tokens"])

    assert total(project="api") == 5120
    assert total(project=["api", "web"]) == 5123
    assert total(project="") == 40000
    assert total(model="gpt-5", source="codex") == 120
    assert total(model="gpt-5", source="claude") == 0
    assert total(member="GRACE@example.com") == 123
    assert total(member=["grace@example.com", "carl@example.com"]) == 45123
    assert total(tracker="Codex") == 123
    assert total(tracker=busy.colleague.got(routes.TRACKERS)[0]["id"]) == 45000
    assert total(project="api", group_by="session") == 5120


def test_a_window_is_cut_at_quarter_hours_and_days(busy: Cast) -> None:
    def total(**window: str) -> int:
        return int(busy.owner.got(routes.USAGE, scope="team", **window)["total"]["input_tokens"])

    assert total(since="2026-03-01T11:00:00Z") == 45003
    assert total(until="2026-03-01T11:00:00Z") == 120
    assert total(since="2026-03-01T10:29:59Z", until="2026-03-01T11:00:01Z") == 23
    assert total(since="2026-03-01", until="2026-03-01") == 45123
    assert total(since="2026-03-02") == 0
    # In Auckland (UTC+13) the day ended at 11:00 UTC.
    assert total(until="2026-03-01", timezone="Pacific/Auckland") == 120
    assert total(since="2026-03-02", timezone="Pacific/Auckland") == 45003


def test_days_and_hours_are_those_of_the_accounts_time_zone_unless_another_is_named(
    busy: Cast,
) -> None:
    busy.owner.did(
        "PATCH", routes.ACCOUNT.format(account_id=busy.team), {"timezone": "Asia/Kolkata"}
    )

    assert table(busy.member, "input_tokens", "hour") == {
        "2026-03-01T15:00+05:30": 120,
        "2026-03-01T16:00+05:30": 3,
    }
    assert table(busy.member, "input_tokens", "day", timezone="Pacific/Auckland") == {
        "2026-03-01": 120,
        "2026-03-02": 3,
    }


# Moments, tokens, and the local hours that they lie in by the clocks' published changes.
AROUND_THE_CLOCK = [
    ("Asia/Kolkata", "2026-03-01T18:29:59Z", "2026-03-01T23:00+05:30"),
    ("Asia/Kolkata", "2026-03-01T18:30:00Z", "2026-03-02T00:00+05:30"),
    ("Australia/Adelaide", "2026-04-04T13:29:00Z", "2026-04-04T23:00+10:30"),
    ("Australia/Adelaide", "2026-04-04T13:30:00Z", "2026-04-05T00:00+10:30"),
    ("Australia/Adelaide", "2026-04-04T16:15:00Z", "2026-04-05T02:00+10:30"),
    ("Australia/Adelaide", "2026-04-04T16:30:00Z", "2026-04-05T02:00+09:30"),
    ("Australia/Adelaide", "2026-10-03T16:29:00Z", "2026-10-04T01:00+09:30"),
    ("Australia/Adelaide", "2026-10-03T16:30:00Z", "2026-10-04T03:00+10:30"),
    ("America/New_York", "2026-11-01T05:59:00Z", "2026-11-01T01:00-04:00"),
    ("America/New_York", "2026-11-01T06:00:00Z", "2026-11-01T01:00-05:00"),
    ("America/St_Johns", "2026-01-01T03:29:00Z", "2025-12-31T23:00-03:30"),
    ("Pacific/Chatham", "2026-04-04T13:59:00Z", "2026-04-05T03:00+13:45"),
    ("Pacific/Chatham", "2026-04-04T14:00:00Z", "2026-04-05T02:00+12:45"),
]


def test_every_run_is_in_its_local_hour_and_day_across_clock_changes(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    for place, (_, moment, _) in enumerate(AROUND_THE_CLOCK):
        ping(cast.member, tracker, moment, 2**place)

    for zone in {zone for zone, _, _ in AROUND_THE_CLOCK}:
        hours = table(cast.member, "input_tokens", "hour", timezone=zone)
        days = table(cast.member, "input_tokens", "day", timezone=zone)
        by_both = table(cast.member, "input_tokens", "day", "hour", timezone=zone)
        assert sum(hours.values()) == sum(days.values()) == 2 ** len(AROUND_THE_CLOCK) - 1
        for place, (named, _, hour) in enumerate(AROUND_THE_CLOCK):
            if named == zone:
                assert hours[hour] & 2**place, (zone, hour)
                assert days[hour[:10]] & 2**place, (zone, hour)
                assert by_both[hour[:10], hour] & 2**place, (zone, hour)


# Moments and the local weeks (ISO 8601) and months that they lie in, by a printed calendar.
AROUND_THE_CALENDAR = [
    ("UTC", "2026-01-04T23:59:00Z", "2026-W01", "2026-01"),
    ("UTC", "2026-01-05T00:00:00Z", "2026-W02", "2026-01"),
    ("UTC", "2025-12-28T23:59:00Z", "2025-W52", "2025-12"),
    ("UTC", "2025-12-29T00:00:00Z", "2026-W01", "2025-12"),
    ("UTC", "2021-01-03T12:00:00Z", "2020-W53", "2021-01"),
    ("Asia/Kolkata", "2026-01-31T18:29:00Z", "2026-W05", "2026-01"),
    ("Asia/Kolkata", "2026-01-31T18:30:00Z", "2026-W05", "2026-02"),
    ("Asia/Kolkata", "2026-02-01T18:30:00Z", "2026-W06", "2026-02"),
    ("America/New_York", "2026-03-09T03:59:00Z", "2026-W10", "2026-03"),
    ("America/New_York", "2026-03-09T04:00:00Z", "2026-W11", "2026-03"),
    ("America/New_York", "2026-11-02T04:59:00Z", "2026-W44", "2026-11"),
    ("America/New_York", "2026-11-02T05:00:00Z", "2026-W45", "2026-11"),
    ("Australia/Adelaide", "2026-04-05T14:29:00Z", "2026-W14", "2026-04"),
    ("Australia/Adelaide", "2026-04-05T14:30:00Z", "2026-W15", "2026-04"),
]


def test_every_run_is_in_its_local_week_and_month_across_clock_changes(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    for place, (_, moment, _, _) in enumerate(AROUND_THE_CALENDAR):
        ping(cast.member, tracker, moment, 2**place)

    for zone in {zone for zone, *_ in AROUND_THE_CALENDAR}:
        weeks = table(cast.member, "input_tokens", "week", timezone=zone)
        months = table(cast.member, "input_tokens", "month", timezone=zone)
        by_all = table(cast.member, "input_tokens", "month", "week", "day", timezone=zone)
        assert list(weeks) == sorted(weeks)
        assert sum(weeks.values()) == sum(months.values()) == 2 ** len(AROUND_THE_CALENDAR) - 1
        assert sum(by_all.values()) == sum(weeks.values())
        for place, (named, _, week, month) in enumerate(AROUND_THE_CALENDAR):
            if named == zone:
                assert weeks[week] & 2**place, (zone, week)
                assert months[month] & 2**place, (zone, month)
                assert any(
                    keys[:2] == (month, week) and tokens & 2**place
                    for keys, tokens in by_all.items()
                )


def test_the_days_of_a_week_are_one_row(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    for day, tokens in (("2026-03-02", 5), ("2026-03-08", 7)):
        ping(cast.member, tracker, f"{day}T10:00:00Z", tokens, session_id=day)

    assert table(cast.member, "input_tokens", "week") == {"2026-W10": 12}
    assert table(cast.member, "runs", "week", "session") == {
        ("2026-W10", "2026-03-02"): 1,
        ("2026-W10", "2026-03-08"): 1,
    }


def test_two_trackers_of_one_name_are_told_apart_by_their_ids(cast: Cast) -> None:
    first, second = cast.member.new_tracker("nightly"), cast.colleague.new_tracker("nightly")
    ping(cast.member, first, "2026-03-01T10:00:00Z", 1)
    ping(cast.member, second, "2026-03-01T10:00:00Z", 2)

    assert table(cast.owner, "input_tokens", "tracker", scope="team") == {
        f"nightly ({first['id']})": 1,
        f"nightly ({second['id']})": 2,
    }
    assert table(cast.member, "input_tokens", "tracker") == {"nightly": 1}
    assert table(cast.owner, "input_tokens", tracker="nightly", scope="team") == {(): 3}


def test_what_a_correction_moved_away_entirely_leaves_no_row(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    http, url = cast.nobody.http, tracker["ping_url"]
    fact = {"ended_at": "2026-03-01T10:00:00Z", "model": "m", "session_id": "s"}
    taken_back = {"runs": -1, "input_tokens": -9, "unpriced_tokens": -9}
    moved = {"kind": "correction", "corrects": "k1", "revision": 1} | taken_back
    http.post(
        url,
        json=fact | {"project": "wrong", "input_tokens": 9},
        headers={"Idempotency-Key": "k1"},
    )
    http.post(
        url,
        json=fact | moved | {"project": "wrong"},
        headers={"Idempotency-Key": "k1.r1"},
    )

    for groups in (("project",), ("session",), ()):
        assert table(cast.member, "input_tokens", *groups) == {}


def test_the_history_of_a_revoked_member_stays_visible(busy: Cast) -> None:
    run_sql(
        busy.settings,
        "UPDATE memberships SET state = 'revoked' WHERE account_id = :team AND role = 'member'",
        team=int(busy.team),
    )

    assert table(busy.owner, "input_tokens", "member", scope="team") == {
        "grace@example.com": 123,
        "carl@example.com": 45000,
    }
    assert busy.member.ask("GET", routes.USAGE).status_code == 403


def test_another_accounts_runs_are_never_in_a_report(busy: Cast) -> None:
    ping(busy.outsider, busy.outsider.new_tracker(), "2026-03-01T10:00:00Z", 7)

    assert table(busy.outsider, "input_tokens", "project", scope="team") == {"": 7}
    assert busy.owner.got(routes.USAGE, scope="team")["total"]["input_tokens"] == 45123


def test_reports_do_without_the_runs_themselves(busy: Cast) -> None:
    run_sql(busy.settings, "ALTER TABLE runs RENAME TO runs_out_of_reach")
    try:
        for groups, expected in BY_GROUP:
            assert table(busy.manager, "input_tokens", *groups, scope="team") == expected, groups
        assert [one["runs"] for one in busy.manager.got(routes.TRACKERS)] == [3, 2]
    finally:
        run_sql(busy.settings, "ALTER TABLE runs_out_of_reach RENAME TO runs")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "day,day"}, "group_by"),
        ({"group_by": ["day", "model,day"]}, "group_by"),
        ({"since": "yesterday"}, "since/until"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "since/until"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"scope": "world"}, "query.scope"),
        ({"scope": "team", "member": "otto@example.com"}, "member"),
        ({"scope": "mine", "member": "grace@example.com"}, "member"),
        ({"tracker": "no such"}, "tracker"),
        ({"tracker": "9" * 30}, "tracker"),
        ({"groupby": "day"}, "query.groupby"),
    ],
)
def test_a_question_that_cannot_be_answered_names_what_is_wrong(
    sqlite_cast: Cast, params: dict[str, Any], field: str
) -> None:
    answer = sqlite_cast.owner.ask("GET", routes.USAGE, params=params)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["next"]


@pytest.mark.parametrize("name", ["source", "project", "model", "member", "tracker"])
def test_a_filter_that_no_database_could_hold_is_refused(busy: Cast, name: str) -> None:
    for text in ("\x00", "a\x00b"):
        for scope in ("mine", "team"):
            answer = busy.owner.ask("GET", routes.USAGE, params={name: text, "scope": scope})
            assert (answer.status_code, answer.json()["type"]) == (422, "invalid-fields")
            assert name in answer.json()["errors"][0]["field"]


def test_a_report_takes_a_hundred_values_of_a_filter(busy: Cast) -> None:
    def status(count: int) -> int:
        params = {"project": [f"p{number}" for number in range(count)]}
        return busy.member.ask("GET", routes.USAGE, params=params).status_code

    assert (status(100), status(101)) == (200, 422)


def test_nobody_learns_the_names_of_others_trackers_from_their_own_report(busy: Cast) -> None:
    def refusal(person: Person, tracker: str, scope: str) -> tuple[int, str]:
        params = {"tracker": tracker, "scope": scope}
        answer = person.ask("GET", routes.USAGE, params=params)
        return answer.status_code, answer.json().get("title", "").replace(tracker, "…")

    (carls,) = [one for one in busy.manager.got(routes.TRACKERS) if one["name"] == "cron"]

    unknown = refusal(busy.member, "no such thing", "mine")
    assert unknown[0] == 422
    assert refusal(busy.member, "cron", "mine") == unknown
    assert refusal(busy.member, carls["id"], "mine") == unknown
    assert refusal(busy.manager, "cron", "mine") == unknown
    assert refusal(busy.member, "Codex", "mine")[0] == 200
    assert refusal(busy.manager, "cron", "team")[0] == 200
    assert refusal(busy.manager, carls["id"], "team")[0] == 200


def test_of_two_trackers_of_one_name_my_own_report_holds_mine(busy: Cast) -> None:
    ping(busy.member, busy.member.new_tracker("cron"), "2026-03-01T13:00:00Z", 7)

    assert table(busy.member, "input_tokens", "tracker", tracker="cron") == {"cron": 7}
    both = table(busy.manager, "input_tokens", "member", tracker="cron", scope="team")
    assert both == {"grace@example.com": 7, "carl@example.com": 45000}


def test_a_name_that_is_nearly_right_is_asked_about_but_never_anybody_elses(busy: Cast) -> None:
    def said(person: Person, **params: str) -> str:
        answer = person.ask("GET", routes.USAGE, params=params)
        assert answer.status_code == 422
        title: str = answer.json()["title"]
        return title

    assert said(busy.manager, scope="team", tracker="corn").endswith("did you mean 'cron'?")
    assert said(busy.manager, scope="team", member="crl@example.com").endswith(
        "did you mean 'carl@example.com'?"
    )
    assert said(busy.member, group_by="projcet").endswith("did you mean 'project'?")
    assert said(busy.member, scope="mine", tracker="Codxe").endswith("did you mean 'Codex'?")
    assert "did you mean" not in said(busy.member, scope="mine", tracker="corn")
