"""API keys, tracking tokens and invitation tokens: how they look and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets

API_KEY_PREFIX = "thq_"
METRICS_KEY_PREFIX = "thqm_"
_SHOWN_CHARACTERS = 12
_API_KEY_BYTES = 32
_TOKEN_BYTES = 18
_NAMING_KEY_BYTES = 32


def new_api_key() -> str:
    """Mint an API key of 256 random bits: `thq_` and 43 URL-safe characters."""
    return API_KEY_PREFIX + secrets.token_urlsafe(_API_KEY_BYTES)


def new_metrics_key() -> str:
    """Mint a metrics key of 256 random bits: `thqm_` and 43 URL-safe characters."""
    return METRICS_KEY_PREFIX + secrets.token_urlsafe(_API_KEY_BYTES)


def new_token() -> str:
    """Mint a tracking or invitation token of 144 random bits: 24 URL-safe characters."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def new_naming_key() -> str:
    """Mint a key of 256 random bits to hash project names under: 43 URL-safe characters."""
    return secrets.token_urlsafe(_NAMING_KEY_BYTES)


def digest(secret: str) -> bytes:
    """Return what is stored of a secret: SHA-256, which suffices for one nobody chose."""
    return hashlib.sha256(secret.encode()).digest()


def shown_prefix(api_key: str) -> str:
    """Return the part by which a person recognises a key of theirs."""
    return api_key[:_SHOWN_CHARACTERS]
