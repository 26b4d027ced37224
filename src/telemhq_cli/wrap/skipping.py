"""Telling that a job was skipped: neither a run nor a sign of life, and so told only as a skip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.contract.ping import KIND_SKIP, VERB_SKIP
from telemhq_agents.delivery.client import PingSender
from telemhq_agents.errors import TelemhqError
from telemhq_cli.wrap import abilities, payload, telling, trackers

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_cli.wrap.command_line import Asked

UNTOLD = "untold"
SKIPPED = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later. No code of success: what follows
in a script counts on a job that has run."""


def tell(asked: Asked, key: str, leave: Callable[[int], None]) -> int:
    """Report the skip to a server that knows what one is, say so, and return the exit code.

    To any other server a ping is a run: it would make a job that hangs look alive.
    """
    skipped = f"the last run under the lock {asked.values['--lock']!r} is still going: skipped"

    def close(told: telling.Told) -> int:
        message = "; ".join(filter(None, [skipped, told.message]))
        document = {"outcome": "skipped", "told": told.outcome, "key": key, "exit_code": SKIPPED}
        telling.say_what_became(asked, told._replace(message=message), document, job=True)
        return SKIPPED

    if asked.problem:
        return close(telling.Told(UNTOLD, f"{asked.mistake} (telemhq ping --help)"))

    def patience() -> telling.Patience:
        return telling.Patience(asked.timeout_s, lambda told: leave(close(told)))

    try:
        asking = patience()
        asking.told = telling.Told(UNTOLD, "the server does not answer and is not told")
        with asking:
            known = _knows_skips(asked, asking)
        if not known:
            return close(telling.Told(UNTOLD))
        return close(telling.record(telling.addressed(asked, key, _body(asked)), patience()))
    except TelemhqError as error:
        return close(telling.Told(UNTOLD, error.message, error.next_step))


def _knows_skips(asked: Asked, patience: telling.Patience) -> bool:
    url = trackers.ping_url(
        asked.target, trackers.profile_in_use(asked.target, asked.values.get("--profile"))
    )
    if not url:
        return False
    known = abilities.remembered(url)
    if known is None:
        with PingSender(timeout_s=max(patience.left_s, 0.1)) as sender:
            known = abilities.told_by(url, sender)
    return known is not None and VERB_SKIP in known.verbs


def _body(asked: Asked) -> bytes:
    said = {
        **payload.flag_fields(asked),
        "kind": KIND_SKIP,
        "status": "skipped",
        "lock": asked.values["--lock"],
        "ended_at": clock.to_iso(clock.now_ms()),
    }
    return payload.encoded(said)
