"""What `telemhq ping` was asked, read by hand: argparse alone would hold the job back by 6 ms.

A mistake before `--` must not cost a night's job: it is kept in `Asked.problem`, and told once
the job runs.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself costs 5 ms, and the job waits for this file
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USAGE = "telemhq ping TRACKER_OR_URL [OPTIONS] [-- COMMAND [ARGUMENTS]...]"
SUMMARY = "Record one run, or run COMMAND and record how it went."
DETAILS = (
    "Without COMMAND one ping is sent. With COMMAND it runs at once, untouched, and its end is "
    "recorded with exit code, duration and signal; telemhq exits with the command's own code "
    "(128+n for a signal, 127 not found, 126 not executable) whatever happens to the ping. "
    "Two codes are telemhq's: 124 where --kill-after ended the command, 75 where --lock skipped it."
)
DEFAULT_TIMEOUT_S = 5.0
LONGEST_TIMEOUT_S = 3600.0
DEFAULT_GRACE_S = 10.0
DEFAULT_RETRY_DELAY_S = 1.0
LONGEST_LIMIT_S = 365 * 24 * 3600.0
MOST_RETRIES = 100
LONGEST_TAIL = 64 * 1024
"""Bytes."""


class Option:
    """One option: its spellings, what it takes ("" = nothing) and its help."""

    __slots__ = ("help", "names", "takes")

    def __init__(self, names: tuple[str, ...], takes: str, text: str) -> None:
        self.names = names
        self.takes = takes
        self.help = text


OPTIONS: tuple[Option, ...] = (
    Option(("--status",), "STATUS", "How the run went: success, error, or your own word."),
    Option(("--project",), "NAME", "What the run was for."),
    Option(("--model",), "NAME", "The model that the run used."),
    Option(("--provider",), "NAME", "The model's provider."),
    Option(("--error",), "TEXT", "A short reason for a failure."),
    Option(
        ("--duration-ms",), "NUMBER", "Wall time, milliseconds; measured when there is COMMAND."
    ),
    Option(
        ("--field", "-f"),
        "KEY=VALUE",
        "Any field; dots nest, JSON scalars keep their type. Repeatable.",
    ),
    Option(
        ("--payload",), "FILE", "A file that holds one JSON object, read after COMMAND; - is stdin."
    ),
    Option(
        ("--payload-from-stdout",),
        "",
        "Merge COMMAND's last line of output when it is a JSON object.",
    ),
    Option(
        ("--tail-output",),
        "BYTES",
        f"Send the last BYTES (at most {LONGEST_TAIL}) of COMMAND's output as output_tail, known "
        "secrets masked, as much as the server takes. COMMAND then writes into pipes, also at a "
        "terminal.",
    ),
    Option(
        ("--timeout",),
        "SECONDS",
        f"How long the sending may take in all (default {DEFAULT_TIMEOUT_S:g}); COMMAND is never "
        "cut short by it.",
    ),
    Option(
        ("--kill-after",),
        "SECONDS",
        "End COMMAND's process by SIGTERM when it has run for this long; the run is an error.",
    ),
    Option(
        ("--grace",),
        "SECONDS",
        "How long after that SIGKILL follows, where COMMAND still runs "
        f"(default {DEFAULT_GRACE_S:g}).",
    ),
    Option(
        ("--retry",),
        "NUMBER",
        "Run COMMAND up to so many times more while it fails; one ping tells how the last "
        "attempt went, and the number of attempts.",
    ),
    Option(
        ("--retry-delay",),
        "SECONDS",
        f"How long to wait before each further attempt (default {DEFAULT_RETRY_DELAY_S:g}).",
    ),
    Option(
        ("--lock",),
        "NAME",
        "Skip COMMAND, and exit with 75, where the last run under this lock is still going.",
    ),
    Option(("--on-success-only",), "", "Send nothing where COMMAND fails."),
    Option(("--dry-run",), "", "Run nothing and send nothing; show what would be."),
    Option(("--profile",), "NAME", "The login that TRACKER is looked up in."),
    Option(("--quiet", "-q"), "", "Say nothing of what became of the ping; mistakes are told."),
    Option(("--json",), "", "Print the outcome as JSON (with COMMAND: on stderr)."),
    Option(("--help", "-h"), "", "Show this message and exit."),
)
ABOVE_ZERO = ("--timeout", "--duration-ms", "--kill-after")
FROM_ZERO = ("--grace", "--retry-delay")
WHOLE_NUMBERS = {"--retry": MOST_RETRIES, "--tail-output": LONGEST_TAIL}
OF_A_COMMAND = (
    *("--payload-from-stdout", "--tail-output", "--kill-after", "--grace", "--retry"),
    *("--retry-delay", "--lock", "--on-success-only"),
)
BY_NAME = {name: option for option in OPTIONS for name in option.names}


class Asked:
    """The command line, read. `values` holds the last value of each option by its long name."""

    __slots__ = ("command", "fields", "problem", "target", "unknown", "values")

    def __init__(self) -> None:
        self.target = ""
        self.command: list[str] | None = None
        self.fields: list[str] = []
        self.values: dict[str, str] = {}
        self.problem = ""
        self.unknown = ""

    @property
    def mistake(self) -> str:
        """The problem, and what may have been meant; to be worked out once the job has run."""
        if not self.unknown:
            return self.problem
        from telemhq_agents.nearest import did_you_mean  # noqa: PLC0415 - not on the job's road

        return self.problem + did_you_mean(self.unknown, BY_NAME)

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return name in self.values

    @property
    def timeout_s(self) -> float:
        """Seconds that all of the sending may take; an hour at most."""
        return min(self._number("--timeout", DEFAULT_TIMEOUT_S), LONGEST_TIMEOUT_S)

    @property
    def kill_after_s(self) -> float:
        """Seconds that the job may run; 0: as long as it likes."""
        return min(self._number("--kill-after", 0), LONGEST_LIMIT_S)

    @property
    def grace_s(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return min(self._number("--grace", DEFAULT_GRACE_S), LONGEST_LIMIT_S)

    @property
    def retries(self) -> int:
        """How often a job that fails is run again."""
        return int(self._number("--retry", 0))

    @property
    def retry_delay_s(self) -> float:
        """Seconds between two attempts."""
        return min(self._number("--retry-delay", DEFAULT_RETRY_DELAY_S), LONGEST_LIMIT_S)

    @property
    def tail_bytes(self) -> int:
        """How much of the end of the job's output is wanted."""
        return int(self._number("--tail-output", 0))

    def _number(self, name: str, default: float) -> float:
        return float(self.values.get(name, default))


