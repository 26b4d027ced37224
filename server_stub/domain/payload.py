"""Judging a ping: from the payload as it was sent to what the store books. Pure.

Only the fields that the server books on are judged; everything else is stored as it was sent.
docs/reference/ping.md is the user's page of these rules.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from server_stub.domain.problem import ProblemError
from server_stub.domain.run import RunFacts
from server_stub.domain.verb import pair_key
from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.amounts import Amounts, nano
from telemhq_agents.contract.ping import (
    COUNT_FIELDS,
    DURATION_FIELDS,
    FAILED_STATUSES,
    KIND_CORRECTION,
    KIND_LOG,
    KIND_RUN,
    KIND_SKIP,
    KIND_START,
    MAX_KEY_LENGTH,
    NUMBER_FIELDS,
    PROJECT_FIELDS,
    TOTAL_FIELDS,
)
from telemhq_agents.contract.problem import FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_stub.domain.verb import Verb

Payload = dict[str, Any]
Figure = TypeVar("Figure", int, float)

MAX_COUNT = 10**11
"""Largest figure of one ping: ninety million such pings still fit into one 64-bit sum."""

MAX_COST_USD = 10_000
"""Ten trillion nano-USD: nine hundred thousand such pings still fit into one 64-bit sum."""

MAX_NUMBER = 10.0**15
MAX_REVISION = 10**9
MAX_TEXT_BYTES = 300
"""Bytes of UTF-8. Five such texts are part of one index key, which PostgreSQL bounds at 2,700."""

EPOCH_SECONDS_LIMIT = 10**11
"""A numeric time below this is in seconds (until the year 5138), above it in milliseconds."""

UNDASHED_DATE = range(10**7, 10**8)
"""Eight digits: read as seconds, the date 20260101 would be a day in August 1970."""

LAST_MS = 253_402_300_799_999
"""The end of the year 9999, after which times cannot be written."""

BOOKED_TEXTS = ("provider", "model", "project", "status", "source", "session_id", "thread_id")
CLOCK_TOLERANCE_MS = 5 * 60 * 1000
"""How far a sender's clock may run ahead: a ping and its correction keep to one quarter-hour."""

STARTED_STATUSES = frozenset({"start", "started"})
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]*)?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", re.ASCII)
LIMITS = {"cost_usd": MAX_COST_USD} | dict.fromkeys(DURATION_FIELDS, MAX_COUNT)
KINDS = frozenset({KIND_RUN, KIND_CORRECTION, KIND_START, KIND_SKIP, KIND_LOG})
KINDS_THAT_COUNT_NOWHERE = frozenset({KIND_START, KIND_SKIP, KIND_LOG})


class FieldError(ValueError):
    """A field's value is not what the field takes."""


class Judgement:
    """What has been read of one payload so far: values by field, what was refused, warnings."""

    __slots__ = ("errors", "signed", "values", "warnings")

    def __init__(self, *, signed: bool, warnings: list[str]) -> None:
        self.signed = signed
        self.values: dict[str, Any] = {}
        self.errors: list[FieldProblem] = []
        self.warnings = warnings


def judge(
    payload: Payload,
    received_ms: int,
    warnings: tuple[str, ...] = (),
    *,
    verb: Verb | None = None,
    lenient: bool = False,
    key: str = "",
    rid: str = "",
) -> RunFacts:
    """Turn a payload that arrived at `received_ms` into what is booked.

    `warnings` of the decoding are passed on. `verb` is what the ping's path says: it decides what
    kind of ping this is. Whoever sends one, or is to be read `lenient`ly, gets no field refused but
    warned about (but for corrections, which are booked whole). `key` (the Idempotency-Key) and
    `rid` say which start and which end belong together. Raises ProblemError (422) that names every
    refused field.
    """
    kind = _kind(payload) if verb is None else verb.kind
    judgement = Judgement(signed=kind == KIND_CORRECTION, warnings=list(warnings))
    if not kind:
        kind = KIND_RUN
        judgement.errors.append(_unknown_kind(payload["kind"]))
    for name, value in payload.items():
        read = READERS.get(name)
        if read is None or value is None or value == "" or (name == "primary" and verb):
            continue
        try:
            judgement.values[name] = read(judgement, name, value)
        except FieldError as error:
            judgement.errors.append(FieldProblem(name, str(error)))
    if kind == KIND_CORRECTION:
        _require_correction(judgement)
    if judgement.errors:
        if verb is None and (not lenient or kind == KIND_CORRECTION):
            raise refused(judgement.errors)
        judgement.warnings += [f"{e.field} was not booked: {e.message}" for e in judgement.errors]
    pair = pair_key(kind, payload, key, rid)
    return _facts(kind, payload, judgement, received_ms, pair)


