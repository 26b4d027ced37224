"""What the path of a ping may say, `/ping/{token}/{verb}`, and which start belongs to which end. Pure.

The names are Healthchecks' (https://healthchecks.io/docs/http_api/), so that its wrappers can be
pointed at us unchanged.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from telemhq_agents.contract.ping import (
    FAILED_STATUSES,
    KIND_LOG,
    KIND_RUN,
    KIND_START,
    MAX_KEY_LENGTH,
    RUN_KEY,
)

Payload = dict[str, Any]

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class Verb(NamedTuple):
    """What the last part of a ping's path says; it wins over what the body says."""

    kind: str
    fails: bool = False
    exit_code: int | None = None


VERBS = {
    "start": Verb(KIND_START),
    "log": Verb(KIND_LOG),
    "fail": Verb(KIND_RUN, fails=True),
    **{str(code): Verb(KIND_RUN, fails=code != 0, exit_code=code) for code in range(256)},
}


def with_verb(payload: Payload, verb: Verb) -> Payload:
    """Return a payload that says what the path of its ping says."""
    if verb.kind != KIND_RUN:
        return payload
    said = {} if verb.exit_code is None else {"exit_code": verb.exit_code}
    status = payload.get("status") or ("" if verb.fails else "success")
    admits = isinstance(status, str) and status.strip().lower() in FAILED_STATUSES
    return payload | said | {"status": "error" if verb.fails and not admits else status}


def run_id(told: object) -> str:
    """Return the `rid` of a query as starts and ends are paired by it, "" for none.

    Made usable the same way at both ends: cut to 200 characters, unprintable ones replaced; a UUID
    in small letters.
    """
    if not isinstance(told, str) or not told:
        return ""
    if UUID.fullmatch(told):
        return told.lower()
    return UNPRINTABLE.sub("\ufffd", told[:MAX_KEY_LENGTH])


def pair_key(kind: str, payload: Payload, key: str, rid: str) -> str:
    """Return what a start and its end have in common, "" where nothing tells.

    That is the query's `rid` at both ends; else the start's `run_key`, which names the
    Idempotency-Key of its end.
    """
    if rid:
        return rid
    if kind == KIND_RUN:
        return key
    return run_id(payload.get(RUN_KEY)) if kind == KIND_START else ""
