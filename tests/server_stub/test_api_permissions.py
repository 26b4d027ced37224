"""Who may ask what: every authenticated route against everybody, as one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from tests.server_stub.cast import WHO, invited, unsubscribe_link

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast

# (method, path, body) and the statuses, in the order of WHO. {tracker} is one of the member's in
# the team, a fresh one for each of the seven; {key} is an API key of the member's.
IN_TEAM = "?account={team}"
TABLE: dict[tuple[str, str, str], tuple[int, ...]] = {
    ("GET", routes.ME, ""): (200, 200, 200, 200, 200, 200, 401),
    ("PATCH", routes.ME, '{"name": "New"}'): (200, 200, 200, 200, 200, 200, 401),
    ("PATCH", routes.ME, '{"default_account": "{team}"}'): (200, 200, 200, 200, 403, 404, 401),
    ("PATCH", routes.ACCOUNT, '{"timezone": "UTC"}'): (200, 200, 403, 403, 403, 404, 401),
    ("GET", routes.NAMING_KEY, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.PLAN, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.API_KEYS, ""): (200, 200, 200, 200, 200, 200, 401),
    ("POST", routes.API_KEYS, '{"name": "ci"}'): (201, 201, 201, 201, 201, 201, 401),
    ("DELETE", routes.API_KEY, ""): (404, 404, 204, 404, 404, 404, 401),
    ("POST", routes.TRACKERS + IN_TEAM, '{"name": "t"}'): (201, 201, 201, 201, 403, 404, 401),
    ("GET", routes.TRACKERS + IN_TEAM, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.TRACKER, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER + IN_TEAM, ""): (200, 200, 200, 403, 403, 404, 401),
    ("PATCH", routes.TRACKER, '{"name": "u"}'): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.TRACKER_ROTATE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_RUNS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_RULES, ""): (200, 200, 200, 403, 404, 404, 401),
    ("PUT", routes.TRACKER_RULES, "{}"): (200, 200, 200, 403, 404, 404, 401),
    ("PATCH", routes.TRACKER_RULES, "{}"): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_TRANSITIONS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_ASSERTIONS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.TRACKER_ASSERTIONS, '{"path": "a", "operator": "equals", "value": 1}'): (
        (201, 201, 201, 403, 404, 404, 401)
    ),
    ("GET", routes.TRACKER_ASSERTION, ""): (200, 200, 200, 403, 404, 404, 401),
    ("PATCH", routes.TRACKER_ASSERTION, '{"value": 2}'): (200, 200, 200, 403, 404, 404, 401),
    ("DELETE", routes.TRACKER_ASSERTION, ""): (204, 204, 204, 403, 404, 404, 401),
    ("POST", routes.ASSERTION_REPLAY, "{}"): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.ASSERTION_SUGGESTIONS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.SCHEDULE_EXPLANATION + "?cron=@daily", ""): (
        (200, 200, 200, 200, 200, 200, 401)
    ),
    ("GET", routes.TRACKER_FILE + IN_TEAM + "&tracker={tracker}", ""): (
        (200, 200, 200, 422, 403, 404, 401)
    ),
    ("PUT", routes.TRACKER_FILE + IN_TEAM, '{"trackers": []}'): (
        (200, 200, 200, 200, 403, 404, 401)
    ),
    ("GET", routes.TRACKER_CHANNELS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.TRACKER_CHANNELS, '{"kind": "email", "target": "ops@x.org"}'): (
        (201, 201, 201, 403, 404, 404, 401)
    ),
    ("GET", routes.CHANNEL, ""): (200, 200, 200, 403, 404, 404, 401),
    ("DELETE", routes.CHANNEL, ""): (204, 204, 204, 403, 404, 404, 401),
    ("POST", routes.CHANNEL_ROTATE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.CHANNEL_TEST, ""): (202, 202, 202, 403, 404, 404, 401),
    ("GET", routes.DELIVERIES + IN_TEAM, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.DELIVERY, ""): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.DELIVERY_AGAIN, ""): (202, 202, 202, 403, 404, 404, 401),
    ("POST", routes.TRACKER_SUBSCRIBE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("POST", routes.MAIL_TEST + IN_TEAM, ""): (202, 202, 202, 202, 403, 404, 401),
    ("GET", routes.UNSUBSCRIBE, ""): (200, 200, 200, 200, 200, 200, 200),
    ("POST", routes.UNSUBSCRIBE, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.TRACKER_FIELDS, ""): (200, 200, 200, 403, 404, 404, 401),
    ("PUT", routes.TRACKER_FIELD, '{"choice": "pinned"}'): (204, 204, 204, 403, 404, 404, 401),
    ("DELETE", routes.TRACKER_FIELD, ""): (204, 204, 204, 403, 404, 404, 401),
    ("GET", routes.TRACKER_SERIES + "?field=cost_usd", ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_BREAKDOWN, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_ARCHIVE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.TRACKER_SUMMARY, ""): (200, 200, 200, 403, 404, 404, 401),
    ("GET", routes.STATUS_PAGES + IN_TEAM, ""): (200, 200, 200, 200, 403, 404, 401),
    (
        "POST",
        routes.STATUS_PAGES + IN_TEAM,
        '{"title": "t", "trackers": [{"tracker": "{tracker}"}]}',
    ): ((201, 201, 201, 403, 403, 404, 401)),
    ("GET", routes.STATUS_PAGE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("PUT", routes.STATUS_PAGE, '{"title": "t", "trackers": [{"tracker": "{tracker}"}]}'): (
        (200, 200, 200, 403, 404, 404, 401)
    ),
    ("DELETE", routes.STATUS_PAGE, ""): (204, 204, 204, 403, 404, 404, 401),
    ("GET", routes.TRACKER_BADGE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("PUT", routes.TRACKER_BADGE, ""): (200, 200, 200, 403, 404, 404, 401),
    ("DELETE", routes.TRACKER_BADGE, ""): (204, 204, 204, 403, 404, 404, 401),
    ("GET", routes.PUBLIC_STATUS, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.PUBLIC_STATUS_DATA, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.PUBLIC_BADGE, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.METRICS_KEYS + IN_TEAM, ""): (200, 200, 403, 403, 403, 404, 401),
    ("POST", routes.METRICS_KEYS + IN_TEAM, '{"name": "k"}'): ((201, 201, 403, 403, 403, 404, 401)),
    ("DELETE", routes.METRICS_KEY, ""): (204, 204, 403, 403, 404, 404, 401),
    # It takes a metrics key, and no other: tests/server_stub/test_metrics.py.
    ("GET", routes.METRICS, ""): (401, 401, 401, 401, 401, 401, 401),
    ("DELETE", routes.TRACKER, ""): (204, 204, 204, 403, 404, 404, 401),
    ("PUT", routes.DEVICE_TRACKER + IN_TEAM, '{"name": "d"}'): (
        (201, 201, 201, 201, 403, 404, 401)
    ),
    ("POST", routes.TEAMS, '{"name": "Own"}'): (201, 201, 201, 201, 201, 201, 401),
    ("GET", routes.TEAMS, ""): (200, 200, 200, 200, 200, 200, 401),
    ("GET", routes.TEAM_MEMBERS, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.TEAM_USAGE, ""): (200, 200, 403, 403, 403, 404, 401),
    ("GET", routes.TEAM_INVITATIONS, ""): (200, 200, 403, 403, 403, 404, 401),
    ("POST", routes.TEAM_INVITATIONS, '{"email": "new@x.org"}'): (
        (201, 201, 403, 403, 403, 404, 401)
    ),
    ("GET", routes.INVITATION, ""): (200, 200, 200, 200, 200, 200, 200),
    ("POST", routes.INVITATION_ACCEPT, ""): (403, 403, 403, 403, 403, 403, 200),
    ("GET", routes.INVITATION_PAGE, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.USAGE + IN_TEAM + "&scope=team", ""): (200, 200, 403, 403, 403, 404, 401),
    ("GET", routes.USAGE + IN_TEAM + "&scope=mine", ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.SESSIONS + IN_TEAM + "&scope=team", ""): (200, 200, 403, 403, 403, 404, 401),
    ("GET", routes.SESSIONS + IN_TEAM + "&scope=mine", ""): (200, 200, 200, 200, 403, 404, 401),
    # Nobody has used anything yet: who may look finds no such session.
    ("GET", routes.SESSION_RUNS + IN_TEAM + "&scope=team", ""): (
        (404, 404, 403, 403, 403, 404, 401)
    ),
}


def asked(cast: Cast, who: str, method: str, path: str, body: str) -> int:
    key = cast.member.did("POST", routes.API_KEYS, {"name": "spare"})["id"]
    tracker = cast.member.new_tracker(account=cast.team)["id"]
    asserted = {"assertions": [{"path": "x", "operator": "equals", "value": 1, "id": "known"}]}
    cast.member.did("PUT", routes.TRACKER_RULES.format(tracker_id=tracker), asserted)
    token = invited(cast.owner, cast.team, f"{who}-{method}@example.com")
    places = {
        "{team}": cast.team,
        "{team_id}": cast.team,
        "{account_id}": cast.team,
        "{tracker_id}": tracker,
        "{tracker}": tracker,
        "{key_id}": key,
        "{assertion_id}": "known",
        "{device_id}": "laptop",
        "{source}": "codex",
        "{field}": "usage.cost_usd",
        "{invitation_token}": token,
    }
    if "{channel_id}" in path or "{delivery_id}" in path or "{unsubscribe_token}" in path:
        places |= told(cast, tracker)
    if "status" in path or "badge" in path or "metrics-keys" in path:
        places |= shown(cast, tracker, "{public_token}.svg" in path)
    for name, value in places.items():
        path, body = path.replace(name, value), body.replace(name, value)
    person = cast.everybody()[who]
    answer = person.ask(method, path, json.loads(body) if body else None)
    if not answer.is_success:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert problem["type"]
        assert problem["next"], problem
    return answer.status_code


def shown(cast: Cast, tracker: str, badge: bool) -> dict[str, str]:
    """Show a tracker of the member's on a status page and a badge; add a metrics key of the team's."""
    draft = {"title": "Status", "trackers": [{"tracker": tracker}]}
    page = cast.member.did("POST", routes.STATUS_PAGES, draft, account=cast.team)
    picture = cast.member.did("PUT", routes.TRACKER_BADGE.format(tracker_id=tracker))
    key = cast.owner.did("POST", routes.METRICS_KEYS, {"name": "k"}, account=cast.team)
    url = picture["url"].removesuffix(".svg") if badge else page["url"]
    return {
        "{page_id}": page["id"],
        "{public_token}": url.rsplit("/", 1)[1],
        "{key_id}": key["id"],
    }


def told(cast: Cast, tracker: str) -> dict[str, str]:
    """Give a tracker of the member's a webhook and a mailbox, and send one test to the latter."""
    path = routes.TRACKER_CHANNELS.format(tracker_id=tracker)
    made = {
        kind: cast.member.did("POST", path, {"kind": kind, "target": target})["channel"]["id"]
        for kind, target in (("webhook", "http://192.0.2.1/"), ("email", "grace@example.com"))
    }
    mailbox = {"tracker_id": tracker, "channel_id": made["email"]}
    return {
        "{channel_id}": made["webhook"],
        "{delivery_id}": cast.member.did("POST", routes.CHANNEL_TEST.format(**mailbox))["id"],
        "{unsubscribe_token}": unsubscribe_link(cast.settings, made["email"]),
    }


