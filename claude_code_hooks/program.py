"""Where Claude Code is installed on this machine, and its version."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT_S = 10
_PREFIX = re.compile(r"^\s*prefix\s*=\s*(?P<path>.+?)\s*$", re.MULTILINE)
EDITORS = (".vscode", ".vscode-server", ".cursor", ".cursor-server", ".windsurf")
"""Editors whose extension brings a program of its own, which is on nobody's PATH."""


class Program(NamedTuple):
    """An installed Claude Code. `version` is "" where it does not tell."""

    path: Path
    version: str


def find(environ: Mapping[str, str]) -> Program | None:
    """Return the Claude Code that this person runs, the one on PATH first; None for none."""
    for path in candidates(environ):
        version = version_of(path)
        if version:
            return Program(path, version)
    return None


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the programs there are, in the order in which they are likely to be run."""
    found = shutil.which("claude", path=environ.get("PATH"))
    if found:
        yield Path(found)
    home = Path(environ.get("HOME") or Path.home())
    folders = [home / ".claude" / "local", home / ".local" / "bin", *_npm_folders(environ, home)]
    named = [folder / "claude" for folder in folders]
    for editor in EDITORS:
        extensions = home / editor / "extensions"
        pattern = "anthropic.claude-code-*/resources/native-binary/claude"
        named += sorted(extensions.glob(pattern), reverse=True)
    yield from (path for path in named if path.is_file())


def _npm_folders(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield where npm puts programs; asking it would take half a second."""
    named = environ.get("NPM_CONFIG_PREFIX") or environ.get("npm_config_prefix")
    if named:
        yield Path(named) / "bin"
    try:
        told = _PREFIX.search((home / ".npmrc").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        told = None
    if told:
        yield Path(told["path"].replace("${HOME}", str(home))).expanduser() / "bin"
    yield home / ".npm-global" / "bin"


def version_of(program: Path) -> str:
    """Return what `claude --version` says, "" where it says nothing of the kind."""
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    found = re.match(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else ""
