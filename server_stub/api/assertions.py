"""Assertions: rules for payloads, one by one, tried on runs that are there, and suggested."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from server_stub.api import refusals, shapes
from server_stub.api.caller import CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.rules import change_rules, checked, stored_rules
from server_stub.api.sound import SoundAssertion, SoundValue
from server_stub.api.trackers import ChangeableTracker, SeenTracker
from server_stub.domain.assertion import suggested
from server_stub.domain.replay import replay
from server_stub.domain.tracker_file import says_the_same
from server_stub.store import past_runs
from telemhq_agents.clock import monotonic_ns
from telemhq_agents.contract import judging, routes
from telemhq_agents.contract.judging import MOST_REPLAYED
from telemhq_agents.contract.rules import MOST_ASSERTIONS, Assertion, Operator, Rules, Severity

router = APIRouter(tags=["assertions"])

DEFAULT_REPLAYED = 100
DEFAULT_SUGGESTED_FROM = 50
LONGEST_REPLAY_NS = 5_000_000_000


class AssertionChange(BaseModel):
    """What may be changed of an assertion. A `value` of null is a value."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = None
    operator: Operator | None = None
    value: SoundValue = None
    severity: Severity | None = None


class ReplayRequest(BaseModel):
    """What to try on how many of the latest runs; without `assertions` the tracker's own."""

    model_config = ConfigDict(extra="forbid")

    assertions: Annotated[list[SoundAssertion], Field(max_length=MOST_ASSERTIONS)] | None = None
    runs: Annotated[StrictInt, Field(ge=1, le=MOST_REPLAYED)] = DEFAULT_REPLAYED


@router.get(routes.TRACKER_ASSERTIONS, responses=refusing(401, 403, 404))
def list_assertions(tracker: SeenTracker, store: CurrentStore) -> list[Assertion]:
    """List a tracker's assertions."""
    return stored_rules(store, tracker).rules.assertions


@router.post(
    routes.TRACKER_ASSERTIONS, status_code=201, responses=refusing(*BODY, 401, 403, 404, 409)
)
def add_assertion(
    tracker: ChangeableTracker, store: CurrentStore, body: SoundAssertion
) -> Assertion:
    """Add an assertion; runs are judged by it from now on. Its equal, where there is one, stays."""

    def with_it(before: Rules) -> Rules:
        if any(says_the_same(body, one) for one in before.assertions):
            return before
        return replace(before, assertions=[*before.assertions, body])

    after = change_rules(store, tracker, with_it).rules.assertions
    return next(one for one in after if says_the_same(body, one))


@router.get(routes.TRACKER_ASSERTION, responses=refusing(401, 403, 404))
def show_assertion(tracker: SeenTracker, store: CurrentStore, assertion_id: str) -> Assertion:
    """Show one assertion."""
    return _found(stored_rules(store, tracker).rules, assertion_id)


@router.patch(routes.TRACKER_ASSERTION, responses=refusing(*BODY, 401, 403, 404, 409))
def change_assertion(
    tracker: ChangeableTracker, store: CurrentStore, assertion_id: str, change: AssertionChange
) -> Assertion:
    """Change an assertion; runs that were judged keep their verdicts."""
    patch = change.model_dump(exclude_unset=True)
    given = {name: value for name, value in patch.items() if name == "value" or value is not None}

    def with_it_changed(before: Rules) -> Rules:
        known = _found(before, assertion_id)
        wanted = msgspec.convert(msgspec.to_builtins(known) | given, Assertion)
        stays = [wanted if one is known else one for one in before.assertions]
        return replace(before, assertions=stays)

    return _found(change_rules(store, tracker, with_it_changed).rules, assertion_id)


@router.delete(routes.TRACKER_ASSERTION, status_code=204, responses=refusing(401, 403, 404, 409))
def remove_assertion(tracker: ChangeableTracker, store: CurrentStore, assertion_id: str) -> None:
    """Remove an assertion; runs that were judged keep their verdicts."""

    def without_it(before: Rules) -> Rules:
        gone = _found(before, assertion_id)
        stays = [one for one in before.assertions if one is not gone]
        return replace(before, assertions=stays)

    change_rules(store, tracker, without_it)


@router.post(routes.ASSERTION_REPLAY, responses=refusing(*BODY, 401, 403, 404))
def replay_assertions(
    tracker: SeenTracker, store: CurrentStore, body: ReplayRequest
) -> judging.AssertionReplay:
    """Tell which of the latest runs assertions would have failed; nothing is changed.

    It stops after five seconds: `runs` says how many it has looked at.
    """
    if body.assertions is None:
        tried = stored_rules(store, tracker).rules
    else:
        tried = checked(Rules(assertions=body.assertions), Rules())
    with store.read() as connection:
        found = past_runs.latest(connection, tracker.account_id, tracker.id, body.runs)
    until_ns = monotonic_ns() + LONGEST_REPLAY_NS
    tried_on = replay(tried.assertions, found, lambda: monotonic_ns() < until_ns)
    return shapes.replay(tried.assertions, tried_on)


@router.get(routes.ASSERTION_SUGGESTIONS, responses=refusing(401, 403, 404))
def suggest_assertions(
    tracker: SeenTracker,
    store: CurrentStore,
    runs_looked_at: Annotated[
        int, Query(alias="runs", ge=1, le=MOST_REPLAYED, description="How many of the latest.")
    ] = DEFAULT_SUGGESTED_FROM,
) -> list[Assertion]:
    """Suggest assertions that the latest runs kept to and that the tracker does not have yet."""
    known = stored_rules(store, tracker).rules.assertions
    with store.read() as connection:
        found = past_runs.latest(connection, tracker.account_id, tracker.id, runs_looked_at)
    taken = {(one.path, one.operator) for one in known}
    return [
        one
        for one in suggested([run.payload for run in found])
        if (one.path, one.operator) not in taken
    ]


def _found(rules: Rules, assertion_id: str) -> Assertion:
    found = next((one for one in rules.assertions if one.id == assertion_id), None)
    if found is None:
        raise refusals.not_found("assertion", assertion_id)
    return found
