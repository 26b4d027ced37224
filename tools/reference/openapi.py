"""The OpenAPI document, as a server answers it."""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from server_stub.app import create_app
from server_stub.settings import Settings
from telemhq_agents.contract import routes


@cache
def document() -> dict[str, Any]:
    """Return what `GET /openapi.json` answers."""
    with tempfile.TemporaryDirectory(prefix="telemhq-openapi-") as folder:
        server = create_app(Settings(f"sqlite:///{Path(folder) / 'none.sqlite3'}"))
        found: dict[str, Any] = asyncio.run(_asked(httpx.ASGITransport(app=server)))
    return found


async def _asked(server: httpx.ASGITransport) -> dict[str, Any]:
    async with httpx.AsyncClient(transport=server, base_url="http://127.0.0.1") as client:
        answer = await client.get(routes.OPENAPI)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found
