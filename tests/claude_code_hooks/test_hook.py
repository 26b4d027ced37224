"""The hook as Claude Code runs it: a process that must never be felt."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks import hook, install
from claude_code_hooks.translate import event_of
from telemhq_agents import spool as spools
from telemhq_agents.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = Path(hook.__file__)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "claude_code" / "2.1.328"
EVENTS = [json.loads(line) for line in (FIXTURES / "hook_events.jsonl").read_text().splitlines()]
NAMES = sorted({event["hook_event_name"] for event in EVENTS})
SECRET = "sk-ant-hush hush"
FREE_TEXT = (
    *("prompt", "last_assistant_message", "error", "error_details", "message", "title", "reason"),
    *("custom_instructions", "compact_summary", "delta", "command_args", "model", "effort"),
    *("permission_mode", "tool_input", "tool_response"),
)
KEPT = {
    *("v", "kind", "at_ms", "event", "session_id", "prompt_id", "transcript_path", "cwd"),
    *("agent_transcript_path", "tool_name", "duration_ms", "error", "reason", "source", "trigger"),
    *("is_interrupt", "is_machine_made", "has_agent_type", "check"),
    *("tool_use_id", "agent_id"),
}


def test_what_is_kept_is_what_is_documented() -> None:
    page = (HOOK.parents[1] / "docs" / "reference" / "hook.md").read_text()
    table = page.split("## What it keeps")[1].split("and nothing else")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == KEPT - {"v", "kind"}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "ours" / "spool"


def run(
    spool: Path, stdin: bytes, *command: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK), str(spool), *command],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=20,
        env=environ,
        preexec_fn=ignore_ends,
    )


def ignore_ends() -> None:
    """Begin as the installed line does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def entries(spool: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(spool.glob("*.json"))]


def only_entry(spool: Path) -> dict[str, Any]:
    (entry,) = entries(spool)
    return entry


