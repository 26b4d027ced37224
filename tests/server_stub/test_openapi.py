"""The OpenAPI document and the server say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import TypeAdapter

from telemhq_agents.contract import deliveries, judging, public, resources, routes, series
from telemhq_agents.contract.problem import Problem
from telemhq_agents.contract.rules import Assertion
from tests.server_stub.cast import invited

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast, Person

PUBLIC = {
    routes.PUBLIC_STATUS,
    routes.PUBLIC_STATUS_DATA,
    routes.PUBLIC_BADGE,
    routes.PING,
    routes.PING_VERB,
    routes.HEALTH,
    routes.INVITATION,
    routes.INVITATION_PAGE,
    routes.INVITATION_ACCEPT,
    routes.UNSUBSCRIBE,
}


@pytest.fixture
def document(sqlite_cast: Cast) -> dict[str, Any]:
    found: dict[str, Any] = sqlite_cast.nobody.got(routes.OPENAPI)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def test_every_route_is_in_the_document_and_nothing_else(document: dict[str, Any]) -> None:
    named = {
        value for name, value in vars(routes).items() if name.isupper() and isinstance(value, str)
    }

    assert set(document["paths"]) == named - {routes.OPENAPI, routes.API}


def test_every_operation_says_what_it_does_and_what_comes_back(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        good = [status for status in operation["responses"] if status.startswith("2")]
        assert good, (path, method)
        assert operation.get("description") or operation.get("summary"), (path, method)


def test_every_refusal_is_a_problem_body(document: dict[str, Any]) -> None:
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, method, operation in operations(document):
        refusals = {
            status: answer
            for status, answer in operation["responses"].items()
            if status.startswith(("4", "5"))
        }
        assert refusals, (path, method)
        for status, answer in refusals.items():
            assert answer["content"] == {"application/problem+json": {"schema": problem}}, (
                path,
                method,
                status,
            )
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "next",
        "errors",
    }


def test_everything_but_pings_invitations_and_health_asks_for_a_key(
    document: dict[str, Any],
) -> None:
    for path, method, operation in operations(document):
        if path not in PUBLIC:
            scheme = "MetricsKey" if path == routes.METRICS else "HTTPBearer"
            assert operation["security"] == [{scheme: []}], (path, method)
            assert "401" in operation["responses"], (path, method)


def test_an_invitation_is_accepted_with_a_key_or_without(document: dict[str, Any]) -> None:
    security = document["paths"][routes.INVITATION_ACCEPT]["post"]["security"]

    assert sorted(map(str, security)) == ["{'HTTPBearer': []}", "{}"]


def test_whatever_may_happen_anywhere_is_said_everywhere(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert {"500", "503"} <= set(operation["responses"]), (path, method)
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= set(operation["responses"]), (path, method)
            # A body that never comes whole.
            assert "408" in operation["responses"] or path == routes.PING, (path, method)


def test_only_what_can_be_refused_is_said_to_be(document: dict[str, Any]) -> None:
    invitations = document["paths"][routes.TEAM_INVITATIONS]
    assert "409" in invitations["post"]["responses"]
    assert "409" not in invitations["get"]["responses"]
    assert set(document["paths"][routes.HEALTH]["get"]["responses"]) == {"200", "500", "503"}


def test_a_method_that_is_not_allowed_is_told_every_one_that_is(sqlite_cast: Cast) -> None:
    document = sqlite_cast.nobody.got(routes.OPENAPI)
    for path, methods in document["paths"].items():
        if path not in {routes.PING, routes.PING_VERB}:
            answer = sqlite_cast.owner.ask("OPTIONS", path)
            assert answer.status_code == 405, path
            assert answer.headers["allow"].split(", ") == sorted(map(str.upper, methods)), path
    assert sqlite_cast.nobody.ask("POST", routes.OPENAPI).headers["allow"] == "GET, HEAD"
    assert sqlite_cast.nobody.ask("OPTIONS", "/nowhere").status_code == 404


def schema_of(document: dict[str, Any], path: str, method: str, name: str) -> dict[str, Any]:
    operation = document["paths"][path][method]
    for parameter in operation.get("parameters", []):
        if parameter["name"] == name:
            schema: dict[str, Any] = parameter["schema"]
            return plain(schema)
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    described = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    return plain(described["properties"][name])


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says of texts (of each, in a list): null apart."""
    kinds: list[dict[str, Any]] = schema.get("anyOf", [schema])
    (text,) = [kind for kind in kinds if kind.get("type") != "null"]
    each: dict[str, Any] = text.get("items", text)
    return each


