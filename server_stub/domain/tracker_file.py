"""Trackers as code: what a file of trackers changes, field by field. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import msgspec

from telemhq_agents.contract.judging import FieldChange, FileTracker
from telemhq_agents.contract.rules import Assertion, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_RULES = tuple(field.name for field in fields(Rules))


@dataclass(frozen=True, slots=True)
class KnownTracker:
    """A tracker that the caller may change, as it is stored; `revision` is that of its rules.

    A device's tracker (`of_device`) is made by a login: it is never pruned.
    """

    id: int
    name: str
    owner_email: str
    rules: Rules
    revision: int = 0
    of_device: bool = False


@dataclass(frozen=True, slots=True)
class ChangedTracker:
    """A tracker, the rules that a file gives it, and what is different in them."""

    tracker: KnownTracker
    rules: Rules
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a file does to the trackers that the caller may change."""

    added: tuple[tuple[str, Rules], ...]
    changed: tuple[ChangedTracker, ...]
    unchanged: tuple[KnownTracker, ...]
    pruned: tuple[KnownTracker, ...]


def rules_of(tracker: FileTracker) -> Rules:
    """Return a file's tracker without its name."""
    return Rules(**{name: getattr(tracker, name) for name in _RULES})


def file_tracker(name: str, rules: Rules) -> FileTracker:
    """Return a tracker as a file has it: assertions without the ids that a server gave them."""
    nameless = [replace(assertion, id="") for assertion in rules.assertions]
    values = {field: getattr(rules, field) for field in _RULES}
    return FileTracker(**{**values, "assertions": nameless, "name": name})


def twice(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that occur more than once, each once, in order."""
    return tuple(name for name, count in Counter(names).items() if count > 1)


def ambiguous(known: Sequence[KnownTracker], wanted: Iterable[str]) -> tuple[str, ...]:
    """Return the wanted names that several known trackers bear."""
    doubles = set(twice(tracker.name for tracker in known))
    return tuple(name for name in wanted if name in doubles)


def difference(
    known: Sequence[KnownTracker], wanted: Sequence[tuple[str, Rules]], *, prune: bool
) -> Difference:
    """Return what makes the known trackers those of a file, matched by their names.

    No name may be twice in `wanted`, nor one of its names twice in `known` (see `twice` and
    `ambiguous`). `prune` deletes those that the file does not name.
    """
    by_name = {tracker.name: tracker for tracker in known}
    named = {name for name, _ in wanted}
    met = [_met(by_name[name], rules) for name, rules in wanted if name in by_name]
    return Difference(
        added=tuple((name, rules) for name, rules in wanted if name not in by_name),
        changed=tuple(one for one in met if one.fields),
        unchanged=tuple(one.tracker for one in met if not one.fields),
        pruned=tuple(
            tracker
            for tracker in known
            if prune and tracker.name not in named and not tracker.of_device
        ),
    )


def _met(tracker: KnownTracker, rules: Rules) -> ChangedTracker:
    kept = with_known_ids(rules, tracker.rules.assertions)
    return ChangedTracker(tracker, kept, tuple(changes(tracker.rules, kept)))


def with_known_ids(rules: Rules, known: Sequence[Assertion]) -> Rules:
    """Give assertions without an id that of a known one: of its equal, else of its like.

    An assertion's like has the same path and operator. What finds none keeps its lack of an id.
    """
    taken = {assertion.id for assertion in rules.assertions if assertion.id}
    free = [assertion for assertion in known if assertion.id not in taken]
    given = list(rules.assertions)
    for alike in (says_the_same, _is_like):
        for at, assertion in enumerate(given):
            found = None if assertion.id else _first(free, assertion, alike)
            if found is not None:
                free.remove(found)
                given[at] = replace(assertion, id=found.id)
    return replace(rules, assertions=given)


def _first(
    free: Sequence[Assertion], wanted: Assertion, alike: Callable[[Assertion, Assertion], bool]
) -> Assertion | None:
    return next((one for one in free if alike(one, wanted)), None)


def _is_like(one: Assertion, other: Assertion) -> bool:
    return (one.path, one.operator) == (other.path, other.operator)


def says_the_same(one: Assertion, other: Assertion) -> bool:
    """Tell whether two assertions are the same but for their ids."""
    return _is_same(replace(one, id=""), replace(other, id=""))


def changes(before: Rules, after: Rules) -> list[FieldChange]:
    """Return how two sets of rules differ, field by field, nested ones by their dot paths.

    Items of a list are told one by one, assertions by their ids; ids are no difference.
    """
    return list(_changes("", msgspec.to_builtins(before), msgspec.to_builtins(after)))


def _changes(field: str, before: Any, after: Any) -> Iterable[FieldChange]:  # noqa: ANN401 - JSON
    if _is_same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name != "id":
                yield from _changes(f"{field}.{name}".lstrip("."), value, after[name])
    elif field == "assertions":
        yield from _assertion_changes(before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _item_changes(field, before, after)
    else:
        yield FieldChange(field, before, after)


def _assertion_changes(before: list[Any], after: list[Any]) -> Iterable[FieldChange]:
    stood = {item["id"]: item for item in before if item["id"]}
    stands = {item["id"] for item in after if item["id"]}
    for item in before:
        if item["id"] not in stands:
            yield FieldChange("assertions", before=_shown(item))
    for item in after:
        known = stood.get(item["id"])
        if known is None:
            yield FieldChange("assertions", after=_shown(item))
        elif not _is_same(_shown(known), _shown(item)):
            yield FieldChange("assertions", _shown(known), _shown(item))


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON
    # Not `==`: to Python 1 and True are equal.
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def _shown(assertion: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in assertion.items() if name != "id"}


def _item_changes(field: str, before: list[Any], after: list[Any]) -> Iterable[FieldChange]:
    gone = [item for item in before if item not in after]
    new = [item for item in after if item not in before]
    if not gone and not new:
        yield FieldChange(field, before, after)
    yield from (FieldChange(field, before=item) for item in gone)
    yield from (FieldChange(field, after=item) for item in new)
