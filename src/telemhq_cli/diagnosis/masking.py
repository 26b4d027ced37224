"""No secret in what the doctor says: findings are shown to others, and pasted into reports. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from telemhq_agents.secrets import MASK, masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemhq_agents.credentials import Credentials
    from telemhq_cli.diagnosis.finding import Finding

SHORTEST = 8
"""What is shorter is no secret, and may stand in any word."""


def secrets_in(held: Credentials, api_key: str) -> list[str]:
    """Return every secret that this machine holds, the longest first."""
    urls = [one.ping_url for one in held.destinations.values()] + [*held.trackers.values()]
    found = {api_key, *(one.api_key for one in held.profiles.values())}
    found |= {one.name_key for one in held.destinations.values()}
    found |= {url.partition("/ping/")[2].partition("/")[0] for url in urls}
    found |= {held.device.salt} if held.device is not None else set()
    return sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True)


def without_secrets(found: Iterable[Finding], secrets: Iterable[str]) -> list[Finding]:
    """Return findings that hold none of these, and nothing that has the shape of a secret."""
    known = [*secrets]
    return [
        replace(one, message=_safe(one.message, known), next_step=_safe(one.next_step, known))
        for one in found
    ]


def _safe(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return masked(text)
