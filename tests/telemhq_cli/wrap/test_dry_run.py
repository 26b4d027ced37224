"""`--dry-run` shows what would be run and sent, and does neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.envelopes import data_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemhq_cli.conftest import Machine, PingServer


def test_a_dry_run_shows_what_would_be_and_does_nothing_of_it(
    machine: Machine, ping_server: PingServer, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"

    done = machine.run(
        *("ping", ping_server.ping_url, "--dry-run", "--json", "--project", "billing"),
        *("-f", "usage.cached=true", "-f", "api_key=hunter2", "-f", "n=5", "--lock", "nightly"),
        *("--kill-after", "30", "--retry", "2", "--tail-output", "100", "--on-success-only"),
        *("--payload", str(tmp_path / "later.json"), "--", "touch", str(mark), "a b"),
    )

    assert (done.returncode, done.stderr) == (0, "")
    plan = data_of(done.stdout)
    assert plan["runs"] == f"touch {mark} 'a b'"
    assert plan["sends_to"] == f"{ping_server.url}/ping/[masked]"
    assert plan["fields"] == {
        "project": "billing",
        "usage": {"cached": True},
        "api_key": "[masked]",
        "n": 5,
    }
    assert len(plan["fields_from"]) == 2
    assert {"status", "duration_ms", "timed_out", "attempts"} <= set(plan["measured"])
    limits = ("timeout_s", "kill_after_s", "grace_s", "retries", "retry_delay_s", "lock")
    assert [plan[name] for name in limits] == [5.0, 30.0, 10.0, 2, 1.0, "nightly"]
    assert plan["on_success_only"] is True
    assert not mark.exists()
    assert ping_server.requests == []
    assert not machine.ours.exists()


def test_a_dry_run_for_people_has_a_line_for_each_thing(
    machine: Machine, ping_server: PingServer
) -> None:
    done = machine.run("ping", "nightly", "--dry-run", "--status", "success")

    assert done.stdout.splitlines() == [
        "Nothing is run and nothing is sent.",
        "  sends to   wherever the server says that 'nightly' is",
        '  fields     {"status": "success"}',
        "  timeout s  5.0",
    ]


def test_a_dry_run_names_the_mistakes_that_a_job_would_hide(
    machine: Machine, ping_server: PingServer
) -> None:
    for wrong in (["--bogus"], ["-f", "a=1", "-f", "a.b=2"], ["--kill-after", "soon"]):
        done = machine.run(
            "ping", ping_server.ping_url, "--dry-run", *wrong, "--", "sh", "-c", "echo ran"
        )

        assert (done.returncode, done.stdout) == (2, ""), wrong
