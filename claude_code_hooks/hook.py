"""The hot path: one Claude Code hook event becomes one small spool entry.

    python -I -S hook.py SPOOL [WAKE COMMAND ...]

Reads the event on stdin, keeps names, ids and paths of it and nothing that a person, a model or a
tool wrote, leaves the entry in SPOOL and is gone. It prints nothing, on either stream, and exits 0
whatever happens: what a hook prints can reach the model, and its exit code can block a turn.
After an event that ends something, the wake command is started, detached, unless an agent runs.

Runs before and after every turn, so it loads the lightest modules only: the json package alone
would double the time of the process.
"""

# pathlib alone would double the time of the process, and what few runs need is imported by those:
# ruff: noqa: PTH103, PTH104, PTH108, PTH118, PTH120, PLC0415

import os
import sys
import time

MAX_STDIN_BYTES = 32 * 1024 * 1024
MAX_PATH_CHARACTERS = 4096
MAX_WORD_CHARACTERS = 128
MAX_KIND_CHARACTERS = 40
MAX_NUMBER = 2**53

WAKING_EVENTS = ("Stop", "StopFailure", "SubagentStop", "SessionEnd", "")
"""Events that end something, and "", which nobody could read and which may be one of them."""

WORDS = ("session_id", "prompt_id", "tool_name", "timestamp")
"""Ids and names. A value that is not one plain word is left out: it may be free text."""
KINDS = ((None, "source"), (None, "trigger"), ("StopFailure", "error"), ("SessionEnd", "reason"))
"""Fields with a few fixed values, and the one event in which they are no free text."""
PATHS = ("transcript_path", "agent_transcript_path", "cwd")

HANDED_ON = (
    *("HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR"),
    *("TELEMHQ_HOME", "TELEMHQ_PROFILE", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_HOME", "CODEX_HOME"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""What of the environment the wake command gets. Claude Code's own holds API keys."""


def read_stdin() -> bytes:
    """Return what is on stdin, cut where no event ever reaches."""
    blocks = []
    left = MAX_STDIN_BYTES
    while left > 0 and (block := os.read(0, 1 << 20)):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


class Rules:
    """How the C scanner reads: as json.loads does, and control characters are no error."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = str


def parse(text: str) -> object:
    """Read JSON, by the C scanner alone where there is one."""
    try:
        import _json
    except ImportError:
        import json

        return json.loads(text, strict=False)
    return _json.make_scanner(Rules)(text, 0)[0]  # type: ignore[arg-type]  # - duck


def quoted(text: str) -> str:
    """Write a JSON string in ASCII."""
    try:
        import _json
    except ImportError:
        import json

        return json.dumps(text)
    return _json.encode_basestring_ascii(text)


def is_word(value: object) -> bool:
    """Tell whether the value is one plain word, as ids and names of kinds are."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_WORD_CHARACTERS:
        return False
    return value.isascii() and value.translate(SIGNS_OF_WORDS).isalnum()


def is_kind(value: object) -> bool:
    """Tell whether the value can be one of a few fixed ones, as in rate_limit."""
    if not isinstance(value, str) or len(value) > MAX_KIND_CHARACTERS:
        return False
    letters = value.replace("_", "")
    return letters.isascii() and letters.isalpha() and letters.islower()


SIGNS_OF_WORDS = {ord(sign): None for sign in "_-.:"}


def redact(event: "dict[str, object]", at_ms: int) -> "dict[str, object]":
    """Return the entry for an event: its kind, ids, paths and flags, and no text of anyone."""
    name = event.get("hook_event_name")
    kept: dict[str, object] = {"event": name if is_word(name) else ""}
    kept.update((field, event[field]) for field in WORDS if is_word(event.get(field)))
    for only, field in KINDS:
        if only in (None, name) and is_kind(event.get(field)):
            kept[field] = event[field]
    for field in PATHS:
        value = event.get(field)
        if isinstance(value, str) and 0 < len(value) <= MAX_PATH_CHARACTERS:
            kept[field] = value
    duration = event.get("duration_ms")
    if type(duration) is int and 0 <= duration <= MAX_NUMBER:
        kept["duration_ms"] = duration
    for field in ("agent_id", "agent_type"):
        kept["has_" + field] = bool(event.get(field))
    kept["is_interrupt"] = event.get("is_interrupt") is True
    return {"v": 1, "kind": "hook", "at_ms": at_ms, **kept}


def to_json(entry: "dict[str, object]") -> str:
    """Write the entry, which is flat and holds strings, whole numbers and booleans."""
    written = []
    for key, value in entry.items():
        text = quoted(value) if isinstance(value, str) else str(value).lower()
        written.append('"' + key + '":' + text)
    return "{" + ",".join(written) + "}\n"


def leave(spool: str, text: str, name: str) -> None:
    """Put the entry into the spool, whole or not at all, for this user alone."""
    os.umask(0o077)
    os.makedirs(spool, 0o700, exist_ok=True)
    unfinished = os.path.join(spool, "." + name + ".tmp")
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        data = text.encode("ascii")
        while data:
            data = data[os.write(file, data) :]
        os.rename(unfinished, os.path.join(spool, name + ".json"))
    except OSError:
        os.unlink(unfinished)
        raise
    finally:
        os.close(file)


def agent_runs(spool: str) -> bool:
    """Tell whether an agent holds its lock: it sees the entry by itself then."""
    import fcntl

    try:
        file = os.open(os.path.join(os.path.dirname(spool), "locks", "agent.lock"), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two hooks that ask at once don't take each other for an agent.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def wake(command: "list[str]") -> None:
    """Start the command in a session of its own, with no stream of ours, and don't wait for it."""
    os.chdir("/")  # A project's directory must neither be imported from nor kept busy.
    environment = {key: os.environ[key] for key in HANDED_ON if key in os.environ}
    environment.update((key, value) for key, value in os.environ.items() if key[:3] == "LC_")
    streams = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    try:
        os.posix_spawn(command[0], command, environment, file_actions=streams, setsid=True)
    except NotImplementedError:  # a C library that cannot start a session
        fork_and_run(command, environment)


def fork_and_run(command: "list[str]", environment: "dict[str, str]") -> None:
    """Do by hand what posix_spawn does where it can."""
    if os.fork():
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.execve(command[0], command, environment)  # noqa: S606 - its command is a list
    finally:
        os._exit(127)


def main(arguments: "list[str]") -> None:
    spool, *command = arguments
    data = read_stdin()
    if not data.strip():
        return
    now = time.time_ns()
    try:
        event = parse(data.decode("utf-8", "replace").lstrip("\ufeff \t\r\n"))
    except Exception:  # noqa: BLE001 - unreadable input of any kind still wakes the drain
        event = None
    entry = redact(event if isinstance(event, dict) else {}, now // 1_000_000)
    leave(spool, to_json(entry), f"{now:020d}-{os.getpid()}")
    if command and entry["event"] in WAKING_EVENTS and not agent_runs(spool):
        wake(command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BaseException:  # noqa: BLE001, S110 - a hook must never be felt, whatever fails
        pass
    finally:
        os._exit(0)  # Past the interpreter's end, which may flush, wait or complain.
