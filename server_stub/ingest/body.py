"""Reading the body of a ping: bounded in bytes and in time, refused as early as can be told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server_stub.domain.problem import ProblemError
from server_stub.ingest.decode import FORM, looks_like_json, media_type
from server_stub.ingest.refusals import CLOSE, STOPPING, TOO_SLOW, RefusedError, too_large
from server_stub.ingest.salvage import TEXT

if TYPE_CHECKING:
    from starlette.types import Receive

BODY_SECONDS = 30.0
"""How long a body may take to come whole."""

LARGEST_TEXT_BYTES = 1024 * 1024
"""How much a job may have printed; the end of it is kept."""

LINGERING_BYTES = 4 * 1024 * 1024
"""A longer body is not waited for until its end before the connection is used again: it is closed."""


class ClientGoneError(Exception):
    """The client went away before its request was whole."""


async def read_body(
    receive: Receive, length: int, limit: int, content_type: str, *, any_text: bool
) -> tuple[bytes, bool]:
    """Return the body, and whether it is only the end of a longer one.

    `length` is what the client says, 0 where it does not. More than `limit` bytes are a 413, unless
    it is text: of that the end is kept. (Content types that say text, or `any_text`: all.)
    Raises ProblemError (408, 413, 503) and ClientGoneError.
    """
    may_be_cut = any_text or media_type(content_type) in {TEXT, FORM}
    most = max(LARGEST_TEXT_BYTES, limit) if may_be_cut else limit
    if length > most:
        raise RefusedError(too_large(most), [CLOSE] if length > LINGERING_BYTES else [])
    try:
        async with asyncio.timeout(BODY_SECONDS):
            first, body, size = await _read(receive, limit, most)
    except TimeoutError as error:
        raise ProblemError(TOO_SLOW) from error
    except asyncio.CancelledError as error:
        # The server ends, and its patience with it: nothing else cancels a request.
        raise ProblemError(STOPPING) from error
    if size > most:
        # Nobody knows how much more would come.
        raise RefusedError(too_large(most), [CLOSE])
    if size > limit and not any_text and looks_like_json(first.lstrip()):
        raise ProblemError(too_large(limit))
    return body[-limit:], size > limit


async def _read(receive: Receive, limit: int, most: int) -> tuple[bytes, bytes, int]:
    """Return how the body begins, at least its last `limit` bytes, and its size.

    Reads no further than to what is more than `most`.
    """
    first = body = b""
    size = 0
    more = True
    while more and size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        first = first or part
        body = (body + part)[-2 * limit :] if body else part
    return first, body, size
