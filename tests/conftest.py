"""What every test is surrounded by."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the entry from leaving garbage lie, as a process may that ends: this one goes on."""
    monkeypatch.setattr(gc, "freeze", lambda: None)
    yield
    gc.enable()
