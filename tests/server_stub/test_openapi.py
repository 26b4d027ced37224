"""The OpenAPI document and the server say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import TypeAdapter

from telemhq_agents.contract import resources, routes
from telemhq_agents.contract.problem import Problem
from tests.server_stub.cast import invited

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast

PUBLIC = {
    routes.PING,
    routes.HEALTH,
    routes.INVITATION,
    routes.INVITATION_PAGE,
    routes.INVITATION_ACCEPT,
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
        if path != routes.HEALTH:
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
            assert operation["security"] == [{"HTTPBearer": []}], (path, method)
            assert "401" in operation["responses"], (path, method)


def test_ids_that_a_schema_refers_to_are_there(document: dict[str, Any]) -> None:
    text = msgspec.json.encode(document).decode()
    for name in ("Me", "Tracker", "RunPage", "Joined", "UsageTable", "Receipt", "Instructions"):
        assert f'"{name}":' in text
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])


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
        (resources.Invitation, cast.nobody.got(invitation)),
        (resources.Joined, cast.nobody.did("POST", f"{invitation}/accept")),
        (Problem, cast.nobody.ask("GET", routes.ME).json()),
    ]

    for record, answer in answers:
        read = msgspec.convert(answer, record)
        assert msgspec.to_builtins(read) == answer
        TypeAdapter(record).validate_python(answer)
