"""What servers named when a command last asked: the names that completion offers without asking.

One small file, written after a command that heard something new. It is a convenience: where it
cannot be read there is none, where it cannot be written nothing is kept.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    Names = dict[str, Any]
    """Of one account: `trackers` (ids by name), `members`, `teams`, `projects`, `models`, and
    `fields` (by a tracker's id); `at_ms` is when the trackers were listed."""

VERSION = 1
_WHOLE = frozenset({"trackers", "members", "teams", "at_ms"})
MOST = 500
"""Names kept of a kind that only adds up."""


def load(path: Path) -> dict[str, dict[str, Names]]:
    """Return what is known, by profile and account ("" is the login's default)."""
    try:
        if not path.is_file():  # a pipe there would be waited for without end
            return {}
        written = json.loads(path.read_bytes())
        known = written["profiles"] if written["version"] == VERSION else {}
        return {
            profile: {account: _sound(names) for account, names in accounts.items()}
            for profile, accounts in known.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _sound(names: Names) -> Names:
    """Return what of an account's names is of the form in which they are written."""
    return {kind: some for kind, some in names.items() if _is_sound(kind, some)}


def _is_sound(kind: str, some: object) -> bool:
    match kind, some:
        case "at_ms", int():
            return True
        case "trackers", dict():
            return all(isinstance(number, str) for number in some.values())
        case "fields", dict():
            return all(map(_are_words, some.values()))
        case (("members" | "teams" | "projects" | "models"), _):
            return _are_words(some)
        case _:
            return False


def _are_words(some: object) -> bool:
    return isinstance(some, list) and all(isinstance(one, str) for one in some)


def known_of(path: Path, profile: str, account: str) -> Names:
    """Return what is known of one account of a profile."""
    return load(path).get(profile, {}).get(account, {})


def keep(path: Path, profile: str, account: str, heard: Names) -> None:
    """Add what a server named in an account of a profile; lists of all there is replace others."""
    from telemhq_agents import whole_file  # noqa: PLC0415 - reading needs none

    profiles = load(path)
    known = known_of(path, profile, account)
    after = merged(known, heard)
    if after == known:
        return
    profiles[profile] = {**profiles.get(profile, {}), account: after}
    _write(path, profiles, whole_file.put)


def forget(path: Path, profile: str) -> None:
    """Forget what was named to a profile."""
    from telemhq_agents import whole_file  # noqa: PLC0415 - same

    profiles = load(path)
    if profiles.pop(profile, None) is not None:
        _write(path, profiles, whole_file.put)


def merged(known: Names, heard: Names) -> Names:
    """Return what is known after hearing more: projects, models and fields add up, newest first."""
    after = {**known, **{kind: names for kind, names in heard.items() if kind in _WHOLE}}
    for kind in ("projects", "models"):
        if heard.get(kind):
            after[kind] = _first([*heard[kind], *known.get(kind, ())])
    if heard.get("fields"):
        fields = dict(known.get("fields", {}))
        for tracker, names in heard["fields"].items():
            fields[tracker] = _first([*names, *fields.get(tracker, ())])
        after["fields"] = fields
    return after


def _first(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))[:MOST]


def _write(path: Path, profiles: Mapping[str, Any], put: Any) -> None:  # noqa: ANN401 - whole_file.put
    text = json.dumps({"version": VERSION, "profiles": profiles}, ensure_ascii=False, indent=1)
    with contextlib.suppress(OSError, UnicodeEncodeError):
        put(path, text.encode() + b"\n", sync=False)


def of_account(
    profiles: Mapping[str, Mapping[str, Names]], profile: str, account: str | None
) -> Sequence[Names]:
    """Return what is known of an account of a profile; of all its accounts where that is None."""
    known = profiles.get(profile, {})
    if account is not None and account in known:
        return [known[account]]
    return list(known.values())
