"""`make demo`: one road, end to end, with real programs, in a temporary directory.

A server on SQLite and a free port, an owner and an invited member, each with a home of logs, both
collectors, two wrapped jobs, and the team's report, checked against the true totals of the logs.
Exits 1 when a figure differs, 2 when a step fails. Leaves nothing behind, unless asked to (`--keep`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tools.make_demo_logs import HERE, JOB_PROJECT, MEMBER, OWNER, job_payload

TELEMHQ = (sys.executable, "-m", "telemhq_cli.main")
HALF_A_NANO_USD = 0.5e-9
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
JOB = ("sh", "-c", f"echo 'writing the report'; echo '{json.dumps(job_payload())}'")


class StepError(Exception):
    """A command of the demo did not do what it should."""


def title(text: str) -> None:
    print(f"\n\033[1;36m{text}\033[0m" if COLOUR else f"\n== {text}", flush=True)


def environ_of(home: Path) -> dict[str, str]:
    """Return an environment in which everything of ours and of both agents lies below `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TELEMHQ_")}
    return kept | {
        "HOME": str(home),
        "TELEMHQ_HOME": str(home / "telemhq"),
        "CODEX_HOME": str(home / "codex"),
        "CLAUDE_CONFIG_DIR": str(home / "claude"),
    }


@dataclass(frozen=True)
class Person:
    """Somebody with a home of logs and a command line."""

    home: Path

    @property
    def environ(self) -> dict[str, str]:
        return environ_of(self.home)

    def run(
        self, *arguments: str, given: str | None = None, code: int = 0, show: bool = True
    ) -> str:
        """Run `telemhq …` as this person and return its standard output."""
        if show:
            shown = shlex.join(textwrap.shorten(word, 60, placeholder="…") for word in arguments)
            print(f"  {self.home.name}$ telemhq {shown}", flush=True)
        done = subprocess.run(
            [*TELEMHQ, *arguments],
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != code:
            raise StepError(
                f"telemhq {shlex.join(arguments)} ended with {done.returncode}, not {code}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

    def show(self, *arguments: str) -> None:
        """Run `telemhq …` straight onto this terminal."""
        print(f"  {self.home.name}$ telemhq {shlex.join(arguments)}\n", flush=True)
        subprocess.run([*TELEMHQ, *arguments], env=self.environ, timeout=60, check=True)


def settle(root: Path, name: str, logs: str) -> Person:
    home = root / name
    shutil.copytree(HERE / logs, home)
    return Person(home)


def start_server(root: Path, environ: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    """Start the server and return it with its address, once it says that it listens."""
    with (root / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*TELEMHQ, "server", "run", "--port", "0"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    stdout = server.stdout
    if stdout is None:
        raise StepError("the server has no standard output")
    return server, address(stdout, root)


def address(stdout: IO[str], root: Path) -> str:
    for line in stdout:
        for word in line.split():
            if word.startswith("http://"):
                return word.rstrip(".,/")
    raise StepError(f"the server did not start:\n{(root / 'server.log').read_text()}")


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(timeout=15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    finally:
        if server.stdout is not None:
            server.stdout.close()


def found_team(ada: Person, grace: Person, url: str, key: str) -> None:
    title("2. An owner founds a team, a second member joins it by invitation")
    ada.run("login", "--url", url, "--key-stdin", given=key + "\n")
    ada.run("team", "create", "Analytical Engines")
    invitation = json.loads(ada.run("team", "invite", MEMBER, "--json"))["data"]
    grace.run("team", "accept", invitation["link"])


def collect(ada: Person, grace: Person) -> None:
    title("3. Both read their Codex and Claude Code logs and report them")
    for person in (ada, grace):
        print(indented(person.run("agent", "once", "--backfill")))


def jobs(ada: Person) -> None:
    title("4. Two cron-like jobs run under `telemhq ping`; the second one fails")
    ada.run("tracker", "create", "nightly report")
    wrapped = ("ping", "nightly report", "--project", JOB_PROJECT)
    print(indented(ada.run(*wrapped, "--payload-from-stdout", "--", *JOB)))
    ada.run(*wrapped, "--", "sh", "-c", "exit 3", code=3)


def indented(text: str) -> str:
    return "\n".join("    " + line for line in text.rstrip().splitlines())


def report(ada: Person) -> dict[str, Any]:
    """Return what the team's report says, in the shape of truth.json."""
    found: dict[str, Any] = {}
    for group in ("member", "project", "model"):
        said = json.loads(ada.run("usage", "--team", "--by", group, "--json", show=False))["data"]
        found["total"] = said["total"]
        found[f"by_{group}"] = {row.pop(group): row for row in said["rows"]}
    return found


def differences(truth: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return one line for each figure that is not the true one."""
    lines = []
    flat = {"total": truth["total"]} | {
        f"{name} {key}": row
        for name, rows in truth.items()
        if name != "total"
        for key, row in rows.items()
    }
    for place, row in flat.items():
        name, _, key = place.partition(" ")
        seen = found[name] if name == "total" else found[name].get(key, {})
        lines += [
            f"{place}: {figure} is {seen.get(figure)}, the truth is {value}"
            for figure, value in row.items()
            if seen.get(figure) is None or abs(seen[figure] - value) > HALF_A_NANO_USD
        ]
    for name, rows in truth.items():
        if name != "total":
            lines += [f"{name}: {key!r} is not in the truth" for key in found[name].keys() - rows]
    return lines


def compare(ada: Person, moment: str) -> bool:
    truth = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
    wrong = differences(truth, report(ada))
    for line in wrong:
        print(f"  WRONG {line}", file=sys.stderr)
    if not wrong:
        total = truth["total"]
        print(
            f"  Equal to the truth {moment}: {total['runs']} runs, {total['total_tokens']:,} tokens, "
            f"${total['cost_usd']:.4f}, {total['failures']} failures; the thread in both homes counted once."
        )
    return not wrong


def play(root: Path, *, keep: bool) -> int:
    ada, grace = settle(root, "ada", "owner"), settle(root, "grace", "member")
    title("1. A server starts on SQLite and a free loopback port")
    said = ada.run("server", "init", "--email", OWNER, "--name", "Ada", "--json")
    server, url = start_server(root, ada.environ)
    try:
        print(f"    {url}")
        found_team(ada, grace, url, json.loads(said)["data"]["api_key"])
        collect(ada, grace)
        jobs(ada)
        title("5. The team's report")
        ada.show("usage", "--team")
        title("6. Against the true totals of the logs")
        right = compare(ada, "after one reading")
        for person in (ada, grace):
            person.run("agent", "once", "--backfill", show=False)
        right = compare(ada, "after reading everything again") and right
    except BaseException:
        stop(server)
        raise
    if keep and right:
        go_on(root, ada, url, server.pid)
    else:
        stop(server)
    return 0 if right else 1


def go_on(root: Path, ada: Person, url: str, pid: int) -> None:
    title("Kept running")
    exports = " ".join(
        f"{name}={value}"
        for name, value in ada.environ.items()
        if name in {"TELEMHQ_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"}
    )
    print(f"  server   {url}   (stop it: kill {pid}; then remove {root})")
    print(f"  as Ada   export {exports}")
    print("  then     .venv/bin/telemhq usage --team --by day")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    keep = parser.parse_args().keep
    began = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="telemhq-demo-"))
    code = 2
    try:
        code = play(root, keep=keep)
    except (StepError, subprocess.SubprocessError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
    finally:
        if not keep or code:
            shutil.rmtree(root, ignore_errors=True)
    print(f"\nDemo {'done' if code == 0 else 'FAILED'} in {time.monotonic() - began:.1f} s.")
    return code


if __name__ == "__main__":
    sys.exit(main())
