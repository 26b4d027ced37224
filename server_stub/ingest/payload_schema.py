"""What the fields of a ping take, as JSON Schema: domain/payload.py is where it is judged."""

from __future__ import annotations

from typing import Any

from server_stub.domain.payload import BOOKED_TEXTS, LIMITS, MAX_COUNT, MAX_NUMBER, MAX_REVISION
from telemhq_agents.contract.ping import (
    COUNT_FIELDS,
    KIND_CORRECTION,
    KIND_LOG,
    KIND_RUN,
    KIND_SKIP,
    KIND_START,
    MAX_KEY_LENGTH,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    TOTAL_FIELDS,
)

Schema = dict[str, Any]

NONE: Schema = {"enum": [None, ""]}
MOMENT = (
    r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$"
)


def body_schema() -> Schema:
    """Return what the JSON body of a ping may be: what is no object is kept as text."""
    return {"anyOf": [_ping(), _correction(), {"not": {"type": "object"}}]}


def form_schema() -> Schema:
    """Return what a form may be; its values are texts."""
    return {
        "type": "object",
        "description": "The same fields as in JSON, as texts",
        "additionalProperties": {"type": "string"},
    }


def _ping() -> Schema:
    kinds = [KIND_RUN, KIND_START, KIND_SKIP, KIND_LOG]
    return {
        "type": "object",
        "additionalProperties": True,
        "properties": {
            **_texts(),
            **{name: _whole(0, MAX_COUNT) for name in COUNT_FIELDS},
            **{name: _number(0, LIMITS.get(name, MAX_NUMBER)) for name in NUMBER_FIELDS},
            **_others(),
            "kind": {"enum": [*kinds, None, ""]},
        },
    }


def _correction() -> Schema:
    most = dict.fromkeys(NUMBER_FIELDS, MAX_NUMBER) | LIMITS
    return {
        "type": "object",
        "additionalProperties": True,
        "description": "Figures are signed differences",
        "required": ["kind", "corrects", "revision"],
        "properties": {
            **_texts(),
            **{name: _whole(-MAX_COUNT, MAX_COUNT) for name in (*COUNT_FIELDS, *TOTAL_FIELDS)},
            **{name: _number(-limit, limit) for name, limit in most.items()},
            **_others(),
            "kind": {"const": KIND_CORRECTION},
            "corrects": {
                "type": "string",
                "pattern": "^[\\x20-\\x7e]+$",
                "maxLength": MAX_KEY_LENGTH,
            },
            "revision": {"type": "integer", "minimum": 1, "maximum": MAX_REVISION},
        },
    }


def _texts() -> Schema:
    anything: Schema = {name: {} for name in TEXT_FIELDS}
    booked = {"anyOf": [{"type": ["string", "number"]}, NONE]}
    return anything | dict.fromkeys(BOOKED_TEXTS, booked)


def _others() -> Schema:
    return {
        "primary": {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, NONE]},
        "exit_code": _whole(-MAX_COUNT, MAX_COUNT),
        "ended_at": {
            "description": "RFC 3339, or Unix seconds or milliseconds (not of eight digits)",
            "anyOf": [
                {"type": "string", "pattern": MOMENT},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 10_000_000},
                {"type": "number", "minimum": 100_000_000, "exclusiveMaximum": MAX_NUMBER},
                NONE,
            ],
        },
    }


def _whole(least: int, most: int) -> Schema:
    figure = {"type": "integer", "minimum": least, "maximum": most}
    return {"anyOf": [figure, {"type": "string", "pattern": "^[0-9]{1,11}$"}, NONE]}


def _number(least: float, most: float) -> Schema:
    figure = {"type": "number", "minimum": least, "maximum": most}
    digits = len(f"{most:.0f}") - 1
    text = {"type": "string", "pattern": rf"^[0-9]{{1,{digits}}}(\.[0-9]{{1,9}})?$"}
    return {"anyOf": [figure, text, NONE]}
