"""What service managers are told, letter by letter."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from telemhq_agents.errors import SettingsError
from telemhq_agents.service import definition, launchd, systemd, windows
from telemhq_agents.service.definition import Service

PYTHON = "/opt/my tools/100%/$x/bin/python"
SERVICE = Service(
    (PYTHON, "-P", "-m", "telemhq_cli.main", "agent", "run"),
    {"TELEMHQ_HOME": '/srv/my "data"\\x', "NO_PROXY": "50%,$HOME"},
)
UNIT = r"""# Written by telemhq agent install; telemhq agent uninstall removes it.
[Unit]
Description=TelemHQ agent: reports what coding agents on this machine use
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart="/opt/my tools/100%%/$$x/bin/python" "-P" "-m" "telemhq_cli.main" "agent" "run"
ExecReload=/bin/kill -HUP $MAINPID
Environment="TELEMHQ_HOME=/srv/my \"data\"\\x"
Environment="NO_PROXY=50%%,$HOME"
# What it says is in its own log: telemhq agent logs.
StandardOutput=null
StandardError=null
Restart=on-failure
RestartForceExitStatus=SIGHUP
RestartSec=30
TimeoutStopSec=20
UMask=0077
Nice=10
IOSchedulingClass=idle
OOMScoreAdjust=500
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def test_the_unit_is_this_one() -> None:
    assert systemd.unit(SERVICE, 252) == UNIT


def test_a_systemd_that_knows_steps_waits_longer_after_each_failure() -> None:
    steps = "RestartSec=5\nRestartSteps=6\nRestartMaxDelaySec=5min"

    assert systemd.unit(SERVICE, 254) == UNIT.replace("RestartSec=30", steps)


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("systemd 252 (252.38-1~deb12u1)\n+PAM +AUDIT", 252),
        ("systemd 257.4-1-arch (257)", 257),
        ("systemd v", 0),
        ("", 0),
        ("OpenRC 0.54", 0),
    ],
)
def test_the_version_is_the_one_that_systemctl_tells(told: str, version: int) -> None:
    assert systemd.version_in(told) == version


def test_the_unit_lies_where_user_units_lie_and_is_started_by_the_users_manager() -> None:
    told = systemd.definition(SERVICE, Path("/home/x/.config/systemd/user"), 252)

    assert told.path == Path("/home/x/.config/systemd/user/telemhq-agent.service")
    assert told.register == (
        ("systemctl", "--user", "daemon-reload"),
        ("systemctl", "--user", "enable", "--now", "telemhq-agent.service"),
    )
    assert told.links == (
        Path("/home/x/.config/systemd/user/default.target.wants/telemhq-agent.service"),
    )


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: package systemd)"
)
def test_systemd_itself_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    told = subprocess.run(
        ["systemd-analyze", "--version"], capture_output=True, text=True, check=True
    )
    home = tmp_path / 'a home, 100% "mine"'
    told_service = definition.service(sys.executable, {"TELEMHQ_HOME": str(home)}, {})
    unit = tmp_path / "telemhq-agent.service"
    unit.write_text(systemd.unit(told_service, systemd.version_in(told.stdout)))
    (tmp_path / "run").mkdir(mode=0o700)

    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")},
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_launch_agent_says_the_same_to_launchd() -> None:
    told = launchd.definition(SERVICE, Path("/Users/x/Library/LaunchAgents"), 501)

    assert b"Written by telemhq agent install" in told.content
    assert plistlib.loads(told.content) == {
        "Label": "com.telemhq.agent",
        "ProgramArguments": [PYTHON, "-P", "-m", "telemhq_cli.main", "agent", "run"],
        "EnvironmentVariables": {"TELEMHQ_HOME": '/srv/my "data"\\x', "NO_PROXY": "50%,$HOME"},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "Umask": 63,
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
    }
    assert told.register == (
        (
            *("launchctl", "bootstrap", "gui/501"),
            "/Users/x/Library/LaunchAgents/com.telemhq.agent.plist",
        ),
    )
    assert not told.is_proven


def test_the_scheduled_task_runs_without_a_console_at_logon() -> None:
    service = Service(
        (r"C:\Program Files\A & B\python.exe", "-P", "-m", "telemhq_cli.main", "agent", "run"), {}
    )
    told = windows.definition(service, Path("C:/data"), r"OFFICE\me")

    task = ET.fromstring(told.content.decode("utf-16"))  # noqa: S314 - our own
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}

    def text(path: str) -> str | None:
        return task.findtext(path, namespaces=space)

    assert text("t:Actions/t:Exec/t:Command") == r"C:\Program Files\A & B\pythonw.exe"
    assert text("t:Actions/t:Exec/t:Arguments") == "-P -m telemhq_cli.main agent run"
    assert text("t:Triggers/t:LogonTrigger/t:UserId") == r"OFFICE\me"
    assert text("t:Settings/t:ExecutionTimeLimit") == "PT0S"
    assert text("t:Settings/t:MultipleInstancesPolicy") == "IgnoreNew"
    assert told.content.startswith(b"\xff\xfe")
    assert not told.is_proven


def test_only_what_says_where_things_are_is_kept_of_the_environment() -> None:
    environ = {
        "TELEMHQ_HOME": "relative",
        "CODEX_HOME": "/srv/codex",
        "CLAUDE_CONFIG_DIR": "",
        "TELEMHQ_API_KEY": "thq_secret",
        "OPENAI_API_KEY": "sk-secret",
        "HTTPS_PROXY": "http://proxy:3128",
    }

    told = definition.service("/usr/bin/python3", environ, {"TELEMHQ_HOME": "/cwd/relative"})

    assert told.environment == {
        "TELEMHQ_HOME": "/cwd/relative",
        "CODEX_HOME": "/srv/codex",
        "HTTPS_PROXY": "http://proxy:3128",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://me:secret@proxy:3128"),
        ("CODEX_HOME", "/srv/a\nExecStartPre=/bin/rm"),
    ],
)
def test_a_password_or_a_line_break_never_gets_into_a_service_file(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        definition.service("/usr/bin/python3", {name: value}, {})

    assert "secret" not in str(caught.value)
