"""What leaves the machine in place of a path: a project's name, and a digest under a salt.

git is never run. `.git/config` is read as text, and a project's own `.telemhq.toml` may only name
the project or hide its name.
"""

from __future__ import annotations

import hmac
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.usage import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

CWD_HASH_DIGITS = 12
PRIVATE_PROJECT = "private"
"""What a project is called whose `.telemhq.toml` says `private = true`."""

PROJECT_FILE = ".telemhq.toml"
LARGEST_FILE = 1 << 20
_SECTION = re.compile(r'^\[\s*remote\s+"(?P<name>(?:[^"\\]|\\.)*)"\s*\]')
_URL = re.compile(r"^url\s*=\s*(?P<url>.+)$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[/\\]+")


class Checkout(NamedTuple):
    """The top of a working tree, and the directory that holds its `config`."""

    top: Path
    git: Path


def cwd_hash(salt: str, path: str) -> str:
    """Return the first 12 hex digits of HMAC-SHA256 of a path under this device's salt."""
    digest = hmac.digest(salt.encode(), path.encode("utf-8", "surrogatepass"), "sha256")
    return digest.hex()[:CWD_HASH_DIGITS]


def repository_name(url: str) -> str:
    """Return the name in a remote's URL; credentials, host and owner are left behind.

    Understands https, ssh, `git@host:owner/name.git`, `file:` and plain paths; "" when there is
    no name in it.
    """
    path = url.strip().partition("?")[0].partition("#")[0]
    if "://" in path:
        path = path.partition("://")[2].partition("/")[2]
    elif ":" in path and not re.match(r"^[A-Za-z]:[\\/]", path):
        path = path.rpartition(":")[2]
    name = _last_part(path)
    return name.removesuffix(".git")


def log_project(cwd: str, repository_url: str = "") -> str:
    """Return a project's name as the log alone tells it, the same on every machine."""
    return repository_name(repository_url) or _last_part(cwd)


def _last_part(path: str) -> str:
    return _SEPARATORS.split(path.rstrip("/\\"))[-1]


class ProjectNamer:
    """Names the project a directory belongs to, and remembers the answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Place] = {}

    def place(self, cwd: str, repository_url: str = "") -> Place:
        """Return the place of `cwd`; `repository_url` is the remote that the log names, if any.

        The name is that of `.telemhq.toml`, else of the remote that the log names, else of the
        checkout's remote, else of the directory. A directory that is gone has its own name.
        """
        known = self._known.get((cwd, repository_url))
        if known is None:
            known = Place(cwd, project(cwd, repository_url), log_project(cwd, repository_url))
            self._known[cwd, repository_url] = known
        return known


def project(cwd: str, repository_url: str = "") -> str:
    """Return the name that reports show for a directory."""
    checkout = _checkout(cwd)
    told = _told_by_project(cwd, checkout.top if checkout else None)
    if told:
        return told
    named = repository_name(repository_url)
    if not named and checkout is not None:
        named = repository_name(_remote(checkout.git)) or checkout.top.name
    return named or _last_part(cwd)


def _upward(cwd: str) -> list[Path]:
    path = Path(cwd)
    return [path, *path.parents] if path.is_absolute() else []


def _checkout(cwd: str) -> Checkout | None:
    """Find the working tree that holds `cwd`; a worktree or submodule leads to its own `config`."""
    for top in _upward(cwd):
        git = top / ".git"
        if _is_directory(git):
            return Checkout(top, git)
        link = _read(git)
        if link.startswith("gitdir:"):
            return _linked(top, link.partition(":")[2].strip())
    return None


def _linked(top: Path, target: str) -> Checkout:
    git = top / target
    common = _read(git / "commondir").strip()
    if not common:
        return Checkout(top, git)
    main = git / common
    # A worktree is named after the checkout it belongs to, not after its own directory.
    owner = Path(_SEPARATORS.split(str(main.absolute()))[-1])
    home = (git / common / "..").resolve() if owner.name in {"..", ".git"} else top
    return Checkout(home, main)


def _remote(git: Path) -> str:
    """Return the URL of `origin`, else of the first remote, out of `config`."""
    remotes: dict[str, str] = {}
    current = None
    for line in _read(git / "config").splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = _SECTION.match(stripped)
            current = section["name"] if section else None
        elif current is not None and (found := _URL.match(stripped)):
            remotes.setdefault(current, found["url"].strip().strip('"'))
    return remotes.get("origin") or next(iter(remotes.values()), "")


def _told_by_project(cwd: str, top: Path | None) -> str:
    """Return what `.telemhq.toml` says, from `cwd` up to the top of its checkout."""
    for folder in _within(_upward(cwd), top):
        text = _read(folder / PROJECT_FILE)
        if text:
            return _said(text)
    return ""


def _within(folders: Iterable[Path], top: Path | None) -> Iterable[Path]:
    for folder in folders:
        yield folder
        if top is None or folder == top:
            return


def _said(text: str) -> str:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # Nobody knows what it meant to hide.
        return PRIVATE_PROJECT
    if told.get("private") is True:
        return PRIVATE_PROJECT
    name = told.get("project")
    return name.strip() if isinstance(name, str) else ""


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _read(path: Path) -> str:
    """Return a small text file's content, "" when it is no such thing or not ours to read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(LARGEST_FILE).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
