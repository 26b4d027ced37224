"""What the repository promises to somebody with python3, make and git."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_lock_file_holds_hashes_and_no_registry_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9][\w.-]*==\S+", text, re.MULTILINE)

    assert "://" not in text
    assert len(pins) > 40
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_lock_file_pins_everything_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        named += extra
    pinned = set(
        re.findall(
            r"^([a-z0-9][\w.-]*)==",
            (ROOT / "requirements.lock").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )

    assert {re.split(r"[\[>=<; ]", name)[0] for name in named} <= pinned


def test_the_wheel_holds_the_five_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "src/telemhq_cli",
        "src/telemhq_agents",
        "codex_watcher",
        "claude_code_hooks",
        "server_stub",
    ]
    assert project["project"]["scripts"] == {"telemhq": "telemhq_cli.main:main"}
    assert set(project["project"]["optional-dependencies"]) == {"server", "postgres"}


@pytest.mark.parametrize("target", ["venv", "demo", "test", "check", "fmt", "bench", "clean"])
def test_make_knows_the_target(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_machine_without_venv_gets_one_line_that_names_the_package(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac\n'
    )
    python.chmod(0o755)
    for name in ("Makefile", "requirements.lock", "requirements-uv.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    done = subprocess.run(
        ["make", "venv", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "sudo apt install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_demo_logs_are_what_their_generator_makes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "tools.make_demo_logs", str(tmp_path)], cwd=ROOT, check=True
    )

    kept, made = ROOT / "tools" / "demo_logs", tmp_path
    names = {path.relative_to(kept) for path in kept.rglob("*") if path.is_file()}
    assert names == {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    assert len(names) == 10
    for name in names:
        assert (kept / name).read_bytes() == (made / name).read_bytes(), name
