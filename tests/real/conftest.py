"""These tests install and run programs of others: only `make test-real` collects them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.real.stage")

from tests.real.programs import NotHereError, installed  # noqa: E402 - after the line above
from tests.real.stage import Stage, set_up  # noqa: E402 - same

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = "TELEMHQ_TEST_REAL"
KEPT = "TELEMHQ_TEST_REAL_PREFIX"
"""Names an npm prefix that outlives the run, so that the next one does not download again."""

FIGURES = pytest.StashKey[list[tuple[str, ...]]]()
HEADS = ("ms, hook in", "hooks off", "hooks on", "added/event", "bare python", "ratio")
"""Of a turn with 40 tool calls, which are 44 events."""

collect_ignore_glob = [] if os.environ.get(WANTED) else ["test_*.py"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(FIGURES, [])
    if not rows:
        return
    terminalreporter.section("what the hook adds to a real Claude Code")
    for row in (HEADS, *rows):
        terminalreporter.write_line(f"{row[0]:<20}" + "".join(f"{cell:>13}" for cell in row[1:]))


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> list[tuple[str, ...]]:
    """Rows of the table that is shown at the end."""
    return pytestconfig.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = os.environ.get(KEPT)
    try:
        return installed(Path(prefix) if prefix else tmp_path_factory.mktemp("npm"))
    except NotHereError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def bare_stage(tmp_path: Path, programs: Path) -> Iterator[Stage]:
    """A machine that is logged in, without hook and agent."""
    with set_up(tmp_path, programs) as stage:
        yield stage


@pytest.fixture
def stage(bare_stage: Stage) -> Stage:
    """A machine with our hook installed and our agent running."""
    bare_stage.coder.run("claude", "install")
    bare_stage.start_agent()
    return bare_stage