# (path, method, field, texts that are refused, a text that is not)
TEXTS: list[tuple[str, str, str, list[str], str]] = [
    (routes.TRACKERS, "post", "name", ["", " ", "a" * 101, "a\x00"], "nightly"),
    (routes.TRACKER, "patch", "name", ["", " ", "a" * 101, "a\x00"], "nightly"),
    (routes.DEVICE_TRACKER, "put", "name", ["", " ", "a" * 101], "Codex on laptop"),
    (routes.TEAMS, "post", "name", ["", " ", "a" * 101], "Engines ☂"),
    (routes.API_KEYS, "post", "name", ["", " ", "a" * 101], "ci"),
    (routes.METRICS_KEYS, "post", "name", ["", " ", "a" * 101], "prometheus"),
    (routes.TRACKER_SERIES, "get", "field", ["", "a" * 301, "a\x00"], "usage.cost_usd"),
    (routes.TRACKER_SERIES, "get", "project", ["a\x00b"], ""),
    (routes.TRACKER_ARCHIVE, "get", "cursor", ["", "next", "1" * 20], "1"),
    (routes.ME, "patch", "name", ["", " ", "a" * 101], "Ada Lovelace"),
    (routes.ACCOUNT, "patch", "name", ["", " ", "a" * 101], "Engines"),
    (routes.ACCOUNT, "patch", "timezone", [""], "Asia/Kolkata"),
    (routes.TEAM_INVITATIONS, "post", "email", ["", "ada"], "new@example.com"),
    (routes.TRACKER_RUNS, "get", "cursor", ["", "next", "1" * 20], "1"),
    (routes.TRACKER_TRANSITIONS, "get", "cursor", ["", "next", "1" * 20], "1"),
    (routes.TRACKER_FILE, "get", "tracker", ["a\x00b"], "nightly"),
    (routes.DELIVERIES, "get", "cursor", ["", "next", "1" * 20], "1"),
    (routes.USAGE, "get", "since", ["", "now", "2026"], "2026-03-01"),
    (routes.USAGE, "get", "until", ["", "now", "2026-3-1"], "2026-03-01T09:00:00.5+05:30"),
    (routes.USAGE, "get", "group_by", ["decade", "day,decade"], "day,week"),
    (routes.USAGE, "get", "project", ["a\x00b"], ""),
    (routes.USAGE, "get", "model", ["a\x00b"], ""),
    (routes.USAGE, "get", "source", ["a\x00b"], ""),
    (routes.USAGE, "get", "member", ["\x00"], "me"),
    (routes.USAGE, "get", "tracker", ["\x00"], "nightly"),
    (routes.SESSIONS, "get", "session", ["a\x00b"], "01a1"),
    (routes.SESSIONS, "get", "since", ["", "now"], "2026-03-01"),
]


def allows(schema: dict[str, Any], text: str) -> bool:
    long_enough = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
    return long_enough and re.search(schema.get("pattern", ""), text) is not None


def test_the_schema_and_the_server_refuse_the_same_texts(sqlite_cast: Cast) -> None:
    document = sqlite_cast.nobody.got(routes.OPENAPI)
    tracker = sqlite_cast.owner.new_tracker("nightly")["id"]
    places = {
        "tracker_id": tracker,
        "account_id": sqlite_cast.team,
        "team_id": sqlite_cast.team,
        "device_id": "d-1",
        "source": "codex",
    }
    for path, method, field, refused, good in TEXTS:
        schema = schema_of(document, path, method, field)
        for text in (*refused, good):
            given = {field: text}
            answer = sqlite_cast.owner.ask(
                method.upper(),
                path.format(**places),
                None if method == "get" else given,
                given if method == "get" else None,
            )
            expected = text == good
            assert (answer.status_code != 422) is expected, (path, field, text, answer.text)
            assert allows(schema, text) is expected, (path, field, text, schema)


def test_ids_that_a_schema_refers_to_are_there(document: dict[str, Any]) -> None:
    text = msgspec.json.encode(document).decode()
    for name in ("Me", "Tracker", "RunPage", "Joined", "UsageTable", "Receipt", "Instructions"):
        assert f'"{name}":' in text
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])


def judging_answers(person: Person, tracker_id: str) -> list[tuple[Any, Any]]:
    def path(route: str) -> str:
        return route.format(tracker_id=tracker_id)

    rules = {
        "schedule": {"cron": "@daily", "timezone": "Europe/Riga"},
        "assertions": [{"path": "items", "operator": "one_of", "value": [1, "a", None]}],
        "maintenance": [{"cron": "0 2 * * 0", "length_s": 3600}],
        "alerting": {"channels": [{"kind": "email", "target": "ops@example.com"}]},
    }
    file = {"trackers": [{"name": "nightly", **rules}, {"name": "new"}]}
    return [
        (judging.TrackerRules, person.did("PUT", path(routes.TRACKER_RULES), rules)),
        (list[Assertion], person.got(path(routes.TRACKER_ASSERTIONS))),
        (judging.TransitionPage, person.got(path(routes.TRACKER_TRANSITIONS))),
        (judging.AssertionReplay, person.did("POST", path(routes.ASSERTION_REPLAY), {})),
        (judging.ScheduleExplanation, person.got(routes.SCHEDULE_EXPLANATION, interval_s=60)),
        (judging.TrackerFileChanges, person.did("PUT", routes.TRACKER_FILE, file)),
        (judging.TrackerFile, person.got(routes.TRACKER_FILE)),
        (resources.Tracker, person.got(path(routes.TRACKER))),
    ]


