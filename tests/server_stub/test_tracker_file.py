"""Trackers as code over HTTP: exported, applied whole or not at all, applied again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract import routes
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast, Person

NIGHTLY = {"cron": "0 3 * * *", "timezone": "Europe/Riga", "grace_s": 600}
HOOK = {"kind": "slack", "target": "https://hooks.example.com/T1/B2/secret"}
FULL: dict[str, Any] = {
    "name": "nightly import",
    "schedule": NIGHTLY,
    "failures_to_fail": 2,
    "assertions": [{"path": "items_processed", "operator": "greater_than", "value": 0}],
    "alerting": {"repeat_s": 3600, "channels": [HOOK]},
}


def names(changes: Any, kind: str) -> list[str]:
    return [one["name"] for one in changes[kind]]


def applied(person: Person, *trackers: dict[str, Any], **query: object) -> Any:
    return person.did("PUT", routes.TRACKER_FILE, {"trackers": list(trackers)}, **query)


def listed(person: Person) -> list[str]:
    return [one["name"] for one in person.got(routes.TRACKERS)]


def test_a_file_makes_its_trackers_and_applied_again_changes_nothing(cast: Cast) -> None:
    first = applied(cast.member, FULL, {"name": "plain"})
    again = applied(cast.member, FULL, {"name": "plain"})

    assert (names(first, "added"), first["applied"]) == (["nightly import", "plain"], True)
    assert names(again, "unchanged") == ["nightly import", "plain"]
    assert (again["added"], again["changed"], again["pruned"]) == ([], [], [])
    assert listed(cast.member) == ["nightly import", "plain"]
    made = cast.member.got(routes.TRACKER.format(tracker_id=first["added"][0]["id"]))
    assert (made["owner"], made["rules_revision"]) == ("grace@example.com", 0)
    assert cast.nobody.http.post(made["ping_url"]).status_code == 200


def test_what_is_kept_in_other_words_is_no_change_when_it_is_applied_again(cast: Cast) -> None:
    worded = {
        "name": " nightly import ",
        "snoozed_until": "2030-01-01T00:00:00+02:00",
        "assertions": FULL["assertions"],
        "alerting": {"channels": [{"kind": "email", "target": " Ops@Example.com "}]},
    }
    applied(cast.member, worded)

    again = applied(cast.member, worded)

    assert (again["changed"], names(again, "unchanged")) == ([], ["nightly import"])


def test_what_is_exported_applies_without_a_change_and_makes_the_same_elsewhere(
    cast: Cast,
) -> None:
    applied(cast.member, FULL)
    exported = cast.member.got(routes.TRACKER_FILE)

    again = cast.member.did("PUT", routes.TRACKER_FILE, exported)
    elsewhere = cast.outsider.did("PUT", routes.TRACKER_FILE, exported)

    assert names(again, "unchanged") == ["nightly import"]
    assert names(elsewhere, "added") == ["nightly import"]
    assert cast.outsider.got(routes.TRACKER_FILE) == exported
    [tracker] = exported["trackers"]
    assert {name: tracker[name] for name in ("name", "failures_to_fail")} == {
        "name": "nightly import",
        "failures_to_fail": 2,
    }
    assert tracker["schedule"] == {**NIGHTLY, "interval_s": 0}
    assert tracker["alerting"]["channels"] == [HOOK]
    assert tracker["assertions"] == [
        {
            "path": "items_processed",
            "operator": "greater_than",
            "value": 0,
            "severity": "fail",
            "id": "",
        }
    ]
    assert "whsec_" not in str(exported)


def test_a_dry_run_tells_the_difference_field_by_field_and_changes_nothing(cast: Cast) -> None:
    applied(cast.member, FULL, {"name": "old"})
    wanted = {**FULL, "schedule": {**NIGHTLY, "grace_s": 60}, "assertions": []}

    told = applied(cast.member, wanted, {"name": "new"}, dry_run=True, prune=True)

    assert told["applied"] is False
    assert (names(told, "added"), names(told, "pruned")) == (["new"], ["old"])
    assert told["added"][0]["id"] == ""
    fields = {one["field"]: (one["before"], one["after"]) for one in told["changed"][0]["fields"]}
    assert fields["schedule.grace_s"] == (600, 60)
    assert fields["assertions"][0]["path"] == "items_processed"
    assert fields["assertions"][1] is None
    assert len(fields) == 2
    assert listed(cast.member) == ["nightly import", "old"]
    assert applied(cast.member, FULL)["changed"] == []


def test_pruning_deletes_the_trackers_that_are_not_named_but_no_devices(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")
    cast.member.did("PUT", path, {"name": "Codex on laptop"})
    applied(cast.member, {"name": "kept"}, {"name": "old"})
    old = next(one for one in cast.member.got(routes.TRACKERS) if one["name"] == "old")

    told = applied(cast.member, {"name": "kept"}, prune=True)

    assert names(told, "pruned") == ["old"]
    assert listed(cast.member) == ["Codex on laptop", "kept"]
    assert cast.nobody.http.post(old["ping_url"]).status_code == 410


def test_a_devices_tracker_is_exported_and_changed_by_its_name_alone(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")
    made = cast.member.did("PUT", path, {"name": "Codex on laptop"})

    assert cast.member.got(routes.TRACKER_FILE)["trackers"] == []
    [tracker] = cast.member.got(routes.TRACKER_FILE, tracker="Codex on laptop")["trackers"]
    told = applied(cast.member, {**tracker, "failures_to_fail": 5})

    assert tracker["fail_on_status"] is False
    assert [one["id"] for one in told["changed"]] == [made["id"]]


def test_of_a_file_with_one_mistake_nothing_is_applied_and_every_mistake_is_named(
    cast: Cast,
) -> None:
    trackers = [
        {"name": "good"},
        {"name": "bad", "schedule": {"cron": "61 * * * *"}, "failures_to_fail": 0},
        {"name": " ", "min_duration_ms": -1},
        {"name": "good"},
    ]

    answer = cast.member.ask("PUT", routes.TRACKER_FILE, {"trackers": trackers})

    assert answer.status_code == 422
    assert {one["field"] for one in answer.json()["errors"]} == {
        "trackers[1].schedule.cron",
        "trackers[1].failures_to_fail",
        "trackers[2].name",
        "trackers[2].min_duration_ms",
        "trackers[3].name",
    }
    assert listed(cast.member) == []


def test_a_name_stands_for_one_tracker(cast: Cast) -> None:
    cast.member.new_tracker("twin")
    cast.member.new_tracker("twin")
    cast.member.new_tracker("alone")

    in_file = cast.member.ask(
        "PUT", routes.TRACKER_FILE, {"trackers": [{"name": "a"}, {"name": "a "}]}
    )
    stored = cast.member.ask("PUT", routes.TRACKER_FILE, {"trackers": [{"name": "twin"}]})
    exported = cast.member.ask("GET", routes.TRACKER_FILE)

    assert in_file.status_code == 422
    assert in_file.json()["errors"][0]["field"] == "trackers[1].name"
    assert (stored.status_code, exported.status_code) == (409, 409)
    assert "'twin'" in stored.json()["title"]
    assert cast.member.got(routes.TRACKER_FILE, tracker="alone")["trackers"][0]["name"] == "alone"
    assert applied(cast.member, {"name": "alone"})["unchanged"][0]["name"] == "alone"


def test_an_export_of_a_name_that_is_not_there_is_refused(cast: Cast) -> None:
    cast.colleague.new_tracker("of carl")

    answer = cast.member.ask("GET", routes.TRACKER_FILE, params={"tracker": "of carl"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "tracker"


def test_a_file_of_another_version_is_refused(cast: Cast) -> None:
    answer = cast.member.ask("PUT", routes.TRACKER_FILE, {"version": 2, "trackers": []})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "version"


def test_members_apply_to_their_own_trackers_and_managers_to_everybodys(cast: Cast) -> None:
    cast.colleague.new_tracker("shared name")

    members = applied(cast.member, {"name": "shared name"})
    managers = cast.manager.ask("PUT", routes.TRACKER_FILE, {"trackers": [{"name": "shared name"}]})
    pruned = applied(cast.manager, prune=True, dry_run=True)

    assert names(members, "added") == ["shared name"]
    assert managers.status_code == 409
    assert {one["owner"] for one in pruned["pruned"]} == {"grace@example.com", "carl@example.com"}


def test_the_same_file_applied_by_many_at_once_makes_each_tracker_once(cast: Cast) -> None:
    trackers = [{"name": f"t{number}"} for number in range(5)]

    def apply(_: int) -> int:
        return cast.member.ask("PUT", routes.TRACKER_FILE, {"trackers": trackers}).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(apply, range(8)))

    assert set(codes) <= {200, 409}
    assert listed(cast.member) == [f"t{number}" for number in range(5)]


def test_a_file_larger_than_other_bodies_is_taken_up_to_a_mebibyte(cast: Cast) -> None:
    trackers = [{**FULL, "name": f"import {number:04}"} for number in range(600)]

    told = applied(cast.member, *trackers)
    too_large = cast.member.ask(
        "PUT", routes.TRACKER_FILE, {"trackers": [{"name": "x" * (1024 * 1024)}]}
    )

    assert len(told["added"]) == 600
    assert len(applied(cast.member, *trackers)["unchanged"]) == 600
    assert too_large.status_code == 413


def test_a_plan_has_room_for_a_whole_file_or_for_nothing_of_it(cast: Cast) -> None:
    run_sql(
        cast.settings,
        "UPDATE accounts SET plan = 'free' WHERE id = :team",
        team=int(cast.team),
    )
    five = [{"name": f"t{number}"} for number in range(5)]
    applied(cast.member, *five)
    more = {"trackers": [*five[1:], {"name": "new"}, {"name": "newer"}]}

    for query in ({}, {"dry_run": True}, {"prune": True}, {"prune": True, "dry_run": True}):
        answer = cast.member.ask("PUT", routes.TRACKER_FILE, more, query)
        assert answer.status_code == 402, (query, answer.text)
    assert listed(cast.member) == [f"t{number}" for number in range(5)]

    applied(cast.member, *five[1:], {"name": "new"}, prune=True, dry_run=True)
    applied(cast.member, *five[1:], {"name": "new"}, prune=True)
    assert listed(cast.member) == ["new", "t1", "t2", "t3", "t4"]


def test_a_file_that_changes_what_a_tracker_must_hold_is_judged_by_at_once(cast: Cast) -> None:
    applied(cast.member, {"name": "nightly"})
    url = cast.member.got(routes.TRACKERS)[0]["ping_url"]
    cast.nobody.http.post(url, json={"items_processed": 0})

    told = applied(cast.member, {**FULL, "name": "nightly", "failures_to_fail": 1})
    cast.nobody.http.post(url, json={"items_processed": 0})

    assert names(told, "changed") == ["nightly"]
    tracker = cast.member.got(routes.TRACKERS)[0]
    assert (tracker["state"], tracker["rules_revision"]) == ("failing", 1)
    assert tracker["due_at"] is not None
