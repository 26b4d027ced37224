from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from telemhq_agents import errors
from telemhq_cli.commands.tree import ROOMS, tree
from tools import make_cli_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemhq_cli.commands.conftest import CommandLine
    from tests.telemhq_cli.conftest import Machine


def paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*path, name))


EVERY_COMMAND = list(paths(get_command(tree())))


def test_the_walk_sees_the_whole_tree() -> None:
    assert ("tracker", "rotate") in EVERY_COMMAND
    assert ("ping",) in EVERY_COMMAND
    assert len(EVERY_COMMAND) > 40


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_help_that_fits_80_columns(
    telemhq: CommandLine, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    done = telemhq(*path, "--help")

    assert done.out.startswith("Usage: telemhq")
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.err == ""


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_what_a_command_does_is_said_whole_in_the_list_of_commands(path: tuple[str, ...]) -> None:
    command = get_command(tree())
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]

    assert not command.get_short_help_str(80 - 13).endswith("...")


def test_the_reference_page_is_what_the_parser_says() -> None:
    assert make_cli_reference.PAGE.read_text(encoding="utf-8") == make_cli_reference.page(), (
        "run: python -m tools.make_cli_reference"
    )


def test_the_version_is_the_packages(telemhq: CommandLine) -> None:
    assert telemhq("--version").out == "telemhq 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "There is no command 'nope'"),
        (["tracker", "create"], "Missing argument 'NAME'"),
        (["tracker", "list", "--bogus"], "There is no option --bogus"),
        (["usage", "--by", "shoe-size"], "Unknown group 'shoe-size': one of day,"),
        (["usage", "--by", "modle"], "did you mean 'model'?"),
        (["trakcer", "list"], "There is no command 'trakcer'; did you mean 'tracker'?"),
        (["tracker", "shwo", "nightly"], "There is no command 'shwo'; did you mean 'show'?"),
        (["usage", "--locla"], "There is no option --locla; did you mean '--local'?"),
        (["ping", "nightly", "--projcet", "x"], "no option --projcet; did you mean '--project'?"),
        (["usage", "--source", "clod"], "Unknown source 'clod': one of codex, claude"),
        (["team", "invite", "a@b.test", "--role", "king"], "Unknown role 'king': one of member,"),
        (["tracker", "runs", "nightly", "--limit", "0"], "--limit must be 1 or more"),
        (["usage", "--width", "2000"], "--width must be 1000 or less"),
        (["server", "run", "--port", "x"], "--port must be a whole number"),
        (["usage", "--local", "--team"], "exclude each other"),
        (["usage", "--json", "--csv"], "exclude each other"),
        (["usage", "--by", "day", "--by", "day"], "twice"),
        (["usage", "--by", "tracker"], "tracker"),
        (["usage", "--since", "someday"], "neither a date nor a time"),
        (["usage", "--timezone", "Mars/Olympus"], "no time zone"),
        (["usage", "--timezone", "Asia/Kolkatta"], "did you mean 'Asia/Kolkata'?"),
        (["agent", "once", "--since", "2026-01-01"], "--backfill"),
        (["agent", "run", "--coalesce", "7m"], "off, 1m, 3m, 5m or 15m"),
        (["agent", "outbox", "--drop", "12"], "no ping 12"),
        (["config", "get", "shoe-size"], "no setting"),
        (["config", "get", "timezon"], "no setting 'timezon'; did you mean 'timezone'?"),
        (["team", "accept", "not-a-link"], "no invitation's link"),
        (["login", "--url", "ftp://x", "--key-stdin"], "--url"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_2_and_one_message(
    telemhq: CommandLine, arguments: list[str], said: str
) -> None:
    done = telemhq(*arguments, code=2)

    assert said in done.complaint
    assert done.err.startswith("telemhq: ")
    assert max(map(len, done.err.splitlines())) <= 80
    assert "\n  " in done.err  # what to do next
    assert "--json" in arguments or done.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["whoami"],
        ["tracker", "list"],
        ["team", "members"],
        ["usage", "--team"],
        ["ping", "nightly"],
        ["agent", "once", "--backfill"],
    ],
)
def test_without_a_login_the_command_that_mends_it_is_named(
    telemhq: CommandLine, arguments: list[str]
) -> None:
    done = telemhq(*arguments, code=errors.NotLoggedInError.exit_code)

    assert done.out == ""
    message, step = done.err.splitlines()
    assert message.startswith("telemhq: ")
    assert step.startswith("  telemhq ")


