"""A client that keeps the names in what a server answers, for completion to offer later."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from telemhq_agents.contract.breakdown import Breakdown
from telemhq_agents.contract.resources import Account, Me, Member, RunPage, Tracker
from telemhq_agents.contract.series import Series, TrackerFields
from telemhq_agents.delivery.client import ApiClient
from telemhq_agents.errors import TelemhqError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_cli.completion.heard import Names

T = TypeVar("T")
STALE_MS = 60 * 60 * 1000
"""After so long the names are asked for once more, by whatever command comes by."""

_REPORTED = {"project": "projects", "model": "models"}


class HearingClient(ApiClient):
    """Asks as any client does; `heard` is what was named so far."""

    def __init__(self, url: str, api_key: str = "", *, account: str = "") -> None:
        super().__init__(url, api_key, account=account)
        self.heard: Names = {}

    def ask(self, method: str, path: str, kind: type[T], body: object = None, **more: Any) -> T:  # noqa: ANN401 - ApiClient's own
        """Ask and decode the answer, as ApiClient does."""
        answer = super().ask(method, path, kind, body, **more)
        self.heard.update(added(self.heard, named(path, answer)))
        return answer


def refresh(api: HearingClient, known: Names, account: str, now_ms: int) -> None:
    """Ask for the names that completion offers, where the last list is old and nobody asked now.

    `account` is "" for the login's default. It is a convenience: that it failed is nobody's matter.
    """
    if "trackers" not in api.heard and now_ms - known.get("at_ms", 0) >= STALE_MS:
        with suppress(TelemhqError):
            api.trackers()
        if account and "members" not in api.heard:
            with suppress(TelemhqError):
                api.members(account)
    if "trackers" in api.heard:
        api.heard["at_ms"] = now_ms


def added(before: Names, more: Names) -> Names:
    """Return what changes in what was heard when more is: the later list of trackers holds.

    A tracker that was created or renamed is one more, its old name gone.
    """
    after = {**more}
    one = after.pop("tracker", None)
    if one is not None and "trackers" in before:
        known = {name: number for name, number in before["trackers"].items() if number not in one}
        after["trackers"] = known | {name: number for number, name in one.items()}
    for kind in _REPORTED.values():
        if kind in more:
            after[kind] = list(dict.fromkeys([*more[kind], *before.get(kind, ())]))
    if "fields" in more:
        after["fields"] = {**before.get("fields", {}), **more["fields"]}
    return after


def named(path: str, answer: object) -> Names:
    """Return what an answer names: nothing for most."""
    match answer:
        case Me():
            return {"teams": [one.name for one in answer.accounts]}
        case {"group_by": [*groups], "rows": [*rows]}:
            return _reported(groups, rows)
        case [*several]:
            return _listed(several)
        case _:
            return _of_tracker(path, answer)


def _of_tracker(path: str, answer: object) -> Names:
    match answer:
        case Tracker():
            return {"tracker": {answer.id: answer.name}}
        case RunPage(runs=runs):
            projects, models = ([one.project for one in runs], [one.model for one in runs])
            return {
                "projects": list(dict.fromkeys(projects)),
                "models": list(dict.fromkeys(models)),
            }
        case TrackerFields():
            number = path.partition("/trackers/")[2].partition("/")[0]
            return {"fields": {number: [one.field for one in answer.fields]}}
        case Series():
            return {"fields": {answer.tracker: [one.field for one in answer.series]}}
        case Breakdown():
            return {"projects": [one.project for one in answer.projects]}
        case _:
            return {}


def _listed(several: list[Any]) -> Names:
    match several[:1]:
        case [Tracker()]:
            return {"trackers": {one.name: one.id for one in several}}
        case [Member()]:
            return {"members": [one.email for one in several]}
        case [Account()]:
            return {"teams": [one.name for one in several]}
        case _:
            return {}


def _reported(groups: list[Any], rows: list[Mapping[str, Any]]) -> Names:
    """Return the projects and models that a usage report has rows of."""
    return {
        kind: list(dict.fromkeys(str(row[group]) for row in rows if group in row))
        for group, kind in _REPORTED.items()
        if group in groups
    }
