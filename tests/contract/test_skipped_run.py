"""A run that the lock skips, told to the real server: neither a run nor a sign of life."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.contract.test_first_use import Person, serving
from tools.demo import TELEMHQ

if TYPE_CHECKING:
    from pathlib import Path


def test_a_skip_is_shown_and_counted_nowhere(tmp_path: Path) -> None:
    ada = Person(tmp_path / "ada")
    key = ada.run("server", "init", "--email", "ada@example.com").strip()
    guarded = ("ping", "nightly", "--lock", "nightly", "--")

    with serving(ada) as url:
        ada.run("login", "--url", url, "--key-stdin", given=key)
        ada.asks("tracker", "create", "nightly")
        running = subprocess.Popen(
            [*TELEMHQ, *guarded, "sh", "-c", "echo runs; read _"],
            env=ada.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "runs\n"
        skipped = subprocess.run([*TELEMHQ, *guarded, "true"], env=ada.environ, check=False)
        while_it_runs = ada.asks("tracker", "runs", "nightly")
        [tracker] = [one for one in ada.asks("tracker", "list") if one["name"] == "nightly"]
        running.communicate("go on\n", timeout=20)
        after = ada.asks("tracker", "runs", "nightly")
        total = ada.asks("usage", "--mine", "--by", "tracker")["total"]

    assert skipped.returncode == 75
    [skip] = [run for run in while_it_runs if run["kind"] != "start"]
    assert (skip["kind"], skip["status"], skip["failed"]) == ("skip", "skipped", False)
    assert (tracker["state"], tracker["last_run_at"]) == ("new", None)
    assert [run["kind"] for run in after if run["kind"] != "start"] == ["run", "skip"]
    assert (total["runs"], total["failures"]) == (1, 0)
