"""Telling a server that a job has begun, where it asks for that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, locations
from telemhq_agents.contract.ping import KIND_START, VERB_START, Capabilities
from telemhq_agents.delivery.client import PingSender
from telemhq_cli.wrap import payload, trackers

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_cli.wrap.command_line import Asked

ASK_AGAIN_AFTER_MS = 24 * 3600 * 1000
"""What a server can do is asked once a day."""


def announce(asked: Asked, key: str, started_ms: int) -> None:
    """Tell the start of the run `key`, if the server's capabilities name `start`.

    A courtesy: sent once, never kept. The end tells everything that counts.
    """
    profile = trackers.profile_in_use(asked.values.get("--profile"))
    url = trackers.ping_url(asked.target, profile)
    if not url:
        return
    with PingSender(timeout_s=asked.timeout_s) as sender:
        if VERB_START in _verbs(url, sender):
            said = payload.flag_fields(asked)
            body = {
                **said,
                "kind": KIND_START,
                "run_key": key,
                "started_at": clock.to_iso(started_ms),
            }
            body.pop("status", None)
            sender.ping(url, f"{key}.start", payload.encoded(body))


def _verbs(url: str, sender: PingSender) -> list[str]:
    path = locations.ours().data / "capabilities.json"
    known = _known(path)
    now_ms = clock.now_ms()
    found = known.get(url)
    if found is not None and 0 <= now_ms - found["asked_ms"] < ASK_AGAIN_AFTER_MS:
        return list(found["verbs"])
    told = sender.capabilities(url)
    if not isinstance(told, Capabilities):
        return []
    fresh = {
        url: one for url, one in known.items() if now_ms - one["asked_ms"] < ASK_AGAIN_AFTER_MS
    }
    _keep(path, {**fresh, url: {"asked_ms": now_ms, "verbs": told.verbs}})
    return told.verbs


def _known(path: Path) -> dict[str, dict[str, Any]]:
    try:
        held = json.loads(path.read_bytes())
        return {
            url: one
            for url, one in held.items()
            if isinstance(one["asked_ms"], int) and isinstance(one["verbs"], list)
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # only a memory: asked again


def _keep(path: Path, known: dict[str, dict[str, Any]]) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump(known, stream)
    unfinished.replace(path)
