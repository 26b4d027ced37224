"""Rules, assertions, schedules and changes of state, over HTTP."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from server_stub.api.rules import AlertingChange, RulesChange, ScheduleChange, SummaryChange, merged
from telemhq_agents.contract import routes
from telemhq_agents.contract.rules import Alerting, Rules, Schedule, Summary

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.server_stub.cast import Cast, Person

MINUTE_MS = 60_000
NIGHTLY = {"cron": "0 3 * * *", "timezone": "Europe/Riga", "grace_s": 600}


def rules_path(tracker: Any) -> str:
    return routes.TRACKER_RULES.format(tracker_id=tracker["id"])


def assertions_path(tracker: Any, assertion_id: str = "") -> str:
    if assertion_id:
        return routes.TRACKER_ASSERTION.format(tracker_id=tracker["id"], assertion_id=assertion_id)
    return routes.TRACKER_ASSERTIONS.format(tracker_id=tracker["id"])


def transitions_of(person: Person, tracker: Any) -> list[tuple[str, str, str]]:
    page = person.got(routes.TRACKER_TRANSITIONS.format(tracker_id=tracker["id"]))
    return [(one["from_state"], one["to_state"], one["cause"]) for one in page["transitions"]]


def shown(person: Person, tracker: Any) -> Any:
    return person.got(routes.TRACKER.format(tracker_id=tracker["id"]))


def test_a_new_tracker_has_the_default_rules_at_revision_nought(cast: Cast) -> None:
    made = cast.member.new_tracker()

    answer = cast.member.ask("GET", rules_path(made))

    assert answer.headers["etag"] == '"0"'
    told = answer.json()
    assert (told["revision"], told["schedule_in_words"]) == (0, "")
    assert told["rules"]["schedule"] is None
    assert told["rules"]["fail_on_status"] is True
    assert (made["due_at"], made["schedule"], made["cause"]) == (None, "", "")


def test_the_tracker_of_a_device_is_not_failed_by_turns_that_fail(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")
    made = cast.member.did("PUT", path, {"name": "Codex on laptop"})

    cast.nobody.http.post(made["ping_url"], json={"status": "error"})

    assert cast.member.got(rules_path(made))["rules"]["fail_on_status"] is False
    assert shown(cast.member, made)["state"] == "active"


def test_rules_that_are_put_replace_those_before_and_judge_what_comes(cast: Cast) -> None:
    made = cast.member.new_tracker()
    cast.member.did("PUT", rules_path(made), {"failures_to_fail": 2, "schedule": NIGHTLY})

    told = cast.member.did("PUT", rules_path(made), {"schedule": NIGHTLY})

    assert told["revision"] == 2
    assert told["rules"]["failures_to_fail"] == 1
    assert told["rules"]["schedule"] == {**NIGHTLY, "interval_s": 0}
    assert "03:00" in told["schedule_in_words"]
    cast.nobody.http.post(made["ping_url"], json={"status": "error"})
    now = shown(cast.member, made)
    assert (now["state"], now["cause"], now["rules_revision"]) == ("failing", "run failed", 2)
    assert now["schedule"] == told["schedule_in_words"]
    assert now["due_at"].endswith(("T00:00:00.000Z", "T01:00:00.000Z"))
    assert now["failing_since"] is not None


def test_the_same_rules_again_are_no_change(cast: Cast) -> None:
    made = cast.member.new_tracker()
    body = {"assertions": [{"path": "items", "operator": "greater_than", "value": 0}]}

    first = cast.member.did("PUT", rules_path(made), body)
    again = cast.member.did("PUT", rules_path(made), body)

    assert first["revision"] == again["revision"] == 1
    assert first["rules"]["assertions"] == again["rules"]["assertions"]
    assert first["rules"]["assertions"][0]["id"]


def test_a_patch_changes_what_it_names_and_null_is_the_default(cast: Cast) -> None:
    made = cast.member.new_tracker()
    path = rules_path(made)
    cast.member.did("PUT", path, {"schedule": NIGHTLY, "max_duration_ms": 5 * MINUTE_MS})

    cast.member.did("PATCH", path, {"schedule": {"grace_s": 60}, "alerting": {"muted": True}})
    told = cast.member.did("PATCH", path, {"max_duration_ms": None})
    bare = cast.member.did("PATCH", path, {"schedule": None})

    assert told["rules"]["schedule"] == {**NIGHTLY, "interval_s": 0, "grace_s": 60}
    assert told["rules"]["alerting"]["muted"] is True
    assert told["rules"]["max_duration_ms"] == 0
    assert bare["rules"]["schedule"] is None
    assert shown(cast.member, made)["due_at"] is None


@pytest.mark.parametrize(
    ("change", "record"),
    [
        (RulesChange, Rules),
        (ScheduleChange, Schedule),
        (AlertingChange, Alerting),
        (SummaryChange, Summary),
    ],
)
def test_a_patch_may_name_every_field_that_there_is(change: type[BaseModel], record: type) -> None:
    assert set(change.model_fields) == {field.name for field in dataclasses.fields(record)}


def test_a_merge_patch_is_that_of_the_standards_own_table() -> None:
    # RFC 7396, appendix A, of what rules can hold.
    table: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]

    assert [merged(document, patch) for document, patch, _ in table] == [
        result for *_, result in table
    ]


def test_rules_that_somebody_else_changed_meanwhile_are_not_overwritten(cast: Cast) -> None:
    made = cast.member.new_tracker()
    path = rules_path(made)

    def put(etag: str, failures: int) -> int:
        body = {"failures_to_fail": failures}
        headers = {"Authorization": f"Bearer {cast.member.api_key}", "If-Match": etag}
        return cast.member.http.put(path, json=body, headers=headers).status_code

    assert put('"0"', 2) == 200
    assert put('"0"', 3) == 412
    assert put('"nonsense"', 3) == 412
    assert cast.member.got(path)["rules"]["failures_to_fail"] == 2
    assert put('W/"1"', 3) == 200
    assert put("*", 4) == 200


def test_of_many_who_add_assertions_at_the_same_moment_nobody_is_lost(cast: Cast) -> None:
    made = cast.member.new_tracker()

    def add(number: int) -> int:
        body = {"path": f"field_{number}", "operator": "equals", "value": number}
        return cast.member.ask("POST", assertions_path(made), body).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(add, range(12)))

    kept = {one["path"] for one in cast.member.got(assertions_path(made))}
    assert len(kept) == codes.count(201)
    assert set(codes) <= {201, 409}
    assert codes.count(201) >= 4


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"schedule": {"cron": "every day"}}, "schedule.cron"),
    ({"schedule": {"cron": "0 0 30 2 *"}}, "schedule.cron"),
    ({"schedule": {"cron": "0 3 * * *", "interval_s": 60}}, "schedule.cron"),
    ({"schedule": {"cron": "0 3 * * *", "timezone": "Mars/Olympus"}}, "schedule.timezone"),
    ({"schedule": {"grace_s": 5}}, "schedule.cron"),
    ({"failures_to_fail": 0}, "failures_to_fail"),
    ({"failures_to_fail": 10**30}, "failures_to_fail"),
    ({"snoozed_until": "tomorrow"}, "snoozed_until"),
    ({"assertions": [{"path": "a..b", "operator": "equals", "value": 1}]}, "assertions[0].path"),
    ({"assertions": [{"path": "a", "operator": "equals"}]}, "body.assertions.0.value"),
    ({"assertions": [{"path": "a", "operator": "regex", "value": "("}]}, "assertions[0].value"),
    ({"alerting": {"quiet_from": "22:00"}}, "alerting.quiet_from"),
    (
        {"alerting": {"channels": [{"kind": "webhook", "target": "ftp://x"}]}},
        "alerting.channels[0]",
    ),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=[field for _, field in WRONG])
def test_every_wrong_rule_is_named_by_its_path(
    sqlite_cast: Cast, body: dict[str, Any], field: str
) -> None:
    made = sqlite_cast.member.new_tracker()

    answer = sqlite_cast.member.ask("PUT", rules_path(made), body)

    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["next"]
    assert any(error["field"].startswith(field) for error in problem["errors"]), problem
    assert sqlite_cast.member.got(rules_path(made))["revision"] == 0


@pytest.mark.parametrize("depth", [50, 500, 950, 5_000])
def test_a_value_of_any_depth_is_answered(sqlite_cast: Cast, depth: int) -> None:
    made = sqlite_cast.member.new_tracker()
    body = '{"path":"a","operator":"equals","value":' + "[" * depth + "]" * depth + "}"
    headers = {
        "Authorization": f"Bearer {sqlite_cast.member.api_key}",
        "Content-Type": "application/json",
    }

    for path, text in (
        (assertions_path(made), body),
        (assertions_path(made), body),
        (rules_path(made), '{"assertions":[' + body + "]}"),
    ):
        method = "PUT" if path == rules_path(made) else "POST"
        answer = sqlite_cast.member.http.request(method, path, content=text, headers=headers)
        assert answer.status_code in {200, 201, 400, 422}, (depth, answer.text)
    assert sqlite_cast.member.ask("GET", assertions_path(made)).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        '{"path":"a","operator":"equals","value":NaN}',
        '{"path":"a","operator":"equals","value":-Infinity}',
        '{"path":"a","operator":"equals","value":1e999}',
        '{"path":"a","operator":"equals","value":' + "9" * 400 + "}",
        r'{"path":"a","operator":"equals","value":"\ud800"}',
        r'{"path":"a","operator":"equals","value":{"\udfff":1}}',
        r'{"path":"a\u0000","operator":"equals","value":1}',
        r'{"path":"\ud800","operator":"equals","value":1}',
        r'{"path":"a","operator":"equals","value":1,"id":"\u0000"}',
    ],
    ids=lambda text: text[11:60],
)
def test_what_no_database_could_keep_is_refused_wherever_it_comes(
    sqlite_cast: Cast, text: str
) -> None:
    member = sqlite_cast.member
    made = member.new_tracker()
    headers = {"Authorization": f"Bearer {member.api_key}", "Content-Type": "application/json"}
    replay = routes.ASSERTION_REPLAY.format(tracker_id=made["id"])
    file = '{"trackers":[{"name":"x","assertions":[' + text + "]}]}"

    for method, path, body in (
        ("POST", assertions_path(made), text),
        ("PUT", rules_path(made), '{"assertions":[' + text + "]}"),
        ("PATCH", rules_path(made), '{"assertions":[' + text + "]}"),
        ("POST", replay, '{"assertions":[' + text + "]}"),
        ("PUT", routes.TRACKER_FILE, file),
    ):
        answer = member.http.request(method, path, content=body, headers=headers)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PUT", {"summary": {"hour": False}}),
        ("PUT", {"failures_to_fail": "2"}),
        ("PUT", {"fail_on_status": 0}),
        ("PATCH", {"failures_to_fail": True}),
        ("PATCH", {"fail_on_status": "no"}),
        ("PATCH", {"schedule": {"interval_s": "60"}}),
        ("PATCH", {"maintenance": [{"cron": "@daily", "length_s": "60"}]}),
    ],
    ids=str,
)
def test_a_field_of_another_type_is_not_taken_for_its_like(
    sqlite_cast: Cast, method: str, body: dict[str, Any]
) -> None:
    made = sqlite_cast.member.new_tracker()

    answer = sqlite_cast.member.ask(method, rules_path(made), body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


def test_an_assertion_is_added_shown_changed_and_removed(cast: Cast) -> None:
    made = cast.member.new_tracker()
    body = {"path": "items_processed", "operator": "greater_than", "value": 0}

    added = cast.member.did("POST", assertions_path(made), body)
    same = cast.member.did("POST", assertions_path(made), body)
    path = assertions_path(made, added["id"])
    assert same == added
    assert cast.member.got(path) == added | {"severity": "fail"}
    changed = cast.member.did("PATCH", path, {"value": 10, "severity": "warn"})
    assert changed == {**added, "value": 10, "severity": "warn"}
    assert cast.member.got(assertions_path(made)) == [changed]

    cast.nobody.http.post(made["ping_url"], json={"items_processed": 3})
    assert shown(cast.member, made)["state"] == "active"
    cast.member.did("PATCH", path, {"severity": "fail"})
    cast.nobody.http.post(made["ping_url"], json={"items_processed": 3})
    assert shown(cast.member, made)["cause"] == "assertion broken"

    assert cast.member.did("DELETE", path) is None
    assert cast.member.got(assertions_path(made)) == []
    assert cast.member.ask("DELETE", path).status_code == 404
    assert cast.member.ask("PATCH", path, {"value": 1}).status_code == 404


def test_an_id_that_another_assertion_has_is_refused(cast: Cast) -> None:
    made = cast.member.new_tracker()
    body = {"path": "errors", "operator": "equals", "value": 0, "id": "mine"}
    added = cast.member.did("POST", assertions_path(made), body)

    other = cast.member.ask("POST", assertions_path(made), body | {"path": "cost_usd"})

    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "assertions[1].id"
    assert cast.member.did("POST", assertions_path(made), body) == added
    assert cast.member.got(assertions_path(made)) == [added]


def test_null_is_a_value_that_an_assertion_may_be_changed_to(cast: Cast) -> None:
    made = cast.member.new_tracker()
    body = {"path": "error", "operator": "equals", "value": "none"}
    added = cast.member.did("POST", assertions_path(made), body)

    changed = cast.member.did("PATCH", assertions_path(made, added["id"]), {"value": None})

    assert (changed["value"], changed["path"]) == (None, "error")


def test_a_run_shows_how_it_was_judged(cast: Cast) -> None:
    made = cast.member.new_tracker()
    body = {"path": "items_processed", "operator": "greater_than", "value": 10}
    cast.member.did("POST", assertions_path(made), body)
    cast.nobody.http.post(made["ping_url"], json={"items_processed": 3})
    cast.nobody.http.post(made["ping_url"], json={"items_processed": 30})

    passed, failed = cast.member.got(routes.TRACKER_RUNS.format(tracker_id=made["id"]))["runs"]

    assert (passed["outcome"], failed["outcome"]) == ("passed", "failed")
    [verdict] = failed["verdicts"]
    assert (verdict["verdict"], verdict["path"]) == ("broken", "items_processed")
    assert "3" in verdict["message"]


def replayed(person: Person, tracker: Any, **body: object) -> Any:
    path = routes.ASSERTION_REPLAY.format(tracker_id=tracker["id"])
    return person.did("POST", path, body)


def test_a_replay_tells_which_runs_would_have_failed_and_changes_nothing(cast: Cast) -> None:
    made = cast.member.new_tracker()
    for number in (5, 0, 7, 0):
        cast.nobody.http.post(made["ping_url"], json={"items_processed": number})
    cast.nobody.http.post(made["ping_url"], json={"status": "started", "kind": "start"})
    rule = {"path": "items_processed", "operator": "greater_than", "value": 0}
    runs = cast.member.got(routes.TRACKER_RUNS.format(tracker_id=made["id"]))["runs"]
    empty = [run["id"] for run in runs if run["payload"].get("items_processed") == 0]

    told = replayed(cast.member, made, assertions=[rule])
    warned = replayed(cast.member, made, assertions=[{**rule, "severity": "warn"}])
    last = replayed(cast.member, made, assertions=[rule], runs=1)

    assert (told["runs"], told["failed"], told["warned"]) == (4, 2, 0)
    assert [one["run"] for one in told["broken"]] == empty
    assert all(one["failed"] for one in told["broken"])
    assert "items_processed is 0" in told["broken"][0]["verdicts"][0]["message"]
    assert (warned["failed"], warned["warned"]) == (0, 2)
    assert (last["runs"], last["failed"]) == (1, 1)
    assert shown(cast.member, made)["state"] == "active"


def test_a_replay_without_assertions_is_about_the_trackers_own(cast: Cast) -> None:
    made = cast.member.new_tracker()
    cast.nobody.http.post(made["ping_url"], json={"items_processed": 0})
    body = {"path": "items_processed", "operator": "greater_than", "value": 0}
    added = cast.member.did("POST", assertions_path(made), body)

    told = replayed(cast.member, made)

    assert told["assertions"] == [added]
    assert told["broken"][0]["verdicts"][0]["assertion"] == added["id"]
    assert replayed(cast.member, made, assertions=[])["broken"] == []


def test_a_replay_of_what_cannot_be_is_refused(cast: Cast) -> None:
    made = cast.member.new_tracker()
    path = routes.ASSERTION_REPLAY.format(tracker_id=made["id"])

    wrong: list[dict[str, Any]] = [
        {"runs": 0},
        {"runs": 1001},
        {"assertions": [{"path": "a", "operator": "greater_than", "value": "many"}]},
        {"rules": []},
    ]
    for body in wrong:
        assert cast.member.ask("POST", path, body).status_code == 422


def test_suggestions_leave_out_what_is_there_already(cast: Cast) -> None:
    made = cast.member.new_tracker()
    path = routes.ASSERTION_SUGGESTIONS.format(tracker_id=made["id"])
    assert cast.member.got(path) == []
    for _ in range(3):
        sent = {"status": "success", "items_processed": 4, "items_failed": 0}
        cast.nobody.http.post(made["ping_url"], json=sent)

    suggested = {(one["path"], one["operator"]) for one in cast.member.got(path)}
    assert {("status", "equals"), ("items_processed", "greater_than")} <= suggested

    for one in cast.member.got(path):
        cast.member.did("POST", assertions_path(made), one)
    assert cast.member.got(path) == []


def test_transitions_come_newest_first_page_by_page(cast: Cast) -> None:
    made = cast.member.new_tracker()
    for status in ("success", "error", "success", "error"):
        cast.nobody.http.post(made["ping_url"], json={"status": status})
    path = routes.TRACKER_TRANSITIONS.format(tracker_id=made["id"])

    first = cast.member.got(path, limit=3)
    second = cast.member.got(path, limit=3, cursor=first["next_cursor"])

    told = [(one["from_state"], one["to_state"]) for one in first["transitions"]]
    assert told == [("active", "failing"), ("failing", "active"), ("active", "failing")]
    assert transitions_of(cast.member, made)[-1] == ("new", "active", "first run")
    assert second["next_cursor"] is None
    assert len(second["transitions"]) == 1
    run = first["transitions"][0]["run"]
    newest = cast.member.got(routes.TRACKER_RUNS.format(tracker_id=made["id"]))["runs"][0]
    assert run == newest["id"]
    for params in ({"limit": 0}, {"limit": 1001}, {"cursor": "next"}):
        assert cast.member.ask("GET", path, params=params).status_code == 422


def test_a_pause_and_its_end_are_changes_of_state_once_each(cast: Cast) -> None:
    made = cast.member.new_tracker()
    cast.member.did("PUT", rules_path(made), {"schedule": {"interval_s": 3600}})
    cast.nobody.http.post(made["ping_url"])
    path = routes.TRACKER.format(tracker_id=made["id"])

    paused = [cast.member.did("PATCH", path, {"state": "paused"}) for _ in range(2)]
    cast.nobody.http.post(made["ping_url"], json={"status": "error"})
    while_paused = shown(cast.member, made)
    resumed = [cast.member.did("PATCH", path, {"state": "active"}) for _ in range(2)]

    assert [one["state"] for one in paused] == ["paused"] * 2
    assert (paused[0]["due_at"], while_paused["state"]) == (None, "paused")
    assert while_paused["last_status"] == "error"
    assert {one["state"] for one in resumed} <= {"new", "active"}
    causes = [cause for *_, cause in transitions_of(cast.member, made)]
    assert (causes.count("paused"), causes.count("resumed")) == (1, 1)


def explained(person: Person, **query: object) -> Any:
    return person.got(routes.SCHEDULE_EXPLANATION, **query)


def test_a_schedule_is_explained_before_anything_depends_on_it(cast: Cast) -> None:
    told = explained(cast.member, cron="30 2 * * *", timezone="Europe/Riga", count=3)

    assert "02:30" in told["in_words"]
    assert len(told["upcoming"]) == 3
    for moment in told["upcoming"]:
        assert "T02:30:00+0" in moment["local"] or "T03:" in moment["local"]
        assert moment["at"].endswith("Z")
    times = [moment["at"] for moment in told["upcoming"]]
    assert times == sorted(set(times))


def test_an_interval_is_explained_too(cast: Cast) -> None:
    told = explained(cast.member, interval_s=5400, count=2)

    assert told["schedule"]["interval_s"] == 5400
    assert len(told["upcoming"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"cron": "0 3 * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "\x01"},
        {"cron": "0 3 * * *", "interval_s": 60},
        {"cron": "0 3 * * *", "timezone": "Mars/Olympus"},
        {"cron": "0 3 * * *", "timezone": "../../etc/passwd"},
        {"interval_s": -1},
        {"interval_s": 60, "count": 0},
        {"interval_s": 60, "count": 101},
    ],
    ids=str,
)
def test_a_schedule_that_cannot_be_is_refused(sqlite_cast: Cast, query: dict[str, Any]) -> None:
    answer = sqlite_cast.member.ask("GET", routes.SCHEDULE_EXPLANATION, params=query)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


def test_a_deleted_tracker_wakes_nobody_and_has_no_rules(cast: Cast) -> None:
    made = cast.member.new_tracker()
    cast.member.did("PUT", rules_path(made), {"schedule": {"interval_s": 60}})
    cast.nobody.http.post(made["ping_url"])

    cast.member.did("DELETE", routes.TRACKER.format(tracker_id=made["id"]))

    assert cast.member.ask("GET", rules_path(made)).status_code == 404
    assert cast.member.ask("PUT", rules_path(made), {}).status_code == 404
