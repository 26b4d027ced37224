"""Asking a person before something is gone for good."""

from __future__ import annotations

import sys

import typer

from telemhq_agents.errors import UsageError


def agree(question: str, *, already: bool) -> None:
    """Return when the person says yes; raise where they don't, or where there is nobody to ask."""
    if already:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to answer.", "Say so with --yes.")
    if not typer.confirm(question, err=True):
        raise UsageError("Nothing was changed.", "With --yes nothing is asked.")
