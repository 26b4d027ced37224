"""Telling a server that a job has begun, where it asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.contract.ping import KIND_START, VERB_START
from telemhq_agents.delivery.client import PingSender
from telemhq_cli.wrap import abilities, payload, trackers

if TYPE_CHECKING:
    from telemhq_cli.wrap.command_line import Asked
    from telemhq_cli.wrap.ping import Course


def announce(asked: Asked, key: str, started_ms: int, course: Course) -> None:
    """Tell the start of the run `key`, if the server's capabilities name `start`.

    A courtesy: sent once, never kept, and dropped once the job has ended. The end tells everything
    that counts.
    """
    profile = trackers.profile_in_use(asked.target, asked.values.get("--profile"))
    url = trackers.ping_url(asked.target, profile)
    if not url:
        return
    with PingSender(timeout_s=asked.timeout_s) as sender:
        able = abilities.told_by(url, sender)
        if able is not None and VERB_START in able.verbs:
            body = _body(asked, key, started_ms)
            course.while_it_runs(lambda: sender.ping(url, f"{key}.start", body))


def _body(asked: Asked, key: str, started_ms: int) -> bytes:
    said = {
        **payload.flag_fields(asked),
        "kind": KIND_START,
        "run_key": key,
        "started_at": clock.to_iso(started_ms),
    }
    said.pop("status", None)
    return payload.encoded(said)