def alert_answers(person: Person, tracker_id: str) -> list[tuple[Any, Any]]:
    path = routes.TRACKER_CHANNELS.format(tracker_id=tracker_id)
    drafts = [
        {"kind": "webhook", "target": "http://192.0.2.1/"},
        {"kind": "email", "target": "grace@example.com"},
    ]
    made = [person.did("POST", path, draft) for draft in drafts]
    places = [{"tracker_id": tracker_id, "channel_id": one["channel"]["id"]} for one in made]
    sent = [person.did("POST", routes.CHANNEL_TEST.format(**place)) for place in places]
    details = [person.got(routes.DELIVERY.format(delivery_id=one["id"])) for one in sent]
    return [
        *((deliveries.NewSecret, one) for one in made),
        *((deliveries.Delivery, one) for one in sent),
        *((deliveries.DeliveryDetail, one) for one in details),
        (list[deliveries.TrackerChannel], person.got(path)),
        (deliveries.TrackerChannel, person.got(routes.CHANNEL.format(**places[0]))),
        (deliveries.NewSecret, person.did("POST", routes.CHANNEL_ROTATE.format(**places[0]))),
        (deliveries.DeliveryPage, person.got(routes.DELIVERIES)),
    ]


def chart_answers(person: Person, tracker_id: str) -> list[tuple[Any, Any]]:
    def path(route: str) -> str:
        return route.format(tracker_id=tracker_id)

    draft = {"title": "Status", "trackers": [{"tracker": tracker_id, "label": "Nightly"}]}
    page = person.did("POST", routes.STATUS_PAGES, draft)
    data = person.http.get(f"/status/{page['url'].rsplit('/', 1)[1]}/status.json").json()
    return [
        (series.TrackerFields, person.got(path(routes.TRACKER_FIELDS))),
        (series.Series, person.got(path(routes.TRACKER_SERIES), field="input_tokens")),
        (series.Series, person.got(path(routes.TRACKER_SERIES), field="input_tokens", width=1)),
        (series.Archive, person.got(path(routes.TRACKER_ARCHIVE))),
        (series.TrackerSummary, person.got(path(routes.TRACKER_SUMMARY))),
        (public.StatusPage, page),
        (list[public.StatusPage], person.got(routes.STATUS_PAGES)),
        (public.PublicStatus, data),
        (public.Badge, person.did("PUT", path(routes.TRACKER_BADGE))),
    ]


def test_real_answers_are_the_contracts_records_field_by_field(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    cast.nobody.http.post(tracker["ping_url"], json={"input_tokens": 1})
    token = invited(cast.owner, cast.team, "new@example.com")
    invitation = routes.INVITATION.format(invitation_token=token)
    answers: list[tuple[Any, Any]] = [
        (resources.Me, cast.member.got(routes.ME)),
        (list[resources.ApiKey], cast.member.got(routes.API_KEYS)),
        (resources.NewApiKey, cast.member.did("POST", routes.API_KEYS, {"name": "ci"})),
        (resources.Tracker, tracker),
        (list[resources.Tracker], cast.member.got(routes.TRACKERS)),
        (
            resources.RunPage,
            cast.member.got(routes.TRACKER_RUNS.format(tracker_id=tracker["id"])),
        ),
        (list[resources.Account], cast.member.got(routes.TEAMS)),
        (
            list[resources.Member],
            cast.member.got(routes.TEAM_MEMBERS.format(team_id=cast.team)),
        ),
        *judging_answers(cast.member, tracker["id"]),
        *chart_answers(cast.member, tracker["id"]),
        (public.NewMetricsKey, cast.owner.did("POST", routes.METRICS_KEYS, {"name": "k"})),
        (list[public.MetricsKey], cast.owner.got(routes.METRICS_KEYS)),
        *alert_answers(cast.member, cast.member.new_tracker()["id"]),
        (resources.Invitation, cast.nobody.got(invitation)),
        (resources.Joined, cast.nobody.did("POST", f"{invitation}/accept")),
        (Problem, cast.nobody.ask("GET", routes.ME).json()),
    ]

    for record, answer in answers:
        read = msgspec.convert(answer, record)
        assert msgspec.to_builtins(read) == answer
        TypeAdapter(record).validate_python(answer)