def was_unfelt(done: subprocess.CompletedProcess[bytes]) -> bool:
    return (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def with_secrets(event: dict[str, Any]) -> dict[str, Any]:
    planted: dict[str, Any] = dict.fromkeys(FREE_TEXT, SECRET)
    planted |= {"tool_input": {"command": SECRET}, "tool_response": [SECRET], "env": {"K": SECRET}}
    return {**event, **planted, "new_in_some_version": SECRET, "background_tasks": [SECRET]}


@pytest.mark.parametrize("name", NAMES)
def test_each_event_leaves_one_entry_without_anybodys_words(name: str, spool: Path) -> None:
    event = next(each for each in EVENTS if each["hook_event_name"] == name)

    done = run(spool, json.dumps(with_secrets(event)).encode())

    assert was_unfelt(done)
    entry = only_entry(spool)
    assert "hush" not in json.dumps(entry)
    assert entry.keys() <= KEPT
    assert (entry["v"], entry["kind"], entry["event"]) == (1, "hook", name)
    for key in ("session_id", "prompt_id", "transcript_path", "cwd", "agent_transcript_path"):
        assert entry.get(key) == event.get(key)
    read = event_of(entry)
    assert read is not None
    assert (read.event, read.session_id) == (name, event["session_id"])


def test_of_an_event_no_field_is_kept_but_the_listed_ones() -> None:
    kept: set[str] = set()
    for event in EVENTS:
        entry = hook.redact(event, 5)
        kept |= entry.keys()
        texts = [event.get(key) for key in FREE_TEXT if isinstance(event.get(key), str)]
        values = [value for key, value in entry.items() if key not in {"event", "reason"}]
        assert not {text for text in texts if text} & {str(value) for value in values}

    assert kept <= KEPT


@pytest.mark.parametrize(
    ("event", "field", "value", "is_kept"),
    [
        ("StopFailure", "error", "rate_limit", True),
        ("StopFailure", "error", "the key sk-1 is wrong", False),
        ("PostToolUseFailure", "error", "secret", False),
        ("SessionEnd", "reason", "prompt_input_exit", True),
        ("PermissionDenied", "reason", "secret", False),
        ("SessionStart", "source", "fork", True),
        ("SessionStart", "source", "two words", False),
        ("SessionStart", "source", "sk-ant-1", False),
        ("PreCompact", "trigger", "Manual", False),
        ("Stop", "session_id", "x" * 129, False),
        ("Stop", "session_id", 7, False),
        ("PostToolUse", "duration_ms", 87, True),
        ("PostToolUse", "duration_ms", 87.5, False),
        ("PostToolUse", "duration_ms", True, False),
        ("PostToolUse", "tool_name", "mcp__acme_internal__close_deal", False),
        ("PostToolUse", "tool_name", "rm -rf", False),
        ("PostToolUse", "tool_use_id", "toolu_01AbC", True),
        ("SubagentStop", "agent_id", "a4b18fb2d3e57e66e", True),
        ("SubagentStop", "agent_type", "reviewer", False),
        ("PostToolUse", "duration_ms", -1, False),
        ("Stop", "cwd", "/home/dev/a b/ü", True),
        ("Stop", "cwd", ["/home"], False),
    ],
)
def test_a_field_is_kept_only_where_it_cannot_be_a_text(
    event: str, field: str, value: object, is_kept: bool
) -> None:
    entry = hook.redact({"hook_event_name": event, field: value}, 5)

    assert (entry.get(field) == value and field in entry) is is_kept


def test_of_an_mcp_servers_tool_only_that_it_was_one_is_kept() -> None:
    event: dict[str, Any] = {
        "hook_event_name": "PostToolUse",
        "tool_name": "mcp__acme_internal__close_deal",
    }

    assert hook.redact(event, 5)["tool_name"] == "mcp"


def checked(spool: Path, event: dict[str, Any]) -> Any:
    run(spool, json.dumps(event).encode())
    (path,) = spool.glob("*.json")
    check = json.loads(path.read_bytes())["check"]
    path.unlink()
    return check


def test_a_permission_and_its_tool_have_the_same_check_and_another_input_has_not(
    spool: Path,
) -> None:
    call = {"tool_name": "Bash", "tool_input": {"command": "make test", "timeout": 5}}
    asked = {**call, "hook_event_name": "PermissionRequest", "permission_suggestions": [1]}
    used = {**call, "hook_event_name": "PostToolUse", "duration_ms": 5, "tool_response": SECRET}
    other = {**asked, "tool_input": {"command": "make tess", "timeout": 5}}

    checks = [checked(spool, event) for event in (asked, used, other, asked)]

    assert checks[0] == checks[1] == checks[3] != checks[2]
    assert all(0 <= check < 65_521 for check in checks)


def test_two_prompts_have_different_checks_and_the_same_event_has_one(spool: Path) -> None:
    first = {"hook_event_name": "UserPromptSubmit", "prompt_id": "p1", "prompt": "go on"}

    checks = [checked(spool, event) for event in (first, {**first, "prompt": "go in"}, first)]

    assert checks[0] == checks[2] != checks[1]


@pytest.mark.parametrize(
    ("more", "is_machine_made"),
    [
        ({"prompt": "<task-notification>\n<task-id>a1</task-id>"}, True),
        ({"prompt": "go", "source": "schedule_wakeup"}, True),
        ({"prompt": "go", "source": "user"}, False),
        ({"prompt": "what is a <task-notification>?"}, False),
        ({"prompt": ["<task-notification>"]}, False),
        ({}, False),
    ],
)
def test_what_nobody_typed_is_told_apart(more: dict[str, Any], is_machine_made: bool) -> None:
    entry = hook.redact({"hook_event_name": "UserPromptSubmit", **more}, 5)

    assert entry["is_machine_made"] is is_machine_made
    assert "prompt" not in entry


def test_entry_and_directory_are_for_this_user_alone(spool: Path) -> None:
    old = os.umask(0)
    try:
        run(spool, json.dumps(EVENTS[0]).encode())
    finally:
        os.umask(old)

    (path,) = spool.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "stdin",
    [
        b"not json",
        b"[1,2]",
        b"null",
        b'{"hook_event_name":',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"n":' + b"9" * 10_000 + b"}",
        b'{"hook_event_name": 5, "session_id": {}}',
    ],
)
def test_what_cannot_be_read_leaves_an_entry_that_says_so(stdin: bytes, spool: Path) -> None:
    assert was_unfelt(run(spool, stdin))
    assert only_entry(spool)["event"] == ""


