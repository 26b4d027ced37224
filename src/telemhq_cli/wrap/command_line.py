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
    "(128+n for a signal, 127 not found, 126 not executable) whatever happens to the ping."
)
DEFAULT_TIMEOUT_S = 5.0
LONGEST_TIMEOUT_S = 3600.0


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
        ("--timeout",),
        "SECONDS",
        f"How long the sending may take in all (default {DEFAULT_TIMEOUT_S:g}).",
    ),
    Option(("--profile",), "NAME", "The login that TRACKER is looked up in."),
    Option(("--quiet", "-q"), "", "Say nothing, not even why a ping stayed behind."),
    Option(("--json",), "", "Print the outcome as JSON (with COMMAND: on stderr)."),
    Option(("--help", "-h"), "", "Show this message and exit."),
)
BY_NAME = {name: option for option in OPTIONS for name in option.names}


class Asked:
    """The command line, read. `values` holds the last value of each option by its long name."""

    __slots__ = ("command", "fields", "problem", "target", "values")

    def __init__(self) -> None:
        self.target = ""
        self.command: list[str] | None = None
        self.fields: list[str] = []
        self.values: dict[str, str] = {}
        self.problem = ""

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return name in self.values

    @property
    def timeout_s(self) -> float:
        """Seconds that all of the sending may take; an hour at most."""
        return min(float(self.values.get("--timeout", DEFAULT_TIMEOUT_S)), LONGEST_TIMEOUT_S)


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
    if name in {"--timeout", "--duration-ms"} and not _is_number(value):
        return f"{name} {value!r} is not a number above zero"
    asked.values[name] = value
    return ""


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _missing(asked: Asked) -> str:
    if asked.has("--help"):
        return ""
    if not asked.target:
        return "which tracker? Name one, or give its ping URL"
    if asked.command == []:
        return "nothing follows --"
    if asked.command and asked.values.get("--payload") == "-":
        return "--payload - would take the command's stdin; write the payload to a file"
    if asked.command is None and asked.has("--payload-from-stdout"):
        return "--payload-from-stdout needs a command after --"
    return ""


def help_text() -> str:
    """Return the help of `telemhq ping`, as wide as a terminal of 80 columns."""
    shown = [(", ".join(option.names) + f" {option.takes}".rstrip(), option) for option in OPTIONS]
    lines = [f"Usage: {USAGE}", "", SUMMARY, "", *_wrapped(DETAILS, 78), "", "Options:"]
    for names, option in shown:
        lines.append(f"  {names}")
        lines += [f"      {line}" for line in _wrapped(option.help, 72)]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