def refused(errors: list[FieldProblem]) -> ProblemError:
    """Return the problem that names refused fields."""
    return ProblemError(
        Problem(
            type="invalid-fields",
            title="Some fields of the ping are not as they should be",
            status=422,
            detail="; ".join(f"{error.field}: {error.message}" for error in errors),
            next="correct or leave out the fields named in errors and send the ping again",
            errors=errors,
        )
    )


def _kind(payload: Payload) -> str:
    """Return what kind of ping a payload says it is, "" where there is no such kind."""
    kind = payload.get("kind")
    if kind is None or kind == "":
        status = payload.get("status")
        begun = isinstance(status, str) and status.strip().lower() in STARTED_STATUSES
        return KIND_START if begun else KIND_RUN
    return kind if isinstance(kind, str) and kind in KINDS else ""


def _unknown_kind(kind: object) -> FieldProblem:
    return FieldProblem("kind", f"must be one of {', '.join(sorted(KINDS))}, not {_shown(kind)}")


def _require_correction(judgement: Judgement) -> None:
    named = {error.field for error in judgement.errors}
    for name in ("corrects", "revision"):
        if name not in judgement.values and name not in named:
            judgement.errors.append(FieldProblem(name, "a correction needs it"))


def _facts(
    kind: str, payload: Payload, judgement: Judgement, received_ms: int, pair: str
) -> RunFacts:
    value = judgement.values.get
    ended_ms = value("ended_at", received_ms)
    clamped = ended_ms > received_ms + CLOCK_TOLERANCE_MS
    if clamped:
        judgement.warnings.append(
            f"ended_at {to_iso(ended_ms)} lies in the future: {to_iso(received_ms)} was booked"
        )
    return RunFacts(
        ended_ms=received_ms if clamped else ended_ms,
        amounts=_amounts(kind, value),
        payload=msgspec.json.encode(payload).decode(),
        kind=kind,
        corrects=value("corrects", "") if kind == KIND_CORRECTION else "",
        revision=value("revision", 0) if kind == KIND_CORRECTION else 0,
        clamped=clamped,
        provider=value("provider", ""),
        model=value("model", ""),
        project=_project(payload, judgement),
        status=value("status", ""),
        source=value("source", ""),
        session_id=value("session_id", ""),
        thread_id=value("thread_id", ""),
        tool_tokens=value("tool_tokens"),
        has_cost="cost_usd" in judgement.values,
        has_duration=any(name in judgement.values for name in DURATION_FIELDS),
        pair_key=pair,
        warnings=tuple(judgement.warnings),
    )


def _amounts(kind: str, value: Callable[..., Any]) -> Amounts:
    if kind in KINDS_THAT_COUNT_NOWHERE:
        return Amounts()
    runs, failures = _counted(kind, value)
    read, written = value("input_tokens", 0), value("output_tokens", 0)
    total = value("total_tokens", read + written)
    cost = value("cost_usd")
    # What costs nothing is told with cost_usd 0: tokens without a cost are tokens without a price.
    unpriced = total if cost is None and kind == KIND_RUN else 0
    return Amounts(
        runs,
        failures,
        value("responses", 0),
        read,
        value("cached_input_tokens", 0),
        value("cache_write_tokens", 0),
        written,
        value("reasoning_tokens", 0),
        total,
        0 if cost is None else nano(cost),
        value("unpriced_tokens", unpriced),
        _duration(value),
    )


def _counted(kind: str, value: Callable[..., Any]) -> tuple[int, int]:
    """Return how many runs and failures a ping stands for."""
    if kind == KIND_CORRECTION:
        return value("runs", 0), value("failures", 0)
    if value("primary") is False:
        return 0, 0
    status: str = value("status", "")
    return 1, int(value("exit_code", 0) != 0 or status.lower() in FAILED_STATUSES)


def _duration(value: Callable[..., Any]) -> int:
    for name in DURATION_FIELDS:
        milliseconds: float | None = value(name)
        if milliseconds is not None:
            return round(milliseconds)
    return 0


def _project(payload: Payload, judgement: Judgement) -> str:
    """Return the first non-empty project-like text."""
    project: str = judgement.values.get("project", "")
    if project:
        return project
    for name in PROJECT_FIELDS:
        other = payload.get(name)
        if isinstance(other, str) and other.strip():
            return _text(judgement, name, other)
    return ""


