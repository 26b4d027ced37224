from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from telemhq_cli.render.progress import patience

if TYPE_CHECKING:
    import pytest


def test_a_person_is_told_after_a_while_and_the_line_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("telemhq_cli.render.progress.is_terminal", lambda: True)
    monkeypatch.setattr("telemhq_cli.render.progress.PATIENCE_S", 0.01)
    before = signal.getsignal(signal.SIGALRM)

    with patience("Reading logs …"):
        time.sleep(0.1)
        shown = capsys.readouterr().err
        threads = threading.active_count()

    assert (shown, capsys.readouterr().err) == ("Reading logs …", "\r\x1b[K")
    assert threads == threading.active_count()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_what_is_quick_or_unwatched_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with patience("Reading logs …"):
        pass
    monkeypatch.setattr("telemhq_cli.render.progress.is_terminal", lambda: True)
    with patience("Reading logs …"):
        pass

    assert capsys.readouterr().err == ""
