"""A login at work: what commands ask of the server, in one account."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock, credentials, failing, locations, settings
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, nano
from telemhq_agents.contract.usage_report import UsageReport, UsageRow
from telemhq_agents.errors import UnreachableError, UsageError
from telemhq_agents.nearest import missed
from telemhq_cli.completion import heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from telemhq_agents.contract import resources
    from telemhq_agents.credentials import Credentials, Login
    from telemhq_agents.delivery.client import ApiClient

LARGEST_PAGE = 1000


class Session:
    """A login's client, in one account. `profile` names the login."""

    def __init__(self, api: ApiClient, login: Login, account: resources.Account | None) -> None:
        self.api = api
        self.url = login.url
        self.profile = login.profile or "default"
        self._login = login
        self._account = account

    @cached_property
    def me(self) -> resources.Me:
        """Who the API key belongs to."""
        return self.api.me()

    @property
    def account(self) -> resources.Account:
        """The account that this session is about: the one named, the login's, or the default."""
        if self._account is not None:
            return self._account
        wanted = self._login.account or self.me.default_account
        found = next((one for one in self.me.accounts if one.id == wanted), None)
        if found is None:
            raise UsageError(
                f"The login {self.profile!r} is about an account that you are not in any more.",
                f"telemhq login --url {self.url} --profile {self.profile}",
            )
        return found

    def trackers(self) -> list[resources.Tracker]:
        """List the account's trackers, and remember their ping URLs for `telemhq ping`."""
        found = self.api.trackers()
        self._remember(found)
        if self._account is None:
            failing.remember(sum(one.state == failing.STATE for one in found), clock.now_ms())
        return found

    def tracker(self, name: str) -> resources.Tracker:
        """Return a tracker by id or name. Raises UsageError where there is none, or several."""
        return chosen_tracker(self.trackers(), name)

    def create_tracker(self, name: str) -> resources.Tracker:
        """Create a tracker. Raises UsageError where there is one of that name."""
        if any(one.name == name for one in self.trackers()):
            raise UsageError(
                f"There is a tracker {name!r} already.", f"telemhq tracker show {shlex.quote(name)}"
            )
        return self._remembered(self.api.create_tracker(name))

    def change_tracker(
        self, tracker: resources.Tracker, *, name: str | None = None, state: str | None = None
    ) -> resources.Tracker:
        """Rename, pause (`paused`) or resume (`active`) a tracker."""
        changed = self.api.change_tracker(tracker.id, name=name, state=state)
        self._forget(tracker)
        return self._remembered(changed)

    def rotate_tracker(self, tracker: resources.Tracker) -> resources.Tracker:
        """Give a tracker another ping URL, also where this machine's collectors send to it."""
        rotated = self.api.rotate_tracker(tracker.id)

        def moved(held: Credentials) -> Credentials:
            for one in held.destinations.values():
                if one.ping_url == tracker.ping_url:
                    held = held.with_destination(replace(one, ping_url=rotated.ping_url))
            return held

        credentials.change(locations.ours().credentials, moved)
        return self._remembered(rotated)

    def delete_tracker(self, tracker: resources.Tracker) -> None:
        """Delete a tracker."""
        self.api.delete_tracker(tracker.id)
        self._forget(tracker)

    def runs(self, tracker: resources.Tracker, limit: int) -> list[resources.Run]:
        """Return up to `limit` runs of a tracker, newest first."""
        found: list[resources.Run] = []
        cursor = None
        while len(found) < limit:
            size = min(limit - len(found), LARGEST_PAGE)
            page = self.api.runs(tracker.id, limit=size, cursor=cursor)
            found += page.runs
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def usage(
        self, group_by: Sequence[str], query: Mapping[str, str | Sequence[str]]
    ) -> UsageReport:
        """Return the server's usage report."""
        return report_of(self.api.usage({"group_by": ",".join(group_by), **query}))

    def use_account(self) -> None:
        """Make the session's account the one that the login is about."""
        account = self.account.id

        def moved(held: Credentials) -> Credentials:
            known = held.profiles.get(self.profile)
            return held if known is None else held.with_profile(replace(known, account=account))

        credentials.change(locations.ours().credentials, moved)

    def _remember(self, trackers: Sequence[resources.Tracker]) -> None:
        """Keep the ping URLs of these trackers, by id and by name where one alone has it."""
        names = [tracker.name for tracker in trackers]
        urls = {tracker.id: tracker.ping_url for tracker in trackers}
        urls |= {one.name: one.ping_url for one in trackers if names.count(one.name) == 1}

        def kept(held: Credentials) -> Credentials:
            known = {known_as(self.profile, name): url for name, url in urls.items()}
            return replace(held, trackers={**held.trackers, **known})

        credentials.change(locations.ours().credentials, kept)

    def _remembered(self, tracker: resources.Tracker) -> resources.Tracker:
        self._remember([tracker])
        return tracker

    def _forget(self, tracker: resources.Tracker) -> None:
        names = [known_as(self.profile, name) for name in (tracker.id, tracker.name)]

        def kept(held: Credentials) -> Credentials:
            for name in names:
                if held.tracker(name) == tracker.ping_url:
                    held = held.without_tracker(name)
            return held

        credentials.change(locations.ours().credentials, kept)