def _text(judgement: Judgement, name: str, value: object) -> str:
    """Read a text: numbers are written out, a long one is cut and warned about."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise FieldError(f"must be a text, not {_shown(value)}")
    value = value.strip()
    if len(value) * 4 <= MAX_TEXT_BYTES:
        return value
    encoded = value.encode()
    if len(encoded) <= MAX_TEXT_BYTES:
        return value
    judgement.warnings.append(f"{name} is longer than {MAX_TEXT_BYTES} bytes and was cut")
    return encoded[:MAX_TEXT_BYTES].decode(errors="ignore")


def _count(judgement: Judgement, _name: str, value: object) -> int:
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return _bounded(_whole(value), MAX_COUNT, signed=judgement.signed)


def _number(judgement: Judgement, name: str, value: object) -> float:
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"must be a number, not {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise FieldError("must be a finite number")
    return _bounded(value, LIMITS.get(name, MAX_NUMBER), signed=judgement.signed)


def _whole(value: object) -> int:
    if isinstance(value, bool):
        raise FieldError(f"must be a whole number, not {_shown(value)}")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    raise FieldError(f"must be a whole number, not {_shown(value)}")


def _bounded(value: Figure, most: float, *, signed: bool) -> Figure:
    if value > most or value < -most:
        raise FieldError(f"must not be beyond {most:,.0f}")
    if value < 0 and not signed:
        raise FieldError("must not be negative (only a correction may take away)")
    return value


def _total(judgement: Judgement, name: str, value: object) -> int:
    """Read a count that means something in corrections alone."""
    return _count(judgement, name, value) if judgement.signed else 0


def _exit_code(_judgement: Judgement, _name: str, value: object) -> int:
    return _bounded(_whole(value), MAX_COUNT, signed=True)


def _revision(judgement: Judgement, _name: str, value: object) -> int:
    if not judgement.signed:
        return 0
    revision = _whole(value)
    if not 1 <= revision <= MAX_REVISION:
        raise FieldError(f"must be from 1 to {MAX_REVISION:,}")
    return revision


def _corrects(judgement: Judgement, _name: str, value: object) -> str:
    if not judgement.signed:
        return ""
    if not isinstance(value, str) or not value.isascii() or len(value) > MAX_KEY_LENGTH:
        raise FieldError(f"must be the key of a run: at most {MAX_KEY_LENGTH} ASCII characters")
    return value


def _primary(_judgement: Judgement, _name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    truth = TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
    if truth is None:
        raise FieldError(f"must be true or false, not {_shown(value)}")
    return truth


def _moment(_judgement: Judgement, _name: str, value: object) -> int:
    """Read a time: RFC 3339 (UTC where no offset is given), or Unix seconds or milliseconds."""
    moment = _read_moment(value)
    if moment is not None and moment // 1000 in UNDASHED_DATE and not _is_written_out(value):
        raise FieldError(f"{_shown(value)} has eight digits: write a date as 2026-01-31")
    if moment is None:
        raise FieldError(
            f"must be an RFC 3339 time such as 2026-01-31T08:00:00Z, not {_shown(value)}"
        )
    if moment < 0:
        raise FieldError("must not lie before 1970")
    return min(moment, LAST_MS)


def _is_written_out(value: object) -> bool:
    return isinstance(value, str) and not NUMBER.fullmatch(value.strip())


def _read_moment(value: object) -> int | None:
    if isinstance(value, str):
        if _is_written_out(value):
            return _read_written(value.strip())
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -MAX_NUMBER < value < MAX_NUMBER:
        return None
    return int(value if abs(value) >= EPOCH_SECONDS_LIMIT else value * 1000)


def _read_written(text: str) -> int | None:
    try:
        return from_iso(text)
    except (ValueError, OverflowError):
        return None


def _shown(value: object) -> str:
    """Name a refused value: its kind, and itself where that is short and harmless."""
    match value:
        case bool() | None:
            return str(value).lower()
        case int() | float():
            return f"{value}" if abs(value) < MAX_NUMBER else "a number that large"
        case str():
            return repr(value[:40])
        case dict():
            return "an object"
        case _:
            return "a list"


READERS: dict[str, Callable[[Judgement, str, Any], Any]] = (
    dict.fromkeys(BOOKED_TEXTS, _text)
    | dict.fromkeys(COUNT_FIELDS, _count)
    | dict.fromkeys(NUMBER_FIELDS, _number)
    | dict.fromkeys(TOTAL_FIELDS, _total)
    | {
        "exit_code": _exit_code,
        "revision": _revision,
        "corrects": _corrects,
        "primary": _primary,
        "ended_at": _moment,
    }
)
"""How each judged field is read. The other texts are stored as they were sent."""
