"""What an export holds, line by line: JSON objects, each of which says what it is in `line`.

ledger      the first: version, device, when
fact turn activity total            what was used
heard told outbox answered ability  what was told, to whom, and what is on its way
end         the last, so that a file that was cut off is known for it
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from telemhq_agents.ledger.records import OutboxState
from telemhq_agents.usage import MOST_TOKENS, ActivityKind, Source, TurnStatus

VERSION = 1
"""Of the shape of an export. A line is added to it only with a new version."""

Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
Moment = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Figure = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Key = Annotated[str, Meta(min_length=1)]


class Line(Struct, frozen=True, tag_field="line", forbid_unknown_fields=True, gc=False):
    """Any line."""


class HeaderLine(Line, tag="ledger", frozen=True):
    version: int
    device: str
    made: str


class FactLine(Line, tag="fact", frozen=True):
    """A usage fact, with its frozen cost; see `BookedFact`."""

    key: Key
    source: Source
    session_id: str
    thread_id: str
    turn_key: str
    provider: str
    model: str
    cwd: str
    project: str
    log_project: str
    at_ms: Moment
    input_tokens: Tokens
    cached_input_tokens: Tokens
    cache_write_tokens: Tokens
    cache_write_1h_tokens: Tokens
    output_tokens: Tokens
    reasoning_tokens: Tokens
    cost_nano: Count
    unpriced_tokens: Count
    price_date: str
    estimate: str
    precedence: Figure
    sighted_ms: Moment


class TurnLine(Line, tag="turn", frozen=True):
    key: Key
    source: Source
    session_id: str
    thread_id: str
    cwd: str
    project: str
    log_project: str
    started_ms: Moment
    ended_ms: Moment | None
    duration_ms: Figure | None
    status: TurnStatus
    agent_version: str
    precedence: Figure
    failure: str
    sighted_ms: Moment


class ActivityLine(Line, tag="activity", frozen=True):
    turn_key: Key
    kind: ActivityKind
    name: str
    count: Count
    duration_ms: Count


class TotalLine(Line, tag="total", frozen=True):
    """What a session said of itself at its end."""

    source: Source
    session_id: Key
    model: str
    cwd: str
    project: str
    log_project: str
    at_ms: Moment
    is_complete: bool
    input_tokens: Tokens
    cached_input_tokens: Tokens
    cache_write_tokens: Tokens
    cache_write_1h_tokens: Tokens
    output_tokens: Tokens
    reasoning_tokens: Tokens


class HeardLine(Line, tag="heard", frozen=True):
    """A spool entry that was added to activities already."""

    key: Key
    at_ms: Moment


class ToldLine(Line, tag="told", frozen=True):
    """What a destination was last told of a parcel; `amounts` in the order of `Amounts`.

    `named` is what its project is called there, "" for its own name.
    """

    source: Source
    session_id: str
    thread_id: str
    span: str
    provider: str
    model: str
    project: str
    log_project: str
    quarter_ms: Moment
    key: Key
    destination: Key
    revision: Count
    shared: bool
    last_ms: Moment
    amounts: list[Figure]
    named: str


class OutboxLine(Line, tag="outbox", frozen=True):
    """A ping on its way; `told_key` and `revision` say what it tells, where it is a collector's."""

    destination: Key
    key: Key
    body: bytes
    created_ms: Moment
    state: OutboxState
    last_error: str
    told_key: str
    revision: Count


class AnsweredLine(Line, tag="answered", frozen=True):
    """The key of a wrapper's ping that the server has."""

    destination: Key
    key: Key
    answered_ms: Moment


class AbilityLine(Line, tag="ability", frozen=True):
    """Whether a destination takes corrections."""

    destination: Key
    corrections: bool


class EndLine(Line, tag="end", frozen=True):
    """How many lines there are before this one."""

    lines: Count


AnyLine = (
    HeaderLine
    | FactLine
    | TurnLine
    | ActivityLine
    | TotalLine
    | HeardLine
    | ToldLine
    | OutboxLine
    | AnsweredLine
    | AbilityLine
    | EndLine
)
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


def encode(line: AnyLine) -> bytes:
    """Return a line as it is written, without its end."""
    return _ENCODER.encode(line)


def decode(text: bytes) -> AnyLine:
    """Read a line. Raises ValueError that says what is wrong with it."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
