"""`telemhq top`: the day's spend, what runs, what ran last, what fails; live."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents import clock
from telemhq_agents.errors import NotLoggedInError, UsageError
from telemhq_cli.commands import watching
from telemhq_cli.commands.options import (  # noqa: TC001 - read by Typer
    Ascii,
    AsJson,
    ProfileName,
    Width,
)
from telemhq_cli.commands.usage_options import (  # noqa: TC001 - same
    OtherAccount,
    TeamWide,
    Zone,
)
from telemhq_cli.commands.watching import Interval  # noqa: TC001 - same
from telemhq_cli.render import screen
from telemhq_cli.render.output import show_json

if TYPE_CHECKING:
    from rich.text import Text

    from telemhq_agents.errors import TelemhqError
    from telemhq_cli.asking import Asking
    from telemhq_cli.render.top import There, Top

Once = Annotated[bool, typer.Option("--once", help="Print one frame and end, as into a pipe.")]


def top(  # noqa: PLR0917 - one for each option
    team_wide: TeamWide = False,
    once: Once = False,
    interval: Interval = None,
    timezone: Zone = None,
    account: OtherAccount = None,
    as_json: AsJson = False,
    width: Width = None,
    ascii_only: Ascii = False,
    profile: ProfileName = None,
) -> None:
    """Watch today's spend, running sessions and failing trackers.

    Of this machine, whose logs are read as they grow; with a login, also what the server knows:
    failing trackers and the latest runs.
    """
    del width, ascii_only  # they have told the screen
    from telemhq_cli.render import live  # noqa: PLC0415 - rich: 60 ms
    from telemhq_cli.render import top as shown  # noqa: PLC0415 - same

    is_once = once or as_json or not live.is_possible()
    every_s = watching.every_s(interval, at_server=team_wide)
    opened: _View
    if team_wide:
        opened = _TeamView(timezone, account, profile, every_s)
    else:
        opened = _OwnView(timezone, account, profile, waits=is_once)
    if as_json:
        show_json(shown.document(opened.top))
    elif is_once:
        live.show_once(opened.lines(screen.width(), None))
    else:
        watching.show(opened, every_s)


class _View:
    """A frame as a view; `top` is what was seen last."""

    def __init__(self, top: Top) -> None:
        self.top = top

    @property
    def said(self) -> str:
        """What the last line tells: how the server is."""
        there = self.top.there
        if there is None:
            return ""
        if there.problem:
            return there.problem
        if there.asked_ms is None:
            return f"asking {there.url}"
        from telemhq_cli.render.words import ago  # noqa: PLC0415 - not needed for --help

        return f"{there.url} {ago(self.top.now_ms - there.asked_ms)} ago"

    def look(self) -> None:
        """Look again."""
        self.hear()

    def hear(self) -> None:
        """Take what the server said meanwhile."""
        raise NotImplementedError

    def lines(self, width: int, height: int | None) -> list[Text]:
        """Return the frame, as large as the screen."""
        from telemhq_cli.render import top as shown  # noqa: PLC0415 - rich: 60 ms

        return shown.lines(self.top, width, height, ascii_only=screen.is_ascii())


class _OwnView(_View):
    """This machine and, with a login, what its server says."""

    def __init__(
        self, timezone: str | None, account: str | None, profile: str | None, *, waits: bool
    ) -> None:
        from telemhq_cli.commands import period, top_here  # noqa: PLC0415 - not needed for --help

        self._zone = period.zone_in_use(timezone)
        there, asking = _server(account, profile)
        super().__init__(replace(top_here.first_look(self._zone), there=there))
        # The first reading of all logs is over: from here on there may be threads.
        self._asking = asking
        if asking is not None and waits:
            asking.now()
        self.hear()

    def look(self) -> None:
        """Read what is new here; take what the server said meanwhile."""
        from telemhq_cli.commands import top_here  # noqa: PLC0415 - not needed for --help

        self.top = replace(top_here.look(self._zone), there=self.top.there)
        self.hear()

    def hear(self) -> None:
        """Take what the server said meanwhile."""
        if self._asking is not None:
            there = self._asking.latest()
            self.top = replace(self.top, there=there, now_ms=clock.now_ms())


class _TeamView(_View):
    """A team's day, as its server has it."""

    def __init__(
        self, timezone: str | None, account: str | None, profile: str | None, every_s: float
    ) -> None:
        from telemhq_cli.asking import Asking  # noqa: PLC0415 - not needed for --help
        from telemhq_cli.commands import top_there  # noqa: PLC0415 - same

        login = top_there.login_in_use(profile)
        if login is None or isinstance(login, NotLoggedInError):
            raise login or NotLoggedInError(
                "--team is about a server, and there is no login on this machine.",
                "telemhq login --url URL",
            )
        team = top_there.Team(login, account, timezone)
        # The first answer is waited for in any case: without it there is nothing to see.
        super().__init__(team.ask())
        self._asking = Asking(self.top, team.ask, _unheard, every_s, watching.seconds)

    def hear(self) -> None:
        """Take what the server said meanwhile."""
        self.top = replace(self._asking.latest(), now_ms=clock.now_ms())


def _server(account: str | None, profile: str | None) -> tuple[There | None, Asking[There] | None]:
    """Return what is known of the login's server before it is asked, and who asks it."""
    from telemhq_cli.asking import Asking  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.commands import top_there  # noqa: PLC0415 - same
    from telemhq_cli.render.top import There  # noqa: PLC0415 - same

    login = top_there.login_in_use(profile)
    if login is None:
        if account is not None:
            raise UsageError("--account is about a server, and there is no login here.")
        return None, None
    if isinstance(login, NotLoggedInError):
        return There("", problem=login.message), None
    first = There(login.url)
    trackers = top_there.Trackers(login, account)

    def failed(before: There, error: TelemhqError | OSError) -> There:
        return replace(before, problem=top_there.in_words(error))

    return first, Asking(first, trackers.ask, failed, watching.SERVER_S, watching.seconds)


def _unheard(before: Top, error: TelemhqError | OSError) -> Top:
    from telemhq_cli.commands.top_there import in_words  # noqa: PLC0415 - not needed for --help

    there = before.there
    return (
        before if there is None else replace(before, there=replace(there, problem=in_words(error)))
    )


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)
