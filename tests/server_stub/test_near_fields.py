"""A field that nobody knows is asked about, as deep in a document as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast

ASSERTION = {"path": "rows", "operator": "equals", "value": 1}
MISTYPED: list[tuple[dict[str, Any], str, str]] = [
    ({"failure_to_fail": 2}, "body.failure_to_fail", "failures_to_fail"),
    ({"alerting": {"mutd": True}}, "body.alerting.mutd", "muted"),
    ({"schedule": {"corn": "0 6 * * *"}}, "body.schedule.corn", "cron"),
    ({"summary": {"evry": "day"}}, "body.summary.evry", "every"),
    ({"assertions": [ASSERTION | {"severty": "warn"}]}, "severty", "severity"),
]


@pytest.mark.parametrize(("body", "field", "meant"), MISTYPED)
def test_an_unknown_field_of_rules_is_asked_about(
    cast: Cast, body: dict[str, Any], field: str, meant: str
) -> None:
    path = routes.TRACKER_RULES.format(tracker_id=cast.owner.new_tracker("nightly")["id"])

    answer = cast.owner.ask("PATCH", path, body)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"].endswith(field)
    assert error["message"] == f"there is no such field; did you mean {meant!r}?"


def test_an_unknown_question_is_asked_about(cast: Cast) -> None:
    answer = cast.owner.ask("GET", routes.USAGE, params={"projcet": "api"})

    [error] = answer.json()["errors"]
    assert error == {
        "field": "query.projcet",
        "message": "there is no such field; did you mean 'project'?",
    }


def test_a_field_like_no_other_is_only_refused(cast: Cast) -> None:
    path = routes.TRACKER_RULES.format(tracker_id=cast.owner.new_tracker("nightly")["id"])

    answer = cast.owner.ask("PATCH", path, {"shoe": 46})

    assert answer.json()["errors"] == [{"field": "body.shoe", "message": "there is no such field"}]
