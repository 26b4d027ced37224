"""How single values read: whole numbers, money, durations. Pure."""

from __future__ import annotations

from telemhq_cli.render.letters import LIKENESSES

NANO = 1_000_000_000
_SUFFIXES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_TENTH_OF_A_CENT = NANO // 10_000
_ASCII = str.maketrans(LIKENESSES)


def whole(number: int) -> str:
    """Write a number with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: 1 ping, 2 pings."""
    return f"{whole(number)} {noun}" if number == 1 else f"{whole(number)} {noun}s"


def compact(number: int) -> str:
    """Write a number in at most six characters, 12.3M, for narrow terminals."""
    size = abs(number)
    for unit, suffix in _SUFFIXES:
        if size >= unit - unit // 2000:  # what rounds to 1000k is 1.0M
            scaled = number / unit
            return f"{scaled:.0f}{suffix}" if abs(scaled) >= 99.95 else f"{scaled:.1f}{suffix}"  # noqa: PLR2004 - three digits
    return str(number)


def money(nano: int) -> str:
    """Write nano-USD: cents, or hundredths of a cent below a dollar."""
    if nano == 0:
        return "$0.00"
    sign, size = ("-" if nano < 0 else ""), abs(nano)
    if size < _TENTH_OF_A_CENT:
        return f"{sign}<$0.0001"
    if size < NANO:
        return f"{sign}${size / NANO:.4f}"
    return f"{sign}${size / NANO:,.2f}"


def cost(nano: int, unpriced_tokens: int) -> str:
    """Write a cost; a star marks one that some tokens have no price for."""
    if not unpriced_tokens:
        return money(nano)
    return f"{money(nano)}*" if nano else "unpriced*"


def moment(iso: str | None) -> str:
    """Shorten RFC 3339 to the minute, in UTC as it came."""
    return f"{iso[:10]} {iso[11:16]}Z" if iso else ""


def duration(ms: int | None) -> str:
    """Write milliseconds as a person would say them."""
    if ms is None:
        return ""
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms} ms"
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def span(ms: int) -> str:
    """Write a span that somebody chose, exactly: 90 s is 1 min 30 s."""
    units = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms"))
    parts = []
    for size, unit in units:
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{whole(count)} {unit}")
    return " ".join(parts) or "none"


def ago(ms: int) -> str:
    """Write how long ago something was, in one unit: 12 s, 3 min, 5 h, 2 d."""
    seconds = max(ms, 0) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def in_ascii(text: str) -> str:
    """Return a text in ASCII alone; what has no likeness there becomes a question mark."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()
