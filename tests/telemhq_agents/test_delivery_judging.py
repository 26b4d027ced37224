"""What commands ask about rules: how it goes over the wire, and what a server without them is."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from telemhq_agents.contract.judging import FileTracker, TrackerFile
from telemhq_agents.contract.rules import Assertion, Operator, Schedule
from telemhq_agents.delivery import judging
from telemhq_agents.delivery.client import ApiClient
from telemhq_agents.errors import NoSuchRouteError, RefusedError

Asked = list[httpx.Request]


def client(answer: httpx.Response, asked: Asked | None = None) -> ApiClient:
    def reply(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return answer

    return ApiClient(
        "http://server.test", "thq_x", account="9", transport=httpx.MockTransport(reply)
    )


def problem(kind: str, status: int) -> httpx.Response:
    return httpx.Response(status, json={"type": kind, "title": "No", "status": status})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="<h1>Not Found</h1>"),
        httpx.Response(405, text=""),
        problem("not-found", 404),
        problem("method-not-allowed", 405),
    ],
)
def test_a_server_without_the_route_is_named_as_one_that_does_not_know_it(
    answer: httpx.Response,
) -> None:
    with (
        client(answer) as api,
        pytest.raises(NoSuchRouteError, match=r"http://server\.test does not know rules"),
    ):
        judging.rules(api, "1")


def test_a_tracker_that_is_not_there_is_something_else() -> None:
    with client(problem("tracker-not-found", 404)) as api, pytest.raises(RefusedError):
        judging.rules(api, "1")


def test_a_change_of_rules_names_the_revision_that_it_is_about() -> None:
    asked: Asked = []
    answer: dict[str, Any] = {"revision": 3, "rules": {"failures_to_fail": 2}}

    with client(httpx.Response(200, json=answer), asked) as api:
        told = judging.change_rules(api, "a/b", {"schedule": Schedule("@daily")}, revision=2)
        judging.change_rules(api, "1", {})

    assert (told.revision, told.rules.failures_to_fail) == (3, 2)
    assert asked[0].url.raw_path == b"/api/v1/trackers/a%2Fb/rules"
    assert asked[0].headers["If-Match"] == '"2"'
    assert json.loads(asked[0].content)["schedule"]["cron"] == "@daily"
    assert "If-Match" not in asked[1].headers


def test_an_answer_without_a_body_is_one_where_none_is_expected() -> None:
    asked: Asked = []

    with client(httpx.Response(204), asked) as api:
        judging.remove_assertion(api, "1", "x y")

    assert asked[0].method == "DELETE"
    assert asked[0].url.raw_path == b"/api/v1/trackers/1/assertions/x%20y"


def test_a_replay_without_assertions_is_about_the_trackers_own() -> None:
    asked: Asked = []
    answer = {"assertions": [], "runs": 0, "failed": 0, "warned": 0, "broken": []}

    with client(httpx.Response(200, json=answer), asked) as api:
        judging.replay(api, "1", None, 5)
        judging.replay(api, "1", [Assertion("a", Operator.EQUALS, None)], 5)

    own, given = (json.loads(request.content) for request in asked)
    assert own == {"runs": 5}
    assert given["assertions"][0] == {
        "path": "a",
        "operator": "equals",
        "value": None,
        "severity": "fail",
        "id": "",
    }


def test_a_file_is_about_the_account_in_use() -> None:
    asked: Asked = []
    answer = {"applied": False, "added": [], "changed": [], "unchanged": [], "pruned": []}

    with client(httpx.Response(200, json=answer), asked) as api:
        judging.apply_tracker_file(
            api, TrackerFile([FileTracker(name="a")]), prune=True, dry_run=False
        )

    assert dict(asked[0].url.params) == {"account": "9", "prune": "true", "dry_run": "false"}
    assert json.loads(asked[0].content)["trackers"][0]["name"] == "a"
