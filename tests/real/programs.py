"""The real `codex` and `claude`, from npm, in a directory of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journeys.household import Person

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "claude_code_hooks" / "plugin"
PACKAGES = ("@openai/codex@0.169.0", "@anthropic-ai/claude-code@2.1.329")
FOREIGN = ("ANTHROPIC_", "CLAUDE", "CODEX_", "OPENAI_", "TELEMHQ_", "XDG_")
"""Settings of whoever runs the tests that would reach the programs."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LONGEST_RUN_S = 90
CLAUDE_MODEL, CODEX_MODEL = "claude-opus-5-5", "gpt-5.4"
CODEX_SETTINGS = """\
model = "{model}"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{address}/v1"
wire_api = "responses"
env_key = "FAKE_MODEL_KEY"
request_max_retries = 0
stream_max_retries = 0
"""


class NotHereError(Exception):
    """The programs cannot be had on this machine; the message says why."""


def installed(prefix: Path) -> Path:
    """Install both programs below `prefix` and return the directory of their commands.

    Raises NotHereError where npm or its registry is missing.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NotHereError("npm is not installed")
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(
        [npm, "install", "--prefix", str(prefix), *quiet, *PACKAGES],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise NotHereError(f"npm install {' '.join(PACKAGES)} failed: {done.stderr.strip()}")
    return prefix / "node_modules" / ".bin"


@dataclass(frozen=True)
class Coder(Person):
    """Somebody with a home who has both programs, which talk to a fake model."""

    programs: Path
    model_address: str

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(FOREIGN) and name.lower() not in PROXIES
        }
        return kept | {
            "PATH": f"{self.programs}:{kept.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "TELEMHQ_HOME": str(self.home / "telemhq"),
            "CODEX_HOME": str(self.home / "codex"),
            "CLAUDE_CONFIG_DIR": str(self.home / "claude"),
            "ANTHROPIC_BASE_URL": self.model_address,
            "ANTHROPIC_API_KEY": "sk-of-nobody",
            "FAKE_MODEL_KEY": "sk-of-nobody",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    @property
    def project(self) -> Path:
        return self.home / "project"

    def moves_in(self) -> None:
        self.project.mkdir(parents=True)
        codex = self.home / "codex"
        codex.mkdir()
        text = CODEX_SETTINGS.format(model=CODEX_MODEL, address=self.model_address)
        (codex / "config.toml").write_text(text)

    def claude(self, prompt: str, *options: str, code: int = 0) -> str:
        """Run `claude -p` to its end and return the session's id."""
        done = self._done(self.start_claude(prompt, *options))
        assert done.returncode == code, (prompt, options, done.stdout, done.stderr)
        session: str = json.loads(done.stdout)["session_id"]
        return session

    def start_claude(self, prompt: str, *options: str) -> subprocess.Popen[str]:
        own = ("--output-format=json", f"--model={CLAUDE_MODEL}", "--allowedTools=Bash,Agent")
        return self._begun("claude", "-p", prompt, *own, *options)

    def codex(self, prompt: str, *subcommand: str, code: int = 0) -> str:
        """Run `codex exec` (or a subcommand of it) to its end and return the thread's id."""
        done = self._done(self.start_codex(prompt, *subcommand))
        assert done.returncode == code, (prompt, subcommand, done.stdout, done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        threads = [event["thread_id"] for event in events if event["type"] == "thread.started"]
        return str(threads[-1])

    def start_codex(self, prompt: str, *subcommand: str) -> subprocess.Popen[str]:
        own = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
        return self._begun("codex", "exec", *own, *subcommand, prompt)

    def plugin(self, *arguments: str | Path) -> str:
        """Run `claude plugin …` and return what it says."""
        done = self._done(self._begun("claude", "plugin", *(str(word) for word in arguments)))
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def installs_plugin(self) -> None:
        self.plugin("marketplace", "add", ROOT)
        self.plugin("install", "telemhq@telemhq")

    def claude_settings(self) -> dict[str, Any]:
        path = self.home / "claude" / "settings.json"
        settings: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return settings

    def sets_claude_settings(self, settings: dict[str, Any]) -> None:
        path = self.home / "claude" / "settings.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(settings, indent=2))

    def _begun(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            executable=str(self.programs / command[0]),
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _done(self, process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        try:
            stdout, stderr = process.communicate(timeout=LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            kill_all_of(process)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def kill_all_of(process: subprocess.Popen[str]) -> None:
    """Kill -9 a program and what it has started in its own process group, and reap it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
