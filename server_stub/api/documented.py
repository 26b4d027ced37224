"""What the OpenAPI document says of refusals: every one is a problem body (RFC 9457)."""

from __future__ import annotations

from typing import Any

from telemhq_agents.contract.problem import MEDIA_TYPE, Problem

BODY = (400, 408, 413)
"""What a route that takes a body may refuse besides."""

_REASONS = {
    400: "The body cannot be read: it is not UTF-8, or it is nested too deeply",
    401: "No API key, or one that is unknown or revoked",
    402: "Your plan does not allow it, or its limit is reached",
    403: "Your role, or your membership, does not allow it",
    404: "There is no such thing that you can see",
    408: "The body did not come within half a minute",
    409: "It is already so, or cannot be so here",
    410: "It is no longer good",
    412: "It was changed since you read it: If-Match names another revision",
    413: "The body has more than 64 KiB (a file of trackers: than 1 MiB)",
    422: "A field or parameter is not as it should be",
    500: "The server failed; its log says how",
    503: "The database cannot answer now; try again",
}


def refusing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may refuse with these; 422, 500, 503 go unsaid."""
    return failing(*statuses, 422, 500, 503)


def failing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with exactly these problems."""
    return {status: {"model": Problem, "description": _REASONS[status]} for status in statuses}


def as_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Give the problem bodies of an OpenAPI document the media type that they are sent with.

    FastAPI files every body under the media type of its route's good answer.
    """
    for operations in document["paths"].values():
        for method, operation in operations.items():
            # A path may also list the parameters that its operations share.
            answers = {} if method == "parameters" else operation["responses"]
            for answer in answers.values():
                _move(answer.get("content", {}))
    return document


def _move(content: dict[str, Any]) -> None:
    for media_type, described in list(content.items()):
        if described.get("schema", {}).get("$ref") == f"#/components/schemas/{Problem.__name__}":
            content[MEDIA_TYPE] = content.pop(media_type)