@pytest.mark.parametrize("stdin", [b"", b" \n"])
def test_no_event_leaves_no_entry(stdin: bytes, spool: Path) -> None:
    assert was_unfelt(run(spool, stdin))
    assert not spool.exists()


def test_closed_streams_are_no_trouble(spool: Path) -> None:
    line = shlex.join([sys.executable, "-I", "-S", str(HOOK), str(spool)])

    done = subprocess.run(["/bin/sh", "-c", f"{line} <&- >&- 2>&-"], check=False)

    assert done.returncode == 0


def test_three_megabytes_of_tool_output_are_no_trouble(spool: Path) -> None:
    text = "x" * 1_500_000
    event = {**EVENTS[0], "hook_event_name": "PostToolUse", "tool_name": "Write"}
    event |= {"tool_input": {"content": text}, "tool_response": {"content": text}}

    assert was_unfelt(run(spool, json.dumps(event).encode()))
    assert only_entry(spool)["tool_name"] == "Write"
    assert next(spool.glob("*.json")).stat().st_size < 1000


@pytest.mark.parametrize("place", ["/dev/null/spool", "/proc/spool", "", "\udcff/x"])
def test_a_place_where_nothing_can_be_written_is_no_trouble(place: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK), place],
        input=json.dumps(EVENTS[0]).encode(),
        capture_output=True,
        check=False,
        cwd="/proc",
    )

    assert was_unfelt(done)


def test_no_arguments_are_no_trouble() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK)], input=b"{}", capture_output=True, check=False
    )

    assert was_unfelt(done)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_disk_that_fills_up_leaves_nothing_half_done(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    real = os.open

    def onto_the_full_disk(path: str, flags: int, mode: int = 0o777) -> int:
        os.close(real(path, flags, mode))
        return os.dup(full)

    monkeypatch.setattr(os, "open", onto_the_full_disk)
    old = os.umask(0o077)
    with pytest.raises(OSError, match="No space left"):
        hook.leave(str(spool), "{}\n", "1-1")
    os.umask(old)
    os.close(full)

    assert list(spool.iterdir()) == []


def test_fifty_at_once_leave_fifty_entries(spool: Path) -> None:
    event = json.dumps(EVENTS[0]).encode()
    started = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(HOOK), str(spool)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(50)
    ]
    outputs = [process.communicate(event)[0] for process in started]

    assert outputs == [b""] * 50
    assert [process.returncode for process in started] == [0] * 50
    assert len(entries(spool)) == 50
    assert len(list(spools.claim(spool))) == 50


def test_only_the_lightest_modules_are_loaded(spool: Path) -> None:
    watch = (
        "import sys, os; before = set(sys.modules); space = {'__name__': 'hook'}\n"
        f"exec(compile(open({str(HOOK)!r}).read(), 'hook', 'exec'), space)\n"
        "space['main'](sys.argv[1:])\n"
        "sys.stdout.write(' '.join(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", watch, str(spool)],
        input=json.dumps({**EVENTS[0], "hook_event_name": "Stop"}).encode(),
        capture_output=True,
        check=True,
    )

    assert len(entries(spool)) == 1
    assert set(done.stdout.decode().split()) <= {"time", "_json"}


