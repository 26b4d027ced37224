"""How long the program takes to begin, beside the smallest Typer app: `python -m bench.startup`.

`telemhq --help` lists every command there is; the yardstick has one, and prints its help with rich,
as Typer does where nothing is said, or without, as we do. Then what a person waits for at Tab.
Prints ratios; the last line is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import TELEMHQ, medians, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALLEST = """
import typer

app = typer.Typer({options})


@app.command()
def hello(name: str) -> None:
    print(name)


app()
"""
GOAL = 1.3
LONGEST_TAB_MS = 200.0
TABS = {
    "a command": "telemhq tr",
    "a tracker": "telemhq tracker show ",
    "a project": "telemhq usage --project ",
    "an option": "telemhq usage --",
}


def measures(home: Path, environ: Mapping[str, str]) -> dict[str, Callable[[], float]]:
    apps = {
        "smallest Typer app, rich help": "",
        "smallest Typer app, plain help": "rich_markup_mode=None, add_completion=False",
    }
    programs = {"telemhq --help": [TELEMHQ, "--help"]}
    for number, (name, options) in enumerate(apps.items()):
        path = home / f"smallest{number}.py"
        path.write_text(SMALLEST.format(options=options))
        programs[name] = [sys.executable, str(path), "--help"]
    tab = {**environ, "_TELEMHQ_COMPLETE": "bash"}
    found = {name: lambda p=program: timed(p, dict(environ)) for name, program in programs.items()}
    return found | {
        f"Tab after {line!r}": lambda one=line: timed([TELEMHQ, one, ""], tab)
        for line in TABS.values()
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="telemhq-bench-") as home:
        environ = {**os.environ, "HOME": home, "TELEMHQ_HOME": f"{home}/telemhq"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
        fill(Path(home) / "telemhq")
        took = medians(measures(Path(home), environ))
    return report(took)


def fill(ours: Path) -> None:
    """Leave names as a large team's server would have told them."""
    ours.mkdir()
    trackers = {f"tracker number {number}": str(number) for number in range(1000)}
    names = {"trackers": trackers, "projects": [f"project {number}" for number in range(500)]}
    document = {"version": 1, "profiles": {"default": {"": names}}}
    (ours / "names.json").write_text(json.dumps(document))


def report(took: dict[str, float]) -> int:
    for name, ms in took.items():
        print(f"{name:<34} {ms:7.2f} ms")
    ratios = {
        kind: took["telemhq --help"] / took[f"smallest Typer app, {kind} help"]
        for kind in ("rich", "plain")
    }
    for kind, ratio in ratios.items():
        print(f"telemhq --help {ratio:7.2f} x the smallest Typer app, {kind} help (goal: {GOAL})")
    slowest = max(ms for name, ms in took.items() if name.startswith("Tab"))
    print(f"the slowest Tab {slowest:7.2f} ms (goal: at most {LONGEST_TAB_MS:g})")
    print(json.dumps({"ms": took, "ratios": ratios, "slowest_tab_ms": slowest}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
