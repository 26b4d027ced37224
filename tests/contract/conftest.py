"""The databases of the server's own tests."""

from __future__ import annotations

from tests.server_stub.conftest import (
    own_postgres_url,
    postgres_admin,
    postgres_server,
    postgres_template,
)

__all__ = ["own_postgres_url", "postgres_admin", "postgres_server", "postgres_template"]