def test_a_python_without_the_c_scanner_reads_the_same(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"a": ["ü\ud83d", 1.5, None], "b": {"c": True}})
    fast = hook.parse(text), hook.quoted('ü"\n\ud83d')

    monkeypatch.setitem(sys.modules, "_json", None)

    assert (hook.parse(text), hook.quoted('ü"\n\ud83d')) == fast
    assert fast[0] == json.loads(text)


def waited_for(path: Path) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if path.exists():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def drain(tmp_path: Path) -> tuple[list[str], Path]:
    """A wake command that writes its environment and place into a file, and that file."""
    told = tmp_path / "woken.json"
    script = tmp_path / "drain.py"
    script.write_text(
        "import json, os, sys\n"
        "streams = [os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)]\n"
        "ignored = [int(line.split()[1], 16) for line in open('/proc/self/status')\n"
        "           if line.startswith('SigIgn')][0]\n"
        "told = {'environ': dict(os.environ), 'cwd': os.getcwd(), 'streams': streams,\n"
        "        'ends': not ignored >> 14 & 1 and not ignored & 1,\n"
        "        'leads': os.getsid(0) == os.getpid()}\n"
        "open(sys.argv[1] + '.log', 'a').write('woken\\n')\n"
        "unfinished = sys.argv[1] + '.tmp'\n"
        "json.dump(told, open(unfinished, 'w'))\n"
        "os.rename(unfinished, sys.argv[1])\n"
    )
    return [sys.executable, str(script), str(told)], told


@pytest.mark.parametrize("name", ["Stop", "StopFailure", "SubagentStop", "SessionEnd"])
def test_an_end_wakes_the_drain_by_itself_and_without_keys(
    name: str, spool: Path, drain: tuple[list[str], Path]
) -> None:
    command, told = drain
    environ = {
        **os.environ,
        "ANTHROPIC_API_KEY": SECRET,
        "CLAUDE_CONFIG_DIR": "/cfg",
        "LC_ALL": "C",
    }

    done = run(spool, json.dumps({"hook_event_name": name}).encode(), *command, environ=environ)

    assert was_unfelt(done)
    assert waited_for(told)
    seen = json.loads(told.read_text())
    assert seen["environ"]["CLAUDE_CONFIG_DIR"] == "/cfg"
    assert seen["environ"]["LC_ALL"] == "C"
    assert "ANTHROPIC_API_KEY" not in seen["environ"]
    assert (seen["cwd"], seen["leads"]) == ("/", True)
    assert seen["ends"] is True
    assert seen["streams"] == ["/dev/null"] * 3


@pytest.mark.parametrize(
    "name", ["SessionStart", "UserPromptSubmit", "PostCompact", "PostToolUse", "PermissionRequest"]
)
def test_other_events_wake_nobody(name: str, spool: Path, drain: tuple[list[str], Path]) -> None:
    command, told = drain

    run(spool, json.dumps({"hook_event_name": name}).encode(), *command)
    run(spool, json.dumps({"hook_event_name": "Stop"}).encode(), *command)

    assert waited_for(told)
    assert len(entries(spool)) == 2
    assert told.with_name("woken.json.log").read_text() == "woken\n"


def test_where_an_agent_runs_nobody_is_woken(spool: Path, drain: tuple[list[str], Path]) -> None:
    command, told = drain
    lock = spool.parent / "locks" / "agent.lock"
    lock.parent.mkdir(parents=True)
    stop = json.dumps({"hook_event_name": "Stop"}).encode()

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run(spool, stop, *command)
        assert not told.exists()
        assert hook.agent_runs(str(spool))
    assert not hook.agent_runs(str(spool))
    run(spool, stop, *command)

    assert waited_for(told)
    assert len(entries(spool)) == 2


def test_a_hook_that_asks_at_the_same_time_is_not_taken_for_an_agent(spool: Path) -> None:
    lock = spool.parent / "locks" / "agent.lock"
    lock.parent.mkdir(parents=True)

    with lock.open("w") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)

        assert not hook.agent_runs(str(spool))


