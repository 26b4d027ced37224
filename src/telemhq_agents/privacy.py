"""What leaves the machine in place of a path: a project's name, and a digest under a salt.

git is never run. `.git/config` is read as text, and a project's own `.telemhq.toml` may only name
the project or keep its work on this machine.
"""

from __future__ import annotations

import glob
import hmac
import os
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents.usage import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HASH_DIGITS = 12
PRIVATE_MARK = "private/"
"""How the name of a project begins whose work stays on this machine: no directory and no remote has
a slash in its name, so none is taken for private by accident."""

HASHED_MARK = "project-"
"""How the name of a project begins that is told as a digest."""

PROJECT_FILE = ".telemhq.toml"
LARGEST_FILE = 1 << 20
LARGEST_PROJECT_FILE = 1 << 13
"""Of a file that anybody may have written, and two settings: TOML of a megabyte can take an hour."""
_WILD = re.compile(r"[*?\[]")
_SECTION = re.compile(r'^\[\s*remote\s+"(?P<name>(?:[^"\\]|\\.)*)"\s*\]')
_URL = re.compile(r"^url\s*=\s*(?P<url>.+)$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[/\\]+")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_WORKTREE = re.compile(r"[/\\]\.claude[/\\]worktrees[/\\].*")
_SCHEME = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh|git|ftps?|file|rsync):", re.IGNORECASE)
_NO_NAME = re.compile(r"[\s@:;&=]|%40|%3a", re.IGNORECASE)
"""What stands between the parts of a URL, or beside it: a name with it may hold a secret."""

_GIT_VALUE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"?|\\(?P<escaped>.)|(?P<comment>[;#])')


class Said(NamedTuple):
    """What a project's own `.telemhq.toml` says of it."""

    name: str = ""
    private: bool = False


class Checkout(NamedTuple):
    """The top of a working tree, and the directory that holds its `config`.

    `found` is where `.git` lies: a worktree's own top, while `top` is the one it is named after.
    """

    top: Path
    git: Path
    found: Path


def cwd_hash(salt: str, path: str) -> str:
    """Return the first 12 hex digits of HMAC-SHA256 of a path under this device's salt."""
    return _keyed_digest(salt, path)


def hashed_project(key: str, name: str) -> str:
    """Return what a project is called where its name is hashed: equal names under one key agree."""
    return HASHED_MARK + _keyed_digest(key, name) if name else ""


def _keyed_digest(key: str, text: str) -> str:
    digest = hmac.digest(key.encode(), text.encode("utf-8", "surrogatepass"), "sha256")
    return digest.hex()[:HASH_DIGITS]


def is_kept(cwd: str, patterns: Patterns) -> bool:
    """Tell whether work in a directory stays on this machine, by its own word or the user's."""
    return is_private(project(cwd, "", patterns))


def is_private(project_name: str) -> bool:
    """Tell whether a project's name marks work that stays on this machine."""
    return project_name.startswith(PRIVATE_MARK)


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
    return repository or _directory_name(cwd)


def _directory_name(cwd: str) -> str:
    """Return the last name of a directory; a worktree of Claude Code's has that of its checkout."""
    return _last_part(_WORKTREE.sub("", cwd) or cwd)


def _last_part(path: str) -> str:
    return _SEPARATORS.split(path.rstrip("/\\"))[-1]


class ProjectNamer:
    """Names the project a directory belongs to, and remembers the answer.

    `private` are patterns of the user's settings: what is done in such directories is marked.
    """

    def __init__(self, private: Sequence[str] = ()) -> None:
        self._private = Patterns(private)
        self._known: dict[tuple[str, str], Place] = {}

    def place(self, cwd: str, repository: str = "") -> Place:
        """Return the place of `cwd`; `repository` is what the log calls its remote, if anything.

        The name is that of `.telemhq.toml`, else of the remote that the log names, else of the
        checkout's remote, else of the directory. A directory that is gone has its own name.
        """
        known = self._known.get((cwd, repository))
        if known is None:
            name = project(cwd, repository, self._private)
            known = Place(cwd, name, log_project(cwd, repository))
            self._known[cwd, repository] = known
        return known


def project(cwd: str, repository: str = "", private: Patterns | None = None) -> str:
    """Return the name that reports show for a directory; `repository` is a `repository_name`.

    It begins with `PRIVATE_MARK` where `.telemhq.toml` or one of the patterns `private` says so.
    """
    checkout = _checkout(cwd)
    said = _told_by_project(cwd, checkout)
    name = said.name or repository or _name_of(checkout) or _directory_name(cwd)
    # A worktree that lies elsewhere holds the same work as its main checkout.
    folders = [cwd] if checkout is None else [cwd, str(checkout.top)]
    stays = said.private or (private is not None and any(map(private.cover, folders)))
    return PRIVATE_MARK + name if stays and not is_private(name) else name


def _name_of(checkout: Checkout | None) -> str:
    if checkout is None:
        return ""
    return repository_name(_remote(checkout.git)) or checkout.top.name


