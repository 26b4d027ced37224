"""How a number of bytes reads. Pure."""

from __future__ import annotations

KILOBYTE, MEGABYTE, GIGABYTE = 10**3, 10**6, 10**9
_UNITS = ((GIGABYTE, "GB"), (MEGABYTE, "MB"), (KILOBYTE, "kB"))


def size(number: int) -> str:
    """Write a number of bytes in the largest unit that it fills."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number} bytes"
