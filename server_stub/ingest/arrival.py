"""From a ping as it was sent to what is booked: decoded, judged field by field, paired. Pure."""

from __future__ import annotations

from typing import NamedTuple

from server_stub.domain.payload import judge
from server_stub.domain.plain_run import plain_run
from server_stub.domain.problem import ProblemError
from server_stub.domain.run import Arrival
from server_stub.domain.verb import Verb, run_id, with_verb
from server_stub.ingest.decode import FORM, decode, fields_of_query, media_type
from server_stub.ingest.refusals import too_large
from server_stub.ingest.salvage import TEXT, Decoded, as_text, salvage, shortened
from telemhq_agents.contract.ping import FACT_KEY_PREFIX, KIND_CORRECTION, RID

RID_MARK = RID.encode() + b"="
DECIDING = frozenset({"kind", "primary", "status", "exit_code"})
"""The fields that tell whether a ping is a run and whether it failed: no text is kept without."""

OTHER_TEXTS = frozenset({"", TEXT, FORM})


class Sent(NamedTuple):
    """A ping as it came; of a body that `was_cut` only the end is there."""

    token: str
    verb: Verb | None
    key: str
    content_type: str
    query: bytes
    body: bytes
    was_cut: bool
    received_ms: int

    @property
    def is_fact(self) -> bool:
        """A collector's ping: half of one must not take its key, which is taken once for ever."""
        return self.key.startswith(FACT_KEY_PREFIX)

    @property
    def means_text(self) -> bool:
        """Whoever sends this body as it is need not be told that it is no JSON."""
        kind = media_type(self.content_type)
        return kind == TEXT or (self.verb is not None and kind in OTHER_TEXTS)


def arrival_of(sent: Sent) -> Arrival:
    """Return what is booked of a ping.

    A body that cannot be read is kept as text. Raises ProblemError where fields are refused, and
    for a collector's ping (its key begins with `fact:`) that cannot be read.
    """
    is_text = media_type(sent.content_type) == TEXT
    return _judged(sent, _decoded(sent), lenient=is_text and not sent.is_fact)


def within(sent: Sent, limit: int) -> Arrival | None:
    """Return what is booked of a ping of which `limit` bytes may be kept, None if it is no text.

    Whatever comes with a verb is taken for text: it is shortened rather than refused.
    """
    decoded = _decoded(sent)
    if not decoded.is_text:
        if sent.is_fact or not (sent.verb or media_type(sent.content_type) == TEXT):
            return None
        deciding = {name: value for name, value in decoded.payload.items() if name in DECIDING}
        text = as_text(sent.body, sent.query)
        decoded = text._replace(payload=deciding | text.payload)
    verb = sent.verb
    payload = decoded.payload if verb is None else with_verb(decoded.payload, verb)
    fitting = shortened(payload, limit)
    if fitting is None or (verb is None and payload.get("kind") == KIND_CORRECTION):
        return None
    warning = f"the plan keeps {limit} bytes of a ping: the text was shortened"
    kept = Decoded(fitting, (*decoded.warnings, warning), is_text=True)
    return _judged(sent, kept, lenient=True)


def _decoded(sent: Sent) -> Decoded:
    if sent.was_cut:
        if sent.is_fact:
            raise ProblemError(too_large(len(sent.body)))
        return as_text(sent.body, sent.query, was_cut=True)
    try:
        return Decoded(*decode(sent.body, sent.content_type, sent.query))
    except ProblemError as error:
        if sent.is_fact:
            raise
        told = not sent.means_text
        return salvage(sent.body, sent.content_type, sent.query, error.problem.detail, told=told)


def _judged(sent: Sent, decoded: Decoded, *, lenient: bool) -> Arrival:
    payload = decoded.payload if sent.verb is None else with_verb(decoded.payload, sent.verb)
    rid = run_id(fields_of_query(sent.query).get(RID)) if RID_MARK in sent.query else ""
    facts = None
    if not (sent.verb or rid or decoded.warnings):
        facts = plain_run(payload, sent.received_ms, sent.key)
    if facts is None:
        facts = judge(
            payload,
            sent.received_ms,
            decoded.warnings,
            verb=sent.verb,
            lenient=lenient,
            key=sent.key,
            rid=rid,
        )
    key = sent.key
    if facts.corrects and not key:
        key = f"{facts.corrects}.r{facts.revision}"
    size = len(facts.payload.encode()) if decoded.is_text else len(sent.body) + len(sent.query)
    return Arrival(sent.token, key, sent.received_ms, facts, payload, size)