def test_a_drain_that_takes_its_time_does_not_hold_the_hook(spool: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    told, unfinished = shlex.quote(str(note)), shlex.quote(f"{note}.tmp")
    script = f"echo $$ > {unfinished}; mv {unfinished} {told}; exec sleep 30"

    done = run(spool, json.dumps({"hook_event_name": "Stop"}).encode(), "/bin/sh", "-c", script)

    assert was_unfelt(done)
    assert waited_for(note)
    os.kill(int(note.read_text()), signal.SIGKILL)


def test_a_drain_that_cannot_be_started_is_no_trouble(spool: Path) -> None:
    assert was_unfelt(run(spool, b'{"hook_event_name":"Stop"}', "/nowhere/python", "-m", "x"))


def test_where_the_c_library_starts_no_sessions_a_fork_does(
    spool: Path, drain: tuple[list[str], Path]
) -> None:
    command, told = drain
    patched = (
        "import os, sys\n"
        "def refuse(*a, **k): raise NotImplementedError\n"
        "os.posix_spawn = refuse\n"
        f"source = open({str(HOOK)!r}).read()\n"
        "exec(compile(source, 'hook', 'exec'), {'__name__': '__main__'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", patched, str(spool), *command],
        input=b'{"hook_event_name":"Stop"}',
        capture_output=True,
        check=False,
        preexec_fn=ignore_ends,
    )

    assert was_unfelt(done)
    assert waited_for(told)
    seen = json.loads(told.read_text())
    assert (seen["leads"], seen["ends"]) == (True, True)


def guarded(locations: Locations, python: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", install.command(locations, python)],
        input=b'{"hook_event_name":"SessionStart","session_id":"s1"}',
        capture_output=True,
        check=False,
    )


def test_the_installed_line_leaves_an_entry(tmp_path: Path) -> None:
    locations = Locations(tmp_path / "a b's", tmp_path / "a b's")

    assert was_unfelt(guarded(locations, sys.executable))
    assert only_entry(locations.spool)["session_id"] == "s1"


def test_a_hook_that_is_told_to_end_leaves_its_entry_all_the_same(tmp_path: Path) -> None:
    """As at the end of `claude -p`, which sends SIGTERM to the group of a hook that still runs."""
    line = install.command(Locations(tmp_path, tmp_path))
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    until(lambda: b"hook.py" in b"".join(commands_of_group(process.pid)[1:]))
    for number in (signal.SIGTERM, signal.SIGHUP):
        os.killpg(process.pid, number)

    output, _ = process.communicate(b'{"hook_event_name":"StopFailure","error":"overloaded"}')

    assert (process.returncode, output) == (0, b"")
    assert [entry["error"] for entry in entries(tmp_path / "spool")] == ["overloaded"]


def commands_of_group(leader: int) -> list[bytes]:
    """Return the command lines of a process and its children."""
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (str(leader), *children)]


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["vanished", "not executable", "broken", "killed", "loud"])
def test_a_python_that_is_gone_or_broken_is_not_felt(kind: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    scripts = {
        "not executable": "",
        "broken": "#!/nowhere/interpreter\n",
        "killed": "#!/bin/sh\nkill -SEGV $$\n",
        "loud": "#!/bin/sh\necho loud; echo loud >&2; exit 2\n",
    }
    if kind in scripts:
        python.write_text(scripts[kind])
        python.chmod(0o600 if kind == "not executable" else 0o700)

    assert was_unfelt(guarded(Locations(tmp_path, tmp_path), str(python)))


def test_the_installed_line_names_telemhq_home_where_all_is_in_one_place(tmp_path: Path) -> None:
    one = install.command(Locations(tmp_path, tmp_path), "/py")
    two = install.command(Locations(tmp_path / "config", tmp_path / "data"), "/py")

    assert f"/usr/bin/env TELEMHQ_HOME={tmp_path} /py -P -m telemhq_cli.main" in one
    assert "TELEMHQ_HOME" not in two
    assert shutil.which("env", path="/usr/bin") == "/usr/bin/env"
