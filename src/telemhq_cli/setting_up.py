"""Setting this machine up, step by step: each may be done again, and says how it went."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from telemhq_agents import credentials, locations, settings
from telemhq_agents.credentials import Login
from telemhq_agents.errors import TelemhqError, UnreachableError
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from telemhq_agents.credentials import Destination, Profile

PING_TIMEOUT_S = 10.0


class State(StrEnum):
    """How a step went."""

    DONE = "done"
    ALREADY = "already so"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken, or not; `exit_code` is 0 unless it failed."""

    name: str
    state: State
    message: str
    next_step: str = ""
    warnings: tuple[str, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be set up.

    `server` is "" for this machine alone; `api_key` is "" where the login that is there will do.
    `reported` are the sources whose usage goes to the server; without a manager (`has_manager`)
    nobody can keep the agent running.
    """

    profile: str
    server: str = ""
    api_key: str = field(default="", repr=False)
    reported: tuple[Source, ...] = tuple(Source)
    hook: bool = False
    statusline: bool = False
    service: bool = False
    has_manager: bool = True
    test_ping: bool = False


def steps(wanted: Wanted) -> Iterator[Step]:
    """Take the steps one after the other; one that fails does not keep the next from being taken.

    The test ping alone needs the login, and a server.
    """
    server = _taken("server", lambda: _server(wanted))
    yield server
    yield _taken("hook", lambda: _hook(wanted))
    yield _taken("service", lambda: _service(wanted))
    if not wanted.server:
        return
    if server.state is State.FAILED:
        yield Step("test ping", State.SKIPPED, "There is no login to try.")
    else:
        yield _taken("test ping", lambda: _test_ping(wanted))


def _taken(name: str, work: Callable[[], Step]) -> Step:
    try:
        return work()
    except TelemhqError as error:
        return Step(name, State.FAILED, error.message, error.next_step, exit_code=error.exit_code)


def known_login(profile: str) -> Profile | None:
    """Return the login that is kept for a profile."""
    return credentials.load(locations.ours().credentials).profiles.get(profile)


def _server(wanted: Wanted) -> Step:
    known = known_login(wanted.profile)
    if wanted.server:
        return _login(wanted, known)
    if known is None:
        return Step("server", State.ALREADY, "Usage stays on this machine: there is no login.")
    return Step(
        "server",
        State.FAILED,
        f"There is a login to {known.url}; what this machine uses still goes there.",
        "telemhq logout",
        exit_code=1,
    )


def _login(wanted: Wanted, known: Profile | None) -> Step:
    from telemhq_cli.commands.login import enter  # noqa: PLC0415 - not for --help

    if not wanted.api_key and known is not None:
        return _as_it_is(wanted, known)
    entered = enter(
        Login(wanted.server, wanted.api_key, "", wanted.profile), sources=wanted.reported
    )
    where = ", ".join(one.label for one in entered.sent_to) or "nowhere"
    message = f"Logged in to {wanted.server} as {entered.email}. Usage goes to: {where}."
    return Step("server", State.DONE, message)


def _as_it_is(wanted: Wanted, known: Profile) -> Step:
    """Keep the login that is there, and where its sources go; change the latter where asked to."""
    from telemhq_cli.commands import devices, session  # noqa: PLC0415 - not for --help

    ours = locations.ours()
    told = settings.load(ours.settings, {}, {"profile": known.name, "url": known.url})
    login = credentials.login(told, credentials.load(ours.credentials), {})
    with session.connected(login) as here:
        email = here.me.email
        if sent_by(wanted.profile) == {*wanted.reported}:
            message = f"Logged in to {known.url} as {email}; the key is taken."
            return Step("server", State.ALREADY, message)
        sent_to = devices.point_at(here, wanted.reported)
    where = ", ".join(one.label for one in sent_to) or "nowhere"
    return Step("server", State.DONE, f"Logged in to {known.url}. Usage goes to: {where}.")


def sent_by(profile: str) -> set[Source]:
    """Return the sources whose usage goes to a login's server."""
    held = credentials.load(locations.ours().credentials)
    found = {source: held.destinations.get(held.destination_of(source.value)) for source in Source}
    return {source for source, one in found.items() if one is not None and one.profile == profile}


def _hook(wanted: Wanted) -> Step:
    from telemhq_cli.commands.claude import add_hook  # noqa: PLC0415 - not for --help

    if not wanted.hook:
        message = "Claude Code's hook was left as it is; its transcripts are read all the same."
        return Step("hook", State.SKIPPED, message)
    if _has_plugin():
        return _plugin(wanted)
    done = add_hook(statusline=wanted.statusline)
    warnings = tuple(done.warnings)
    if not done.outcome.changed:
        return Step("hook", State.ALREADY, f"The hook stands in {done.path}.", warnings=warnings)
    line = " and the status line" if wanted.statusline else ""
    return Step("hook", State.DONE, f"Added the hook{line} to {done.path}.", warnings=warnings)


def _has_plugin() -> bool:
    from claude_code_hooks import install, silence  # noqa: PLC0415 - not for --help

    holding = install.settings_that_hold(os.environ, Path.cwd())
    return any(silence.has_plugin(path) for path in holding)


def _plugin(wanted: Wanted) -> Step:
    """Tell the plugin of Claude Code where this telemhq is: beside it a hook would tell twice."""
    from claude_code_hooks import install  # noqa: PLC0415 - not for --help

    changed = install.link_plugin(os.environ, install.command(locations.ours()))
    path = install.plugin_link(os.environ)
    warnings = ("The status line was not set: the plugin has none.",) if wanted.statusline else ()
    if changed:
        message = f"Told the plugin where telemhq is: {path}."
        return Step("hook", State.DONE, message, warnings=warnings)
    message = f"The plugin has the hooks, and knows this telemhq: {path}."
    return Step("hook", State.ALREADY, message, warnings=warnings)


def _service(wanted: Wanted) -> Step:
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - not for --help

    if not wanted.service and not wanted.has_manager:
        message = "No service manager answers here that could keep the agent running."
        return Step("service", State.SKIPPED, message, "telemhq agent run")
    if not wanted.service:
        message = "The agent was not made a service; a report reads the logs when you ask for it."
        return Step("service", State.SKIPPED, message, "telemhq agent install")
    chosen = choosing.choose(installing.run)
    done = installing.install(chosen, installing.run)
    if done.by_hand:
        message = f"Wrote {chosen.path}, but {chosen.manager.value} does not answer here."
        return Step("service", State.FAILED, message, done.by_hand[-1], exit_code=1)
    if not done.changed:
        return Step("service", State.ALREADY, f"{chosen.manager.value} keeps the agent running.")
    message = f"{chosen.manager.value} runs the agent, now and from every login on."
    return Step("service", State.DONE, message)


def has_manager() -> bool:
    """Tell whether a service manager answers here that could keep the agent running."""
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - not for --help

    try:
        return installing.standing(choosing.choose(installing.run), installing.run).answers
    except TelemhqError:
        return False


def _test_ping(wanted: Wanted) -> Step:
    """Ask the address that pings go to what it takes: the way is tried, and nothing is recorded."""
    from telemhq_agents.contract.ping import Capabilities  # noqa: PLC0415 - not for --help
    from telemhq_agents.delivery.client import PingSender  # noqa: PLC0415 - httpx
    from telemhq_agents.delivery.outcome import Reply  # noqa: PLC0415 - same

    if not wanted.test_ping:
        return Step("test ping", State.SKIPPED, "No ping was tried.")
    destination = _first_destination(wanted.reported)
    if destination is None:
        return Step("test ping", State.SKIPPED, "Nothing goes to the server, so nothing was tried.")
    with PingSender(timeout_s=PING_TIMEOUT_S) as sender:
        told = sender.capabilities(destination.ping_url)
    if isinstance(told, Capabilities):
        message = f"Pings reach {destination.label!r}; nothing was recorded there."
        return Step("test ping", State.DONE, message)
    why = f"it answers {told.status}" if isinstance(told, Reply) else told.reason
    raise UnreachableError(f"{destination.label!r} takes no pings: {why}.", "telemhq doctor")


def _first_destination(sources: Sequence[Source]) -> Destination | None:
    held = credentials.load(locations.ours().credentials)
    found = (held.destinations.get(held.destination_of(source.value)) for source in sources)
    return next((one for one in found if one is not None), None)
