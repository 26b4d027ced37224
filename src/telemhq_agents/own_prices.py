"""The user's own prices: `prices.toml`, read, and changed without losing what else is in it.

A file is changed block by block (a block is a `[[price]]` and what follows it), so that comments
and order stay; what had to go all the same is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemhq_agents import whole_file
from telemhq_agents.errors import SettingsError, unwritable
from telemhq_agents.rates import MOST_USD, compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from telemhq_agents.rates import Price

OVERRIDE_FILE = "prices.toml"
YOURS = {
    "input": "i",
    "output": "o",
    "cached_input": "r",
    "cache_write": "w",
    "cache_write_1h": "h",
}
"""What a price may hold, USD per million tokens, and its short name in the table."""
_KNOWN = {"model", "provider", "since", *YOURS}
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?price[\"']?[ \t]*\]\]", re.MULTILINE)
_BEFORE_COMMENT = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|[^"'#])*""")


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """One `[[price]]`. `since` is a day, "" for always; `amounts` are by the names in `YOURS`."""

    model: str
    provider: str
    since: str
    amounts: Mapping[str, float]

    @property
    def name(self) -> str:
        """What a model is looked up by."""
        model = self.model.lower()
        return f"{self.provider.lower()}/{model}" if self.provider else model

    @property
    def compiled(self) -> Price:
        """The price as it is reckoned with."""
        entry = {YOURS[name]: str(amount) for name, amount in self.amounts.items()}
        return compiled(entry | ({"d": self.since} if self.since else {}), OVERRIDE_FILE)


def read_own(path: Path) -> dict[str, list[Price]]:
    """Return the user's prices by name, the earliest first; none where there is no file.

    Raises SettingsError that names what is wrong in it.
    """
    found: dict[str, list[Price]] = {}
    for one in own_prices(path):
        found.setdefault(one.name, []).append(one.compiled)
    return {
        name: sorted(prices, key=lambda one: one.since_ms or 0) for name, prices in found.items()
    }


def own_prices(path: Path) -> list[OwnPrice]:
    """Return the user's prices in the order of the file. Raises SettingsError as above."""
    return [_own_price(path, entry) for entry in _entries(path, _text(path))]


def set_own(path: Path, price: OwnPrice) -> list[str]:
    """Set one price, in the place of one of the same model, provider and day.

    Returns the comments that went with what it replaced. Raises SettingsError when the file is
    wrong, or cannot be written.
    """
    entry: dict[str, Any] = {"model": price.model}
    entry |= {"provider": price.provider} if price.provider else {}
    entry |= _day(price.since) if price.since else {}
    entry |= price.amounts
    same = (price.name, price.since)
    return _change(path, lambda one: (one.name, one.since) == same, entry)[1]


def unset_own(path: Path, model: str, provider: str = "") -> tuple[int, list[str]]:
    """Take the prices of a model out, of one provider if that is named, else of all.

    Returns how many there were, and the comments that went with them.
    """

    def meant(one: OwnPrice) -> bool:
        same = one.model.lower() == model.lower()
        return same and (not provider or one.provider.lower() == provider.lower())

    return _change(path, meant, None)


def _change(
    path: Path, meant: Callable[[OwnPrice], bool], entry: Mapping[str, Any] | None
) -> tuple[int, list[str]]:
    text = _text(path)
    before = _entries(path, text)
    gone = [index for index, one in enumerate(before) if meant(_own_price(path, one))]
    if entry is None and not gone:
        return 0, []
    after = [one for index, one in enumerate(before) if index not in gone]
    if entry is not None:
        after.insert(gone[0] if gone else len(after), dict(entry))
    block = "" if entry is None else _block(entry)
    changed = _by_blocks(text, gone, block)
    if not _holds(path, changed, after):  # prices in another spelling: then all is written anew
        changed = "\n".join(map(_block, after))
    _save(path, changed)
    return len(gone), _lost(text, changed)


