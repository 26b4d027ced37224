"""What in Claude Code's settings keeps an installed hook from running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claude_code_hooks import registering, settings_file
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OFF, MANAGED_ONLY = "disableAllHooks", "allowManagedHooksOnly"


def reasons(
    settings: Sequence[tuple[Path, Mapping[str, Any]]],
    managed: Sequence[tuple[Path, Mapping[str, Any]]],
) -> list[str]:
    """Return why no hook of ours runs, in sentences; nothing where it does. Pure.

    `settings` come in Claude Code's order, the weakest first; what an organisation manages is
    stronger than all of them.
    """
    found = []
    told = [(path, each[OFF]) for path, each in [*settings, *managed] if OFF in each]
    if told and told[-1][1] is True:
        found.append(f'{told[-1][0]} says "{OFF}": true, so Claude Code runs no hook.')
    found += [
        f'{path} says "{MANAGED_ONLY}": true, so Claude Code runs only your organisation\'s hooks.'
        for path, each in managed
        if each.get(MANAGED_ONLY) is True
    ]
    return found


def why_silent(settings: Sequence[Path], managed_folder: Path) -> list[str]:
    """Return why no hook of ours runs where these settings hold, the weakest first.

    A file that is not there, or cannot be read as Claude Code could not either, says nothing.
    """
    return reasons(_read(settings), _read(managed_files(managed_folder)))


def managed_files(folder: Path) -> list[Path]:
    """Return an organisation's settings, the weakest first (code.claude.com/docs/en/settings)."""
    return [
        folder / "managed-settings.json",
        *sorted((folder / "managed-settings.d").glob("*.json")),
    ]


def has_plugin(settings: Path) -> bool:
    """Tell whether our plugin is enabled in these settings, whatever marketplace it came from."""
    return any(
        name.split("@")[0] == "telemhq" and is_enabled is True
        for _, each in _read([settings])
        if isinstance(plugins := each.get("enabledPlugins"), dict)
        for name, is_enabled in plugins.items()
    )


def _read(paths: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for path in paths:
        try:
            text = settings_file.read(path)
            if text is not None:
                found.append((path, registering.settings_of(text)))
        except (SettingsError, ValueError):
            continue
    return found
