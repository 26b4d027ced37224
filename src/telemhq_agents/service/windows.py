"""The agent as a scheduled task of one Windows user, in the Task Scheduler's schema. Pure.

Written, not yet run there. A task has no environment of its own: it gets the user's, so what
moves our files must be set there (`setx`).
"""

from __future__ import annotations

from subprocess import list2cmdline
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from telemhq_agents.service.definition import DESCRIPTION, MARK, Definition, Manager, Service

if TYPE_CHECKING:
    from pathlib import Path

TASK = "TelemHQ agent"
RESTARTS = 999
"""As many as the Task Scheduler takes."""


def definition(service: Service, folder: Path, user: str) -> Definition:
    """Return the task, whose file lies in `folder`, of this user, named with its domain."""
    path = folder / "agent-task.xml"
    create = ("schtasks", "/Create", "/F", "/TN", TASK, "/XML", str(path))
    start = ("schtasks", "/Run", "/TN", TASK)
    stop = ("schtasks", "/End", "/TN", TASK)
    return Definition(
        manager=Manager.TASK_SCHEDULER,
        path=path,
        content=task(service, user).encode("utf-16"),
        probe=("schtasks", "/Query"),
        active=("schtasks", "/Query", "/TN", TASK),
        register=(create, start),
        renew=(stop, create, start),
        forget=(stop, ("schtasks", "/Delete", "/F", "/TN", TASK)),
        is_proven=False,
    )


def task(service: Service, user: str) -> str:
    """Return the task's XML; every value in it is escaped."""
    python, *arguments = service.program
    return f"""\
<?xml version="1.0" encoding="UTF-16"?>
<!-- {MARK}; telemhq agent uninstall removes it. -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{escape(DESCRIPTION)}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{escape(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>8</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>{RESTARTS}</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(_windowless(python))}</Command>
      <Arguments>{escape(list2cmdline(arguments))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _windowless(python: str) -> str:
    """Return the interpreter that opens no console."""
    head, name, rest = python.rpartition("python.exe")
    return f"{head}pythonw.exe" if name and not rest else python