def has_remote(cwd: str) -> bool:
    """Tell whether the checkout that holds a directory names a remote."""
    checkout = _checkout(cwd)
    return checkout is not None and bool(_remote(checkout.git))


class Patterns:
    """Directories whose work the user keeps on this machine; looked for on disk once.

    `*` stands for one name or a part of it; `~` is the user's home. Both the path as it is told and
    where links lead it are looked at: what one meant to keep must not slip through a link.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = patterns

    @cached_property
    def _all_shapes(self) -> frozenset[str]:
        # A directory may be called `[client]`: a bracket stands for itself as well.
        spelled = {one for pattern in self._patterns for one in (pattern, _literal(pattern))}
        return frozenset(shape for pattern in spelled for shape in _shapes(pattern))

    def cover(self, cwd: str) -> bool:
        """Tell whether one of them names a directory or one that it lies in."""
        if not self._patterns or not Path(cwd).is_absolute():
            return False
        folders = {*_upward(cwd), *_upward(_real(Path(cwd)))}
        return any(_is_one(folder, self._all_shapes) for folder in folders)


def _literal(pattern: str) -> str:
    return pattern.replace("[", "[[]")


def _shapes(pattern: str) -> set[str]:
    """Return a pattern with its home filled in, as it is written and where its links lead."""
    whole = Path(pattern.removesuffix("/**") or "/").expanduser()
    found = {str(whole)}
    plain = next((part for part in (whole, *whole.parents) if not _WILD.search(str(part))), None)
    if plain is not None:
        found.add(str(Path(glob.escape(_real(plain))) / whole.relative_to(plain)))
    there = glob.glob(str(whole), include_hidden=True)  # noqa: PTH207 - Path.glob starts somewhere
    led = [real for real in map(Path, map(_real, map(Path, there))) if not _is_one(real, found)]
    return found | {glob.escape(str(real)) for real in led}


def _is_one(path: Path, shapes: Iterable[str]) -> bool:
    return any(path.match(shape) for shape in shapes)


def _real(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all
        return str(path)


def _upward(cwd: str) -> list[Path]:
    path = Path(cwd)
    return [path, *path.parents] if path.is_absolute() else []


def _checkout(cwd: str) -> Checkout | None:
    """Find the working tree that holds `cwd`; a worktree or submodule leads to its own `config`."""
    for top in _upward(cwd):
        git = top / ".git"
        if _is_directory(git):
            return Checkout(top, git, top)
        link = _read(git)
        if link.startswith("gitdir:"):
            return _linked(top, link.partition(":")[2].strip())
    return None


def _linked(top: Path, target: str) -> Checkout:
    git = top / target
    common = _read(git / "commondir").strip()
    if not common:
        return Checkout(top, git, top)
    main = git / common
    # A worktree is named after the checkout it belongs to, not after its own directory.
    owner = Path(_SEPARATORS.split(str(main.absolute()))[-1])
    home = (git / common / "..").resolve() if owner.name in {"..", ".git"} else top
    return Checkout(home, main, top)


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


def project_files(cwd: str) -> list[Path]:
    """Return every `.telemhq.toml` that speaks of a directory, the nearest first."""
    return [file for file in _files_of(cwd, _checkout(cwd)) if os.path.lexists(file)]


def _files_of(cwd: str, checkout: Checkout | None) -> list[Path]:
    folders = [*_within(_upward(cwd), checkout)]
    if checkout is not None and checkout.top not in folders:
        folders.append(checkout.top)
    return [folder / PROJECT_FILE for folder in folders]


def _told_by_project(cwd: str, checkout: Checkout | None) -> Said:
    """Return what `.telemhq.toml` says, from `cwd` up to the top of its checkout.

    The nearest one names the project; any of them, or the main checkout's of a worktree, makes it
    private.
    """
    found = (_said_in(file) for file in _files_of(cwd, checkout))
    said = [one for one in found if one is not None]
    return Said(said[0].name, any(one.private for one in said)) if said else Said()


def _within(folders: Iterable[Path], checkout: Checkout | None) -> Iterable[Path]:
    for folder in folders:
        yield folder
        if checkout is None or folder == checkout.found:
            return


def _said_in(file: Path) -> Said | None:
    """Return what a `.telemhq.toml` says; None where there is none."""
    text = _text(file, LARGEST_PROJECT_FILE + 1)
    if text is not None and len(text.encode()) <= LARGEST_PROJECT_FILE:
        return _said(text) if text else None
    return Said(private=True) if os.path.lexists(file) else None  # who knows what it meant to keep


def _said(text: str) -> Said:
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return Said(private=True)  # as above
    name = told.get("project")
    private = told.get("private", False) is not False
    return Said(name.strip() if isinstance(name, str) else "", private)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _read(path: Path) -> str:
    """Return a small text file's content, "" when it is no such thing or not ours to read."""
    return _text(path) or ""


def _text(path: Path, largest: int = LARGEST_FILE) -> str | None:
    """Return a small text file's content, None when it is no such thing or not ours to read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(largest).decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return None
