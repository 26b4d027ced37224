"""The ping door's page of the OpenAPI document, written by hand: the door is no FastAPI route."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from telemhq_agents.contract.ping import (
    COUNT_FIELDS,
    IDEMPOTENCY_HEADER,
    MAX_KEY_LENGTH,
    NUMBER_FIELDS,
    REPLAYED_HEADER,
    TEXT_FIELDS,
    Instructions,
    Receipt,
)
from telemhq_agents.contract.problem import MEDIA_TYPE, Problem
from telemhq_agents.contract.routes import PING

Schema = dict[str, Any]

REFERENCES = "#/components/schemas/{model}"
PROBLEMS = {
    "400": "The body is broken, or the Idempotency-Key cannot be used",
    "403": "The tracker's owner is no longer a member of its account",
    "404": "No tracker has this tracking token",
    "405": "The door takes GET, HEAD and POST",
    "408": "The body did not come in time",
    "410": "The tracking token was rotated, or its tracker deleted",
    "413": "The body is too large",
    "415": "This kind of body is not understood",
    "422": "Some fields are not as they should be; `errors` names them",
    "500": "The server failed; its log says how",
    "503": "The database cannot take anything now; see Retry-After",
}


def describe_ping_door(document: Schema) -> Schema:
    """Add the ping door to an OpenAPI document; again is the same as once."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Receipt, Instructions, Problem):
        own = TypeAdapter(model).json_schema(ref_template=REFERENCES)
        schemas |= own.pop("$defs", {})
        schemas[model.__name__] = own
    document["paths"][PING] = _path()
    return document


def _path() -> Schema:
    token = {
        "name": "tracking_token",
        "in": "path",
        "required": True,
        "description": "The only credential of this door",
        "schema": {"type": "string"},
    }
    return {"parameters": [token], "post": _post(), "get": _get()}


def _post() -> Schema:
    payload = {"schema": _payload()}
    return {
        "summary": "Record a run",
        "description": "Query parameters are merged into the body's fields; the body wins.",
        "operationId": "record_run",
        "security": [],
        "parameters": [
            {
                "name": IDEMPOTENCY_HEADER,
                "in": "header",
                "description": "Names the run: the same key again is answered with the first one",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
            }
        ],
        "requestBody": {
            "required": False,
            "content": {"application/json": payload, "application/x-www-form-urlencoded": payload},
        },
        "responses": {
            "200": _answer("Receipt", "The run is stored", "application/json")
            | {"headers": {REPLAYED_HEADER: {"schema": {"type": "string", "enum": ["true"]}}}},
            **{status: _answer("Problem", text, MEDIA_TYPE) for status, text in PROBLEMS.items()},
        },
    }


def _get() -> Schema:
    problems = {status: PROBLEMS[status] for status in ("403", "404", "410", "500", "503")}
    return {
        "summary": "Tell how to use the door; records nothing",
        "operationId": "ping_instructions",
        "security": [],
        "responses": {
            "200": _answer("Instructions", "How to use this door", "application/json"),
            **{status: _answer("Problem", text, MEDIA_TYPE) for status, text in problems.items()},
        },
    }


def _answer(model: str, description: str, media_type: str) -> Schema:
    schema = {"$ref": REFERENCES.format(model=model)}
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _payload() -> Schema:
    return {
        "type": "object",
        "additionalProperties": True,
        "properties": {
            **{name: {"type": "string"} for name in TEXT_FIELDS},
            **{name: {"type": "integer"} for name in COUNT_FIELDS},
            **{name: {"type": "number"} for name in NUMBER_FIELDS},
            "kind": {"type": "string", "enum": ["run", "start", "skip", "correction"]},
            "primary": {"type": "boolean"},
            "ended_at": {"type": "string", "format": "date-time"},
            "exit_code": {"type": "integer"},
            "corrects": {"type": "string"},
            "revision": {"type": "integer", "minimum": 1},
            "runs": {"type": "integer", "description": "corrections only"},
            "failures": {"type": "integer", "description": "corrections only"},
        },
    }