def parse(arguments: Sequence[str]) -> Asked:
    """Read what follows `telemhq ping`; never fails, but may leave a `problem`."""
    asked = Asked()
    ours = list(arguments)
    if "--" in ours:
        at = ours.index("--")
        asked.command = ours[at + 1 :]
        del ours[at:]
    waiting: Iterator[str] = iter(ours)
    for word in waiting:
        problem = _take(asked, word, waiting)
        asked.problem = asked.problem or problem
    asked.problem = asked.problem or _missing(asked)
    return asked


def _take(asked: Asked, word: str, rest: Iterator[str]) -> str:
    if not word.startswith("-") or word == "-":
        return _take_target(asked, word)
    name, value = _split(word)
    option = BY_NAME.get(name)
    if option is None:
        asked.unknown = asked.unknown if asked.problem else name
        return f"there is no option {name}"
    if not option.takes:
        asked.values[option.names[0]] = "yes"
        return "" if value is None else f"{name} takes no value"
    if value is None:
        value = next(rest, None)
    if value is None:
        return f"{name} needs a value: {option.takes}"
    return _keep(asked, option.names[0], value)


def _split(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:] or None


def _take_target(asked: Asked, word: str) -> str:
    if asked.target:
        return f"{word!r} is one argument too many; a command follows after --"
    asked.target = word
    return ""


def _keep(asked: Asked, name: str, value: str) -> str:
    if name == "--field":
        asked.fields.append(value)
        return "" if value.partition("=")[0] and "=" in value else f"-f {value!r} is not KEY=VALUE"
    if name in ABOVE_ZERO and not (_is_number(value) and float(value) > 0):
        return f"{name} {value!r} is not a number above zero"
    if name in FROM_ZERO and not _is_number(value):
        return f"{name} {value!r} is not a number from zero on"
    if name in WHOLE_NUMBERS and not _is_whole_number(value, WHOLE_NUMBERS[name]):
        return f"{name} {value!r} is not a whole number from 1 to {WHOLE_NUMBERS[name]}"
    if name == "--lock" and not value:
        return "--lock needs a name"
    asked.values[name] = value
    return ""


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


def _is_whole_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= most and len(text) < 10  # noqa: PLR2004 - int() would take any length


def _missing(asked: Asked) -> str:
    if asked.has("--help"):
        return ""
    if not asked.target:
        return "which tracker? Name one, or give its ping URL"
    if asked.command == []:
        return "nothing follows --"
    if asked.command and asked.values.get("--payload") == "-":
        return "--payload - would take the command's stdin; write the payload to a file"
    if asked.command is None:
        idle = next((name for name in OF_A_COMMAND if asked.has(name)), "")
        return f"{idle} needs a command after --" if idle else ""
    return _without_effect(asked)


def _without_effect(asked: Asked) -> str:
    for name, needed in (("--grace", "--kill-after"), ("--retry-delay", "--retry")):
        if asked.has(name) and not asked.has(needed):
            return f"{name} says nothing without {needed}"
    return ""


def help_text() -> str:
    """Return the help of `telemhq ping`, as wide as a terminal of 80 columns."""
    shown = [(", ".join(option.names) + f" {option.takes}".rstrip(), option) for option in OPTIONS]
    lines = [f"Usage: {USAGE}", "", SUMMARY, "", *_wrapped(DETAILS, 78), "", "Options:"]
    for names, option in shown:
        lines.append(f"  {names}")
        lines += [f"      {line}" for line in _wrapped(option.help, 72)]
    from telemhq_cli.commands import examples  # noqa: PLC0415 - no job waits for help

    return "\n".join([*lines, "", examples.shown("ping")])


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
