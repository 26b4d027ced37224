"""The ping door's page of the OpenAPI document, written by hand: the door is no FastAPI route."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from server_stub.ingest.payload_schema import body_schema, form_schema
from telemhq_agents.contract.ping import (
    BODY_LIMIT_HEADER,
    IDEMPOTENCY_HEADER,
    MAX_KEY_LENGTH,
    REPLAYED_HEADER,
    RID,
    Instructions,
    Receipt,
)
from telemhq_agents.contract.problem import MEDIA_TYPE, Problem
from telemhq_agents.contract.routes import PING, PING_VERB

Schema = dict[str, Any]

REFERENCES = "#/components/schemas/{model}"
TOKEN = {
    "name": "tracking_token",
    "in": "path",
    "required": True,
    "description": "The only credential of this door",
    "schema": {"type": "string"},
}
VERB = {
    "name": "verb",
    "in": "path",
    "required": True,
    "description": "What happened: `start`, `fail`, `log` or the exit code",
    "schema": {
        "type": "string",
        "pattern": "^(start|fail|log|[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$",
    },
}
KEY = {
    "name": IDEMPOTENCY_HEADER,
    "in": "header",
    "description": "Names the run: the same key again is answered with the first one",
    "schema": {
        "type": "string",
        "pattern": "^[\\x20-\\x7e]+$",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
    },
}
RUN_ID = {
    "name": RID,
    "in": "query",
    "description": "Pairs a start with its end",
    "schema": {"type": "string"},
}
PROBLEMS = {
    "400": "The Idempotency-Key cannot be used, or a collector's ping cannot be read",
    "402": "This month's pings are used up; see Retry-After",
    "403": "The tracker's owner is no longer a member of its account",
    "404": "No tracker has this tracking token, or there is no such verb",
    "405": "The door takes GET, HEAD and POST",
    "408": "The body did not come in time",
    "410": "The tracking token was rotated, or its tracker deleted",
    "413": "The body is too large",
    "415": "Compressed bodies are not understood",
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
    document["paths"][PING] = {"parameters": [TOKEN], "post": _post(), "get": _get()}
    document["paths"][PING_VERB] = {
        "parameters": [TOKEN, VERB],
        "post": _verb("record_verb"),
        "get": _verb("record_verb_by_get"),
    }
    return document


def _post() -> Schema:
    return {
        "summary": "Record a run",
        "description": "Query parameters are merged into the body's fields; the body wins."
        " A body that is neither a JSON object nor a form is kept as text.",
        "operationId": "record_run",
        "security": [],
        "parameters": [KEY, RUN_ID],
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {"schema": body_schema()},
                "application/x-www-form-urlencoded": {"schema": form_schema()},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        "responses": _recording(),
    }


def _verb(name: str) -> Schema:
    """Describe Healthchecks' verbs. POST has a body, GET and HEAD record as well."""
    posts = name == "record_verb"
    body = {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": {}}}
    return {
        "summary": "Record a start, a failure, a log or an exit code",
        "description": "Healthchecks' verbs. Whatever the body holds is kept: fields as fields,"
        " text as text; what cannot be booked is warned about.",
        "operationId": name,
        "security": [],
        "parameters": [KEY, RUN_ID],
        **({"requestBody": {"required": False, "content": body}} if posts else {}),
        "responses": _recording(),
    }


def _recording() -> Schema:
    headers = {
        REPLAYED_HEADER: {"schema": {"type": "string", "enum": ["true"]}},
        BODY_LIMIT_HEADER: {"schema": {"type": "integer"}},
        "RateLimit-Policy": {"schema": {"type": "string"}},
        "RateLimit": {"schema": {"type": "string"}},
    }
    return {
        "200": _answer("Receipt", "It is stored", "application/json") | {"headers": headers},
        **{status: _answer("Problem", text, MEDIA_TYPE) for status, text in PROBLEMS.items()},
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