def test_everybody_may_do_exactly_what_the_table_says(cast: Cast) -> None:
    expected = {(who, *row): TABLE[row][place] for place, who in enumerate(WHO) for row in TABLE}

    found = {(who, *row): asked(cast, who, *row) for who in WHO for row in TABLE}

    assert found == expected


def test_the_table_leaves_no_route_of_the_api_out() -> None:
    open_to_all = {routes.PING, routes.PING_VERB, routes.OPENAPI, routes.HEALTH, routes.API}
    named = {
        value for name, value in vars(routes).items() if name.isupper() and isinstance(value, str)
    }

    assert {path.partition("?")[0] for _, path, _ in TABLE} == named - open_to_all


def test_a_refused_role_is_told_which_one_it_takes(cast: Cast) -> None:
    invite = cast.member.ask(
        "POST", routes.TEAM_INVITATIONS.format(team_id=cast.team), {"email": "new@x.org"}
    ).json()
    usage = cast.member.ask("GET", routes.USAGE, params={"scope": "team"}).json()

    assert invite["type"] == usage["type"] == "role-too-small"
    assert invite["detail"] == "it takes the role manager or owner"
    assert "telemhq usage --mine" in usage["next"]


def test_a_stranger_cannot_tell_an_account_that_is_not_theirs_from_one_that_is_not(
    cast: Cast,
) -> None:
    tracker = cast.member.new_tracker()["id"]

    def answers(path: str, there: str, not_there: str) -> tuple[object, object]:
        pair = [cast.outsider.ask("GET", path.format(name)).json() for name in (there, not_there)]
        return pair[0], str(pair[1]).replace(not_there, there)

    for path in (f"{routes.TEAMS}/{{}}/members", f"{routes.TRACKERS}/{{}}"):
        there = tracker if path.startswith(routes.TRACKERS) else cast.team
        met, missed = answers(path, there, "4711")
        assert str(met) == missed
