"""Draws docs/pictures/*.svg: what real commands show on a terminal, from the demo's data: `make pictures`.

Each command runs on a terminal of its own, with a fixed width and time zone, against a server that
the demo's team reports to. What it writes there becomes an SVG that asks no other host for a font.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import math
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich._export_format import CONSOLE_SVG_FORMAT  # the one form of it that rich has
from rich.console import Console
from rich.text import Text

from telemhq_agents import clock
from tools import demo
from tools.make_demo_logs import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
LINES = 40
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
PATIENCE_S = 60


NOW = "2026-11-18T16:40:00Z"
AT_A_FIXED_TIME = f"""
import sys
from telemhq_agents import clock
moment = clock.from_iso("{NOW}")
clock.now_ms = lambda: moment
from telemhq_cli.main import main
sys.exit(main())
"""
"""The program itself, on a day on which the demo's people work."""
MONTH = ("--mb", "120", "--days", "28", "--end", "2026-11-18", "--seed", "7")
TRACKER, RUNS, HOUR_MS = "nightly evaluation", 60, 3_600_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A command, the file and width of its picture, and whose data it shows: the team's, or a month's."""

    name: str
    command: tuple[str, ...]
    width: int = 100
    of_month: bool = False


PICTURES = (
    Picture("usage", ("usage", "--local", "--by", "model"), width=120, of_month=True),
    Picture("team", ("usage", "--team")),
    Picture("heatmap", ("usage", "heatmap", "--local"), of_month=True),
    Picture("trend", ("usage", "trend", "--local", "--since", "28d"), of_month=True),
    Picture("sessions", ("usage", "sessions", "--limit", "8"), width=110, of_month=True),
    Picture("chart", ("tracker", "chart", TRACKER, "-f", "eval_score")),
    Picture("top", ("top", "--once"), of_month=True),
)
"""What is drawn. A command that does not end by itself has no place here."""


def shown_on_terminal(picture: Picture, environ: dict[str, str]) -> str:
    """Run a command on a terminal of its own and return what it wrote there, escapes and all."""
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, picture.width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_FIXED_TIME, *picture.command],
        env=environ,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    written = b"".join(_all_of(keyboard))
    os.close(keyboard)
    if process.wait(PATIENCE_S):
        raise demo.StepError(f"{' '.join(picture.command)} failed:\n{written.decode()}")
    return written.decode().replace("\r\n", "\n")


def _all_of(keyboard: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # Linux says EIO where the last writer has gone
        while piece := os.read(keyboard, 65536):
            yield piece


def drawn(picture: Picture, written: str) -> str:
    """Return the SVG of what a terminal was told."""
    typed = Text.assemble(("$ ", "bold green"), ("telemhq " + shlex.join(picture.command), "bold"))
    screen = Text("\n").join((typed, Text.from_ansi(written.rstrip())))
    width = max(line.cell_len for line in screen.split("\n")) + 1
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(screen, soft_wrap=True)
    svg = console.export_svg(
        title="", code_format=_without_remote_fonts(), unique_id=f"picture-{picture.name}"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _without_remote_fonts() -> str:
    bare = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return bare.replace("Fira Code, monospace", FONT).replace("<svg class", '<svg role="img" class')


@contextlib.contextmanager
def stage() -> Iterator[dict[bool, dict[str, str]]]:
    """Yield two environments: the demo's owner, whose team reports to a server; a month of logs."""
    with tempfile.TemporaryDirectory(prefix="telemhq-pictures-") as folder:
        root = Path(folder)
        ada, grace = demo.settle(root, "ada", "owner"), demo.settle(root, "grace", "member")
        said = quietly(ada, "server", "init", "--email", OWNER, "--name", "Ada", "--json")
        server, url = demo.start_server(root, ada.environ)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                demo.found_team(ada, grace, url, json.loads(said)["data"]["api_key"])
                demo.collect(ada, grace)
            record_evaluations(ada)
            yield {False: ada.environ, True: month(root / "month").environ}
        finally:
            demo.stop(server)


def quietly(person: demo.Person, *arguments: str) -> str:
    return person.run(*arguments, show=False)


def record_evaluations(ada: demo.Person) -> None:
    """Send a tracker as many runs as a chart shows, an hour apart, with figures that wander."""
    made = json.loads(quietly(ada, "tracker", "create", TRACKER, "--json"))["data"]
    last = clock.from_iso(NOW)
    for run in range(RUNS):
        score = 0.86 + 0.05 * math.sin(run / 7) + 0.02 * math.sin(run * 2.3)
        body = {
            "eval_score": round(score - (0.19 if run in {37, 38} else 0), 3),
            "ended_at": clock.to_iso(last - (RUNS - run) * HOUR_MS),
            "project": "nightly",
            "model": "gpt-5.4-mini",
            "input_tokens": 2_400 + 40 * run,
            "output_tokens": 310,
            "cost_usd": round((2_400 + 40 * run) * 0.75e-6 + 310 * 4.5e-6, 6),
        }
        request = urllib.request.Request(
            made["ping_url"],
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": f"picture-{run}"},
        )
        urllib.request.urlopen(request).close()


def month(home: Path) -> demo.Person:
    """Return somebody with four weeks of logs, made by the benchmarks' generator."""
    making = [sys.executable, "-m", "bench.make_corpus", str(home), *MONTH]
    subprocess.run(making, check=True, stdout=subprocess.DEVNULL)
    return demo.Person(home)


def main() -> int:
    wanted = set(sys.argv[1:])
    FOLDER.mkdir(exist_ok=True)
    terminal = {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    with stage() as environs:
        for picture in PICTURES:
            if wanted and picture.name not in wanted:
                continue
            environ = environs[picture.of_month] | terminal
            environ.pop("NO_COLOR", None)
            svg = drawn(picture, shown_on_terminal(picture, environ))
            (FOLDER / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
            print(FOLDER / f"{picture.name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