def known_as(profile: str, tracker: str) -> str:
    """Return the name under which a tracker's ping URL is kept; profiles keep theirs apart."""
    return f"{profile}/{tracker}"


def environ_for(profile: str | None) -> dict[str, str]:
    """Return the environment with the profile that an option names."""
    named = {} if profile is None else {settings.PROFILE_VARIABLE: profile}
    return {**os.environ, **named}


@contextmanager
def opened(profile: str | None = None, team: str | None = None) -> Iterator[Session]:
    """Open the login in use, or the profile named. Raises NotLoggedInError where there is none."""
    ours = locations.ours()
    environ = environ_for(profile)
    login = credentials.login(
        settings.load(ours.settings, environ), credentials.load(ours.credentials), environ
    )
    with connected(login, team) as here:
        yield here


@contextmanager
def connected(login: Login, team: str | None = None) -> Iterator[Session]:
    """Speak to a server as somebody; with an empty key as nobody."""
    from telemhq_cli.commands.hearing import HearingClient, refresh  # noqa: PLC0415 - httpx: 90 ms

    account = None
    if team is not None:
        with HearingClient(login.url, login.api_key) as api:
            account = chosen_account(api.me().accounts, team)
    account_id = login.account if account is None else account.id
    with HearingClient(login.url, login.api_key, account=account_id) as api:
        here = Session(api, login, account)
        names = locations.ours().names
        try:
            yield here
            if login.api_key:
                known = heard.known_of(names, here.profile, account_id)
                refresh(api, known, account_id, clock.now_ms())
        finally:
            if api.heard:
                heard.keep(names, here.profile, account_id, api.heard)


def report_of(document: Mapping[str, Any]) -> UsageReport:
    """Read `telemhq.usage/1`. Raises UnreachableError when it is something else."""
    try:
        groups = tuple(document["group_by"])
        rows = tuple(
            UsageRow(tuple(row[group] for group in groups), _amounts(row))
            for row in document["rows"]
        )
        return UsageReport(groups, rows, _amounts(document["total"]))
    except (KeyError, TypeError) as error:
        raise UnreachableError(
            f"The server's usage report cannot be understood: {error!r}.",
            "Is it a TelemHQ server, and no older than this program?",
        ) from error


def _amounts(figures: Mapping[str, Any]) -> Amounts:
    names = [name for name in AMOUNT_FIELDS if name not in {"cost_nano", "duration_ms"}]
    known = {name: int(figures[name]) for name in names}
    return Amounts(**known, cost_nano=nano(figures["cost_usd"]))


def chosen_account(accounts: Sequence[resources.Account], wanted: str) -> resources.Account:
    """Return the account of this id or name. Raises UsageError where there is none, or several."""
    named = [one for one in accounts if one.id == wanted] or [
        one for one in accounts if one.name == wanted
    ]
    if len(named) == 1:
        return named[0]
    known = ", ".join(f"{one.name} ({one.id})" for one in accounts)
    if named:
        raise UsageError(
            f"{wanted!r}: more than one account is called that.", f"You are in: {known}"
        )
    names = [one.name for one in accounts]
    raise UsageError(
        missed(f"{wanted!r}: no account is called that", wanted, names), f"You are in: {known}"
    )


def chosen_tracker(trackers: Sequence[resources.Tracker], wanted: str) -> resources.Tracker:
    """Return the tracker of this id or name. Raises UsageError where there is none, or several."""
    named = [one for one in trackers if one.id == wanted] or [
        one for one in trackers if one.name == wanted
    ]
    if not named:
        names = [one.name for one in trackers]
        raise UsageError(
            missed(f"There is no tracker {wanted!r} here", wanted, names), "telemhq tracker list"
        )
    if len(named) > 1:
        ids = ", ".join(one.id for one in named)
        raise UsageError(f"{len(named)} trackers are called {wanted!r}.", f"Name one by id: {ids}")
    return named[0]
