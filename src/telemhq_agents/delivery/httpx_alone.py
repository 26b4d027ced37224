"""httpx without the command line that it brings along.

Where Click is installed, as with a server, that would load rich and Pygments into every command
that asks something: 40 ms.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # - as if it were not installed

import httpx

__all__ = ["httpx"]
