"""Trackers as code: all of them as one document, and what it would change."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from server_stub.api import refusals, shapes
from server_stub.api.caller import Acting, CurrentAccount, CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.rules import ATTEMPTS, checked
from server_stub.api.sound import SoundTrackerFile
from server_stub.api.texts import FilterTexts
from server_stub.domain.credentials import new_token
from server_stub.domain.membership import Action, may
from server_stub.domain.naming import clean_name
from server_stub.domain.rule_error import RulesError
from server_stub.domain.rules import check_rules
from server_stub.domain.tracker_file import (
    Difference,
    KnownTracker,
    ambiguous,
    difference,
    file_tracker,
    rules_of,
    twice,
)
from server_stub.store import plans, tracker_file
from server_stub.store.tracker_file import Reach
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.judging import (
    FILE_VERSION,
    TrackerChange,
    TrackerFile,
    TrackerFileChanges,
)
from telemhq_agents.contract.problem import FieldProblem
from telemhq_agents.contract.rules import Rules
from telemhq_agents.errors import UsageError

router = APIRouter(tags=["trackers as code"])

Wanted = list[tuple[str, Rules]]


@router.get(routes.TRACKER_FILE, responses=refusing(401, 403, 404, 409))
def export_trackers(
    acting: CurrentAccount,
    store: CurrentStore,
    tracker: Annotated[
        FilterTexts, Query(description="Only these, by name or id; a device's too.")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> TrackerFile:
    """Write the trackers that you may change, by name, with their rules and without secrets.

    Those that a login made for a device are left out unless they are named.
    """
    with store.read() as connection:
        known = tracker_file.known(connection, _reach(acting))
    meant = _named(known, tracker) if tracker else [one for one in known if not one.of_device]
    doubles = twice(one.name for one in meant)
    if doubles:
        raise refusals.ambiguous_names(doubles, "there are")
    return TrackerFile([file_tracker(one.name, one.rules) for one in meant])


@router.put(routes.TRACKER_FILE, responses=refusing(*BODY, 401, 402, 403, 404, 409))
def apply_trackers(
    acting: CurrentAccount,
    store: CurrentStore,
    body: SoundTrackerFile,
    prune: Annotated[bool, Query(description="Delete the trackers that it does not name.")] = False,
    dry_run: Annotated[bool, Query(description="Only tell what would change.")] = False,
) -> TrackerFileChanges:
    """Make the trackers that you may change what a document says: all of it, or nothing.

    They are matched by name. What is as it should be is left alone, and so are trackers of devices
    that it does not name.
    """
    acting.require(Action.CREATE_TRACKER)
    wanted = _wanted(body)
    reach = _reach(acting)
    for _ in range(ATTEMPTS):
        with store.read() as connection:
            known = tracker_file.known(connection, reach)
        met = _difference(known, wanted, prune=prune)
        if dry_run:
            with store.read() as connection:
                more = len(met.added) - len(met.pruned)
                plans.check_room(connection, acting.account_id, more)
            return _shown(met, ("",) * len(met.added), applied=False)
        applied = partial(
            tracker_file.apply,
            reach=reach,
            seen=known,
            difference=met,
            made_by=acting.caller.user_id,
            tokens=[new_token() for _ in met.added],
            now_ms=now_ms(),
        )
        added = store.write(applied)
        if added is not None:
            return _shown(met, [str(one) for one in added], applied=True)
    raise refusals.busy_elsewhere()


def _reach(acting: Acting) -> Reach:
    everybody = may(acting.membership.role, Action.CHANGE_ANY_TRACKER)
    return Reach(acting.account_id, None if everybody else acting.caller.user_id)


def _named(known: Sequence[KnownTracker], names: Sequence[str]) -> list[KnownTracker]:
    for name in names:
        if not any(name in {one.name, str(one.id)} for one in known):
            names = [one.name for one in known]
            raise refusals.tracker_unknown(name, names, everybody=False)
    return [one for one in known if one.name in names or str(one.id) in names]


def _wanted(body: TrackerFile) -> Wanted:
    """Return what a document asks for. Raises the problem that names everything wrong in it."""
    if body.version != FILE_VERSION:
        message = f"{body.version} is a format that this server does not know"
        raise refusals.invalid("version", UsageError(message, f"Write version = {FILE_VERSION}."))
    errors: list[FieldProblem] = []
    wanted: Wanted = []
    for at, one in enumerate(body.trackers):
        name, rules = one.name, rules_of(one)
        where = f"trackers[{at}]."
        try:
            name = clean_name(name)
        except UsageError as error:
            errors.append(FieldProblem(f"{where}name", error.message))
        try:
            # As it is kept, so that it is compared as such; ids are given once those known are read.
            rules = replace(check_rules(rules), assertions=rules.assertions)
        except RulesError as error:
            errors += [FieldProblem(where + each.field, each.message) for each in error.errors]
        wanted.append((name, rules))
    errors += _repeated([name for name, _ in wanted])
    if errors:
        raise RulesError(errors)
    return wanted


def _repeated(names: Sequence[str]) -> list[FieldProblem]:
    doubles = set(twice(names))
    return [
        FieldProblem(f"trackers[{at}].name", f"another tracker of the file is called {name!r} too")
        for at, name in enumerate(names)
        if name in doubles and names.index(name) != at
    ]


def _difference(known: Sequence[KnownTracker], wanted: Wanted, *, prune: bool) -> Difference:
    """Return what changes, every assertion with an id, ready to be written."""
    doubles = ambiguous(known, (name for name, _ in wanted))
    if doubles:
        raise refusals.ambiguous_names(doubles, "you have")
    met = difference(known, wanted, prune=prune)
    return replace(
        met,
        added=tuple((name, checked(rules, Rules())) for name, rules in met.added),
        changed=tuple(
            replace(one, rules=checked(one.rules, one.tracker.rules)) for one in met.changed
        ),
    )


def _shown(met: Difference, added_ids: Sequence[str], *, applied: bool) -> TrackerFileChanges:
    added = zip(met.added, added_ids, strict=True)
    return TrackerFileChanges(
        applied=applied,
        added=[TrackerChange(name, new_id) for (name, _), new_id in added],
        changed=[shapes.changed_tracker(one) for one in met.changed],
        unchanged=[shapes.known_tracker(one) for one in met.unchanged],
        pruned=[shapes.known_tracker(one) for one in met.pruned],
    )
