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
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_SCHEME = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh|git|ftps?|file|rsync):", re.IGNORECASE)
_NO_NAME = re.compile(r"[\s@:;&=]|%40|%3a", re.IGNORECASE)
"""What stands between the parts of a URL, or beside it: a name with it may hold a secret."""

_GIT_VALUE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"?|\\(?P<escaped>.)|(?P<comment>[;#])')


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
    no name in it, or no telling a name from a secret.
    """
    path, mark, rest = _cut(url.strip())
    # A password may hold such a mark: what looks like a path before it is no path then.
    if "::" in path or (mark and "@" in rest):
        return ""
    name = _last_part(_path_of(path)).removesuffix(".git")
    is_name = name not in {".", ".."} and name.isprintable() and not _NO_NAME.search(name)
    return name if is_name else ""


def _cut(url: str) -> tuple[str, str, str]:
    """Cut off a query or a fragment."""
    found = re.search(r"[?#]", url)
    return (url[: found.start()], found[0], url[found.end() :]) if found else (url, "", "")


def _path_of(url: str) -> str:
    """Return the path in a remote's URL, "" when it has none."""
    if "://" in url:
        return url.partition("://")[2].partition("/")[2]
    if _SCHEME.match(url):
        return ""
    before, colon, after = url.partition(":")
    is_host = bool(colon) and "/" not in before and not _DRIVE.match(url)
    return after if is_host else url


def log_project(cwd: str, repository: str = "") -> str:
    """Return a project's name as the log alone tells it, the same on every machine."""
    return repository or _last_part(cwd)


def _last_part(path: str) -> str:
    return _SEPARATORS.split(path.rstrip("/\\"))[-1]


class ProjectNamer:
    """Names the project a directory belongs to, and remembers the answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Place] = {}

    def place(self, cwd: str, repository: str = "") -> Place:
        """Return the place of `cwd`; `repository` is what the log calls its remote, if anything.

        The name is that of `.telemhq.toml`, else of the remote that the log names, else of the
        checkout's remote, else of the directory. A directory that is gone has its own name.
        """
        known = self._known.get((cwd, repository))
        if known is None:
            known = Place(cwd, project(cwd, repository), log_project(cwd, repository))
            self._known[cwd, repository] = known
        return known


def project(cwd: str, repository: str = "") -> str:
    """Return the name that reports show for a directory; `repository` is a `repository_name`."""
    checkout = _checkout(cwd)
    told = _told_by_project(cwd, checkout.top if checkout else None)
    if told:
        return told
    named = repository
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
    for line in _read(git / "config").replace("\\\n", "").splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = _SECTION.match(stripped)
            current = section["name"] if section else None
        elif current is not None and (found := _URL.match(stripped)):
            remotes.setdefault(current, _git_value(found["url"]))
    return remotes.get("origin") or next(iter(remotes.values()), "")


def _git_value(text: str) -> str:
    """Return the value that git reads in `text`: quotes taken off, comments left out."""
    kept, end = [], 0
    for found in _GIT_VALUE.finditer(text):
        kept.append(text[end : found.start()])
        if found["comment"]:
            return "".join(kept).strip()
        kept.append(re.sub(r"\\(.)", r"\1", found["quoted"] or "") or found["escaped"] or "")
        end = found.end()
    return "".join([*kept, text[end:]]).strip()


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
