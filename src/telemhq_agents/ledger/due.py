"""What a destination must be told next. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, nano
from telemhq_agents.contract.ping import FACT_KEY_PREFIX
from telemhq_agents.ledger.records import Told

if TYPE_CHECKING:
    from collections.abc import Collection

    from telemhq_agents.contract.ping import Recorded
    from telemhq_agents.ledger.records import Known, Parcel

KEY_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Telling:
    """A ping to queue: its key, the figures in it, and what the destination knows after it."""

    key: str
    amounts: Amounts
    told: Told


def base_key(parcel: Parcel) -> str:
    """Return the idempotency key that any machine derives from the same log."""
    named = [
        parcel.source,
        parcel.session_id,
        parcel.thread_id,
        parcel.span,
        parcel.provider,
        parcel.model,
        parcel.log_project,
        parcel.quarter_ms,
    ]
    text = json.dumps(named, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return FACT_KEY_PREFIX + digest[:KEY_DIGITS]


def free_key(base: str, taken: Collection[str]) -> str:
    """Return `base`, or the first of `base#2`, `base#3` … that no other project has."""
    key, number = base, 1
    while key in taken:
        number += 1
        key = f"{base}#{number}"
    return key


def first_telling(known: Known, key: str, destination: str, named: str = "") -> Telling | None:
    """Return the ping that tells a parcel for the first time; None when there is nothing in it.

    One ping is one run, or none. Where a window holds more of them, a correction tells the rest.
    `named` is what the project is called there, "" for its own name.
    """
    if not known.amounts:
        return None
    runs, failures = min(known.amounts.runs, 1), min(known.amounts.failures, 1)
    amounts = replace(known.amounts, runs=runs, failures=failures)
    told = Told(key, destination, amounts, last_ms=known.last_ms, named=named)
    return Telling(key, amounts, told)


def correction(told: Told, known: Known | None) -> Telling | None:
    """Return the ping that brings the destination to what is known now; None when it is there.

    Where the destination holds more than this ledger knows, it is only corrected upwards.
    """
    amounts = Amounts() if known is None else known.amounts
    target = amounts.largest(told.amounts) if told.shared else amounts
    if target == told.amounts:
        return None
    after = replace(
        told,
        amounts=target,
        revision=told.revision + 1,
        shared=target != amounts,
        last_ms=told.last_ms if known is None else known.last_ms,
    )
    return Telling(f"{told.key}.r{after.revision}", target - told.amounts, after)


def caught_up(told: Told, known: Known | None) -> bool:
    """Tell whether a shared parcel holds no more than this ledger knows by now."""
    return told.shared and known is not None and known.amounts == told.amounts


def after_duplicate(told: Told, recorded: Recorded | None, known: Amounts) -> Told:
    """Return what the destination holds, when it answered that it knew the key already.

    An answer that agrees with what was told is our own ping's, whose first answer was lost. Any
    other one is another machine's, or an earlier ledger's: its sums are taken for what was told. What
    it calls the project is where corrections must go, whatever this machine would call it now.
    """
    if recorded is None:
        return told
    told = replace(told, named=recorded.project or told.named)
    held = amounts_of(recorded)
    if (recorded.revision, held) == (told.revision, told.amounts):
        return told
    more = held.largest(known) != known
    return replace(told, amounts=held, revision=recorded.revision, shared=more)


def amounts_of(recorded: Recorded) -> Amounts:
    """Read the figures of a receipt."""
    names = {field.name for field in fields(recorded)} & set(AMOUNT_FIELDS)
    figures = {name: getattr(recorded, name) for name in names}
    return Amounts(**figures, cost_nano=nano(recorded.cost_usd))
