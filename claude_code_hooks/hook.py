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
# ruff: noqa: PTH103, PTH104, PTH108, PTH116, PTH118, PTH120, PTH208, PLC0415

import os
import sys
import time

MAX_STDIN_BYTES = 32 * 1024 * 1024
BLOCK_BYTES = 64 * 1024
"""What a pipe holds. More would be asked of the system, and given back, block by block."""
MAX_PATH_CHARACTERS = 4096
MAX_WORD_CHARACTERS = 128
MAX_KIND_CHARACTERS = 40
MAX_NUMBER = 2**53

MOST_CHECKS = 65_521
CHECKED_BYTES = 4096
MOST_ENTRIES = 20_000
FULL_MARK = ".full"
COUNTED_EVERY = 64
WAKE_MARK = ".waking"
WAKING_S = 10

ENDING_SIGNALS = (1, 15)
"""SIGHUP and SIGTERM, which this process is started to ignore; who it wakes is not to."""

WAKING_EVENTS = ("Stop", "StopFailure", "SubagentStop", "SessionEnd", "")
"""Events that end something, and "", which nobody could read and which may be one of them."""

WORDS = ("session_id", "prompt_id", "tool_name", "tool_use_id", "agent_id")
"""Ids and names. A value that is not one plain word is left out: it may be free text."""
MCP_PREFIX, MCP = "mcp__", "mcp"
"""A tool of an MCP server is named after the server, whose name its owner chose: it stays out."""
KINDS = ((None, "source"), (None, "trigger"), ("StopFailure", "error"), ("SessionEnd", "reason"))
"""Fields with a few fixed values, and the one event in which they are no free text."""
PATHS = ("transcript_path", "agent_transcript_path", "cwd")
CHECKED_EVENTS = (
    *("UserPromptSubmit", "PostCompact"),
    *("PermissionRequest", "PostToolUse", "PostToolUseFailure"),
)
"""Events that no id tells apart, or that answer one."""

MADE_BY_MACHINE = ("system", "loop_wakeup", "schedule_wakeup", "poll_event")
NOTIFICATION = "<task-notification>"
"""How the prompt begins that Claude Code writes itself when a task in the background has ended."""

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
    while left > 0 and (block := os.read(0, BLOCK_BYTES)):
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
    if str(kept.get("tool_name")).startswith(MCP_PREFIX):
        kept["tool_name"] = MCP
    for only, field in KINDS:
        if only in (None, name) and is_kind(event.get(field)):
            kept[field] = event[field]
    for field in PATHS:
        value = event.get(field)
        if isinstance(value, str) and 0 < len(value) <= MAX_PATH_CHARACTERS:
            kept[field] = value
    duration = event.get("duration_ms")
    if type(duration) in (int, float) and 0 <= duration <= MAX_NUMBER:  # type: ignore[operator]  # - a number
        kept["duration_ms"] = int(duration)  # type: ignore[call-overload]  # - same
    kept["has_agent_type"] = bool(event.get("agent_type"))
    kept["is_interrupt"] = event.get("is_interrupt") is True
    if name == "UserPromptSubmit":
        kept["is_machine_made"] = is_machine_made(event)
    return {"v": 1, "kind": "hook", "at_ms": at_ms, **kept}


def is_machine_made(event: "dict[str, object]") -> bool:
    """Tell whether nobody typed this prompt: a task in the background has ended, a timer rang."""
    prompt = event.get("prompt")
    is_notification = isinstance(prompt, str) and prompt.startswith(NOTIFICATION)
    return is_notification or event.get("source") in MADE_BY_MACHINE


def check_of(event: "dict[str, object]", data: bytes) -> int:
    """Return a number by which the same event, told twice, is known, and a tool's same input.

    It is far too small to tell what the text was, or to prove a guess.
    """
    told = event.get("tool_input")
    if isinstance(told, dict):
        data = repr([begun(value) for value in told.items()]).encode("ascii", "backslashreplace")
    text = data[:CHECKED_BYTES] + data[-CHECKED_BYTES:] + str(len(data)).encode("ascii")
    return int.from_bytes(text, "little") % MOST_CHECKS


def begun(named: "tuple[str, object]") -> "tuple[str, object, int]":
    """Return a field's name, how its value begins, and how long it is."""
    name, value = named
    text = value if isinstance(value, str) else repr(value)
    return name, text[:CHECKED_BYTES], len(text)


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


def is_full(spool: str, now: int) -> bool:
    """Tell whether so many entries wait that nobody seems to take them: no more are left then.

    Counting takes time where there are many, so one hook in 64 does it for all.
    """
    mark = os.path.join(spool, FULL_MARK)
    if os.access(mark, os.F_OK):
        return True
    if now // 1000 % COUNTED_EVERY or not os.access(spool, os.R_OK):
        return False
    if len(os.listdir(spool)) <= MOST_ENTRIES:
        return False
    touch(mark)
    return True


def touch(mark: str) -> None:
    """Make an empty file; FileExistsError where it is there."""
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def is_first_to_wake(spool: str, now: int) -> bool:
    """Tell whether no other hook has just woken the drain.

    Whoever is woken removes the mark before it looks into the spool, so a hook that left its entry
    and then finds the mark is seen. A mark that is 10 s old woke nobody.
    """
    mark = os.path.join(spool, WAKE_MARK)
    try:
        touch(mark)
    except FileExistsError:
        pass
    else:
        return True
    try:
        age_s = now // 1_000_000_000 - os.stat(mark).st_mtime
    except FileNotFoundError:
        return False
    if -WAKING_S <= age_s <= WAKING_S:
        return False
    os.utime(mark)
    return True


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
        os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=streams,
            setsid=True,
            setsigdef=ENDING_SIGNALS,
        )
    except NotImplementedError:  # a C library that cannot start a session
        fork_and_run(command, environment)


def fork_and_run(command: "list[str]", environment: "dict[str, str]") -> None:
    """Do by hand what posix_spawn does where it can."""
    if os.fork():
        return
    import _signal  # type: ignore[import-not-found]  # - the built-in half of `signal`

    try:
        os.setsid()
        for number in ENDING_SIGNALS:
            _signal.signal(number, _signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.execve(command[0], command, environment)  # noqa: S606 - its command is a list
    finally:
        os._exit(127)


def main(arguments: "list[str]") -> None:
    spool, *command = arguments
    data = read_stdin()
    if not data or data.isspace():
        return
    now = time.time_ns()
    try:
        event = parse(data.decode("utf-8", "replace").lstrip("\ufeff \t\r\n"))
    except Exception:  # noqa: BLE001 - unreadable input of any kind still wakes the drain
        event = None
    told: dict[str, object] = event if isinstance(event, dict) else {}
    entry = redact(told, now // 1_000_000)
    if entry["event"] in CHECKED_EVENTS:
        entry["check"] = check_of(told, data)
    if not is_full(spool, now):
        leave(spool, to_json(entry), f"{now:020d}-{os.getpid()}")
    if not command or entry["event"] not in WAKING_EVENTS:
        return
    if not agent_runs(spool) and is_first_to_wake(spool, now):
        wake(command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BaseException:  # noqa: BLE001, S110 - a hook must never be felt, whatever fails
        pass
    finally:
        os._exit(0)  # Past the interpreter's end, which may flush, wait or complain.
