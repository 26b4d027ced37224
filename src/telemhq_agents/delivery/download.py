"""Fetching a published file over HTTP, whole or not at all."""

from __future__ import annotations

from telemhq_agents.delivery.httpx_alone import httpx
from telemhq_agents.errors import UnreachableError, UsageError

TIMEOUT_S = 20.0
"""For each wait: to connect, and for every next piece."""
MOST_BYTES = 32 * 1024 * 1024
OK = 200


def download(
    url: str, *, timeout_s: float = TIMEOUT_S, transport: httpx.BaseTransport | None = None
) -> bytes:
    """Return what lies at `url`, redirects followed.

    Raises UnreachableError where there is no answer, another one than 200, or one that ends
    early; UsageError for an address that is none.
    """
    try:
        with (
            httpx.Client(timeout=timeout_s, transport=transport, follow_redirects=True) as http,
            http.stream("GET", url) as response,
        ):
            return _body(url, response)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UsageError(
            f"{url} is no address: {str(error).rstrip('.')}.", "Give an http or https URL."
        ) from error
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"{url} cannot be reached: {str(error) or type(error).__name__}.",
            "Check the network and the address, or fetch the file elsewhere and name it.",
        ) from error


def _body(url: str, response: httpx.Response) -> bytes:
    if response.status_code != OK:
        raise UnreachableError(
            f"{url} answered {response.status_code} {response.reason_phrase}.", "Check the address."
        )
    got = bytearray()
    for piece in response.iter_bytes():
        got += piece
        if len(got) > MOST_BYTES:
            raise UnreachableError(
                f"{url} is larger than {MOST_BYTES // 2**20} MB.", "Check the address."
            )
    return bytes(got)
