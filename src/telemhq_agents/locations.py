"""The one home of paths: where our own files live and where the agents keep their logs.

`TELEMHQ_HOME` moves every file of ours under one directory. Read by the wrapper's hot path, so
neither platformdirs (18 ms) nor dataclasses (6 ms) is imported where that can be avoided.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORM = str(sys.platform)


class Locations(NamedTuple):
    """Where our own files are. Directories are made by whoever writes there first, mode 0700."""

    config: Path
    data: Path

    @property
    def settings(self) -> Path:
        """The user's settings, TOML, no secrets."""
        return self.config / "config.toml"

    @property
    def credentials(self) -> Path:
        """Tracking tokens, and API keys where there is no keyring: JSON, mode 0600."""
        return self.config / "credentials.json"

    @property
    def own_prices(self) -> Path:
        """The user's own prices, TOML."""
        return self.config / "prices.toml"

    @property
    def downloaded_prices(self) -> Path:
        """A table of prices that is newer than this version's own, if one was downloaded."""
        return self.data / "prices.json"

    @property
    def backups(self) -> Path:
        """Exports and backups of the ledger, from which a damaged one is rebuilt."""
        return self.data / "backups"

    @property
    def ledger(self) -> Path:
        """The machine's own store of usage facts, cursors and outbox: SQLite, mode 0600."""
        return self.data / "ledger.sqlite3"

    @property
    def spool(self) -> Path:
        """Small entries that hooks and wrappers leave behind."""
        return self.data / "spool"

    @property
    def prompts(self) -> Path:
        """The log of prompts, where the privacy level asks for one: mode 0600, never sent."""
        return self.data / "prompts.jsonl"

    @property
    def failing(self) -> Path:
        """How many trackers failed when a server was last asked: one line, for shell prompts."""
        return self.data / "failing"

    @property
    def names(self) -> Path:
        """What servers named last (trackers, members, projects), for completion: JSON, mode 0600."""
        return self.data / "names.json"

    @property
    def completion(self) -> Path:
        """The scripts that teach bash and zsh to complete."""
        return self.data / "completion"

    @property
    def locks(self) -> Path:
        """Lock files: one for booking, one for the running agent."""
        return self.data / "locks"

    @property
    def agent_log(self) -> Path:
        """What the background agent says, mode 0600; the one before is beside it, as `.1`."""
        return self.data / "agent.log"


def ours(environ: Mapping[str, str] = os.environ) -> Locations:
    """Return where our files live on this machine, for this environment."""
    home = environ.get("TELEMHQ_HOME")
    if home:
        root = Path(home).absolute()
        return Locations(config=root, data=root)
    if PLATFORM == "linux" and os.path.isabs(environ.get("HOME", "")):  # noqa: PTH117 - same as below
        return Locations(
            config=_xdg(environ, "XDG_CONFIG_HOME", ".config"),
            data=_xdg(environ, "XDG_DATA_HOME", ".local/share"),
        )
    from platformdirs import PlatformDirs  # noqa: PLC0415 - 18 ms that the wrapper can do without

    dirs = PlatformDirs("telemhq", appauthor=False)
    return Locations(config=Path(dirs.user_config_dir), data=Path(dirs.user_data_dir))


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Return what platformdirs would: the variable where it is an absolute path, else below home."""
    named = environ.get(variable, "")
    root = Path(named) if os.path.isabs(named) else Path(environ["HOME"]) / default  # noqa: PTH117 - as a text it may be empty
    return root / "telemhq"


def codex_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return Codex's directory: `CODEX_HOME`, else `~/.codex`."""
    named = environ.get("CODEX_HOME")
    return Path(named) if named else Path.home() / ".codex"


def claude_homes(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return Claude Code's directories, each of which may hold `projects/`.

    `CLAUDE_CONFIG_DIR`, else `CLAUDE_CODE_HOME`, else `~/.claude` and the XDG place that some
    versions of 1.0 used.
    """
    named = environ.get("CLAUDE_CONFIG_DIR") or environ.get("CLAUDE_CODE_HOME")
    if named:
        return [Path(named)]
    xdg = environ.get("XDG_CONFIG_HOME")
    return [Path.home() / ".claude", (Path(xdg) if xdg else Path.home() / ".config") / "claude"]


def systemd_units(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where a user's own systemd units lie (systemd.unit(5))."""
    named = environ.get("XDG_CONFIG_HOME", "")
    root = Path(named) if os.path.isabs(named) else Path.home() / ".config"  # noqa: PTH117 - as a text it may be empty
    return root / "systemd" / "user"


def launch_agents() -> Path:
    """Return where a user's own launchd agents lie on macOS (launchd.plist(5))."""
    return Path.home() / "Library" / "LaunchAgents"


def shell_startup(shell: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return what bash or zsh reads when a person opens a terminal (their manuals)."""
    if shell == "zsh":
        named = environ.get("ZDOTDIR")
        return (Path(named) if named else Path.home()) / ".zshrc"
    return Path.home() / ".bashrc"


def fish_completions(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where fish looks for a user's own completions (complete(1) of fish)."""
    named = environ.get("XDG_CONFIG_HOME", "")
    root = Path(named) if os.path.isabs(named) else Path.home() / ".config"  # noqa: PTH117 - as a text it may be empty
    return root / "fish" / "completions"


def claude_managed_settings(platform: str = PLATFORM) -> Path:
    """Return where an organisation's settings for Claude Code lie (its settings reference)."""
    if platform == "darwin":
        return Path("/Library/Application Support/ClaudeCode")
    return Path("C:/Program Files/ClaudeCode" if platform == "win32" else "/etc/claude-code")