def test_a_group_without_a_verb_shows_its_help_and_is_a_mistake(telemhq: CommandLine) -> None:
    done = telemhq("tracker", code=2)

    assert "Usage: telemhq tracker" in done.err


def test_an_unreachable_server_ends_with_6(telemhq: CommandLine) -> None:
    telemhq.machine.extra.update(TELEMHQ_URL="http://127.0.0.1:9", TELEMHQ_API_KEY="thq_made_up")

    done = telemhq("whoami", code=6)

    assert "http://127.0.0.1:9 cannot be reached" in done.err


def test_a_broken_settings_file_ends_with_3_and_names_the_line(telemhq: CommandLine) -> None:
    telemhq.machine.ours.mkdir()
    (telemhq.machine.ours / "config.toml").write_text('profile = "a"\ncoalesce = "7m"\n')

    done = telemhq("config", "list", code=3)

    assert "config.toml, line 2" in done.complaint


def test_a_fault_of_ours_is_one_line_unless_somebody_debugs(
    machine: Machine, telemhq: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise ZeroDivisionError("made up")

    monkeypatch.setattr("telemhq_cli.commands.login.session.opened", fails)
    monkeypatch.delenv("TELEMHQ_DEBUG", raising=False)

    done = telemhq("whoami", code=70)

    assert "TypeError" in done.err
    assert "TELEMHQ_DEBUG=1" in done.err
    assert "Traceback" not in done.err
    machine.extra["TELEMHQ_DEBUG"] = "1"
    with pytest.raises(TypeError):
        telemhq("whoami")


def test_a_reader_that_goes_away_is_no_fault(machine: Machine) -> None:
    script = f'{sys.executable} -m telemhq_cli.main ping --help; echo "code $?" >&2'

    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; ({script}) | true"],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


LOCAL_COMMANDS = [
    ["usage", "--local", "--json"],
    ["config", "list"],
    ["codex", "scan"],
    ["claude", "scan"],
    ["agent", "status"],
    ["agent", "outbox"],
    ["claude", "install", "--dry-run"],
    ["claude", "status", "--json"],
]
HEAVY = ("httpx", "sqlalchemy", "fastapi", "uvicorn", "alembic", "keyring", "server_stub", "rich")


@pytest.mark.parametrize("arguments", LOCAL_COMMANDS, ids=" ".join)
def test_a_command_that_stays_here_loads_no_network_and_no_server(
    machine: Machine, arguments: list[str]
) -> None:
    code = (
        "import sys; from telemhq_cli.main import main; code = main(); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.strip() == "[]"


def test_a_command_of_the_api_loads_no_server_and_no_keyring(machine: Machine) -> None:
    machine.extra.update(TELEMHQ_URL="http://127.0.0.1:9", TELEMHQ_API_KEY="thq_made_up")
    code = (
        "import sys; from telemhq_cli.main import main; main(); "
        "print(sorted({'sqlalchemy', 'fastapi', 'keyring', 'server_stub', 'watchdog', 'httpx'}"
        " & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "whoami"],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "['httpx']"


def test_each_command_is_found_in_the_one_module_that_is_loaded_for_it() -> None:
    for room, words in ROOMS.items():
        for word in words:
            found = list(get_command(tree(word)).commands)  # type: ignore[attr-defined]
            assert found == list(words), room


def test_a_word_that_is_no_command_is_looked_for_among_all() -> None:
    found = get_command(tree("usge")).commands  # type: ignore[attr-defined]

    assert set(found) == {word for words in ROOMS.values() for word in words}
