"""What servers can do, as they told: asked once a day, for nobody should be asked at each ping."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from telemhq_agents import clock, locations, whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.delivery.client import PingSender

ASK_AGAIN_AFTER_MS = 24 * 3600 * 1000


class Abilities(NamedTuple):
    """The verbs that a ping door knows, whether it counts a key once, and how much it takes."""

    verbs: list[str]
    idempotency: bool
    max_body_bytes: int


def remembered(url: str) -> Abilities | None:
    """Return what a ping door told within the last day; None where it told nothing."""
    found = _known().get(url)
    return None if found is None else Abilities(*(found[name] for name in Abilities._fields))


def told_by(url: str, sender: PingSender) -> Abilities | None:
    """Return what a ping door can do, from memory or asked now; None where it gives no answer."""
    from telemhq_agents.contract.ping import Capabilities  # noqa: PLC0415 - rarely asked

    known = remembered(url)
    if known is not None:
        return known
    told = sender.capabilities(url)
    if not isinstance(told, Capabilities):
        return None
    able = Abilities(told.verbs, told.idempotency, told.max_body_bytes)
    fresh = {"asked_ms": clock.now_ms(), **able._asdict()}
    with suppress(OSError):  # only a memory: asked again
        _keep({**_known(), url: fresh})
    return able


def _path() -> Path:
    return locations.ours().data / "capabilities.json"


def _known() -> dict[str, dict[str, Any]]:
    now_ms = clock.now_ms()
    try:
        held = json.loads(_path().read_bytes())
        return {url: one for url, one in held.items() if _is_fresh(one, now_ms)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # only a memory: asked again


def _is_fresh(one: dict[str, Any], now_ms: int) -> bool:
    whole = isinstance(one["verbs"], list) and isinstance(one["idempotency"], bool)
    whole = whole and isinstance(one["max_body_bytes"], int)
    return whole and 0 <= now_ms - one["asked_ms"] < ASK_AGAIN_AFTER_MS


def _keep(known: dict[str, dict[str, Any]]) -> None:
    whole_file.put(_path(), json.dumps(known).encode(), sync=False)