def _holds(path: Path, text: str, entries: list[dict[str, Any]]) -> bool:
    try:
        return _entries(path, text) == entries
    except SettingsError:
        return False


def _by_blocks(text: str, gone: Sequence[int], block: str) -> str:
    starts = [found.start() for found in _HEADER.finditer(text)]
    ends = [*starts[1:], len(text)] if starts else []
    blocks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    kept = [text[: starts[0]] if starts else text]
    placed = not block
    for index, one in enumerate(blocks):
        if index not in gone:
            kept.append(one)
            continue
        kept.append(("" if placed else block) + _after_values(one, keep_gap=not placed))
        placed = True
    if not placed:
        whole = "".join(kept)
        gap = "" if not whole else "\n" if whole.endswith("\n") else "\n\n"
        return whole + gap + block
    return "".join(kept)


def _after_values(block: str, *, keep_gap: bool) -> str:
    """Return what stands below a block's last value: the next one's comments, and blank lines."""
    lines = block.splitlines(keepends=True)
    last = max(index for index, line in enumerate(lines) if _is_value(line))
    rest = lines[last + 1 :]
    while rest and not keep_gap and not rest[0].strip():
        rest = rest[1:]
    return "".join(rest)


def _is_value(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _lost(before: str, after: str) -> list[str]:
    """Return the comments that stood in a text and don't any more."""
    kept = _comments(after)
    return [comment for comment in _comments(before) if comment not in kept]


def _comments(text: str) -> list[str]:
    return [line[at:] for line in text.splitlines() if (at := _comment_at(line)) >= 0]


def _comment_at(line: str) -> int:
    """Return where a line's comment begins, -1 where it has none: a text may hold the sign too."""
    found = _BEFORE_COMMENT.match(line)
    return found.end() if found and line[found.end() :].startswith("#") else -1


def _block(entry: Mapping[str, Any]) -> str:
    import tomli_w  # noqa: PLC0415 - only where something is written

    return "[[price]]\n" + tomli_w.dumps(entry)


def _day(text: str) -> dict[str, Any]:
    from datetime import date  # noqa: PLC0415 - only where something is written

    return {"since": date.fromisoformat(text)}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from error


def _entries(path: Path, text: str) -> list[Any]:
    import tomllib  # noqa: PLC0415 - few people have such a file, everybody books

    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, str(error)) from error
    entries = read.pop("price", [])
    if read or not isinstance(entries, list):
        raise _wrong(path, f"only [[price]] tables belong there, not {', '.join(read) or 'price'}")
    return entries


def _own_price(path: Path, entry: object) -> OwnPrice:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        raise _wrong(path, "a [[price]] needs a model")
    unknown = entry.keys() - _KNOWN
    if unknown:
        raise _wrong(path, f"a [[price]] has no {', '.join(sorted(unknown))}")
    model = entry["model"]
    amounts = {
        name: _amount(path, f"{name} of {model}", entry[name]) for name in YOURS if name in entry
    }
    if "input" not in amounts or "output" not in amounts:
        raise _wrong(path, f"the price of {model} needs both input and output")
    since = str(entry["since"])[:10] if "since" in entry else ""
    price = OwnPrice(model, str(entry.get("provider", "")), since, amounts)
    try:
        price.compiled  # noqa: B018 - a wrong day is found here
    except ValueError as error:
        raise _wrong(path, f"since of {model} is not a day: {entry['since']!r}") from error
    return price


def _amount(path: Path, what: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_USD:
        return value
    raise _wrong(path, f"{what} is not a price: {value!r} (0 to {MOST_USD:,})")


def _save(path: Path, text: str) -> None:
    try:
        whole_file.put(path, text.encode())
    except OSError as error:
        raise unwritable(SettingsError, f"The prices in {path}", error) from error


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The prices in {path} cannot be used: {what}.",
        'A price looks like: [[price]] model = "my-model" input = 1.25 output = 10.0 '
        "(USD per million tokens; also cached_input, cache_write, cache_write_1h, since).",
    )
