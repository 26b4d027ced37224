"""Who may ask what: every authenticated route against everybody, as one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from tests.server_stub.cast import WHO, invited

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
    ("DELETE", routes.TRACKER, ""): (204, 204, 204, 403, 404, 404, 401),
    ("PUT", routes.DEVICE_TRACKER + IN_TEAM, '{"name": "d"}'): (
        (201, 201, 201, 201, 403, 404, 401)
    ),
    ("POST", routes.TEAMS, '{"name": "Own"}'): (201, 201, 201, 201, 201, 201, 401),
    ("GET", routes.TEAMS, ""): (200, 200, 200, 200, 200, 200, 401),
    ("GET", routes.TEAM_MEMBERS, ""): (200, 200, 200, 200, 403, 404, 401),
    ("GET", routes.TEAM_INVITATIONS, ""): (200, 200, 403, 403, 403, 404, 401),
    ("POST", routes.TEAM_INVITATIONS, '{"email": "new@x.org"}'): (
        (201, 201, 403, 403, 403, 404, 401)
    ),
    ("GET", routes.INVITATION, ""): (200, 200, 200, 200, 200, 200, 200),
    ("POST", routes.INVITATION_ACCEPT, ""): (403, 403, 403, 403, 403, 403, 200),
    ("GET", routes.INVITATION_PAGE, ""): (200, 200, 200, 200, 200, 200, 200),
    ("GET", routes.USAGE + IN_TEAM + "&scope=team", ""): (200, 200, 403, 403, 403, 404, 401),
    ("GET", routes.USAGE + IN_TEAM + "&scope=mine", ""): (200, 200, 200, 200, 403, 404, 401),
}


def asked(cast: Cast, who: str, method: str, path: str, body: str) -> int:
    key = cast.member.did("POST", routes.API_KEYS, {"name": "spare"})["id"]
    tracker = cast.member.new_tracker(account=cast.team)["id"]
    token = invited(cast.owner, cast.team, f"{who}-{method}@example.com")
    places = {
        "{team}": cast.team,
        "{team_id}": cast.team,
        "{account_id}": cast.team,
        "{tracker_id}": tracker,
        "{tracker}": tracker,
        "{key_id}": key,
        "{device_id}": "laptop",
        "{source}": "codex",
        "{invitation_token}": token,
    }
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


def test_everybody_may_do_exactly_what_the_table_says(cast: Cast) -> None:
    expected = {(who, *row): TABLE[row][place] for place, who in enumerate(WHO) for row in TABLE}

    found = {(who, *row): asked(cast, who, *row) for who in WHO for row in TABLE}

    assert found == expected


def test_the_table_leaves_no_route_of_the_api_out() -> None:
    open_to_all = {routes.PING, routes.OPENAPI, routes.HEALTH, routes.API}
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
