"""The one door to httpx: commands ask the API, the outbox sends its pings.

A problem body becomes RefusedError, silence UnreachableError; nobody outside sees httpx.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import msgspec

from telemhq_agents.contract import resources, routes
from telemhq_agents.contract.ping import (
    IDEMPOTENCY_HEADER,
    REPLAYED_HEADER,
    Capabilities,
    Instructions,
)
from telemhq_agents.contract.problem import Problem
from telemhq_agents.delivery import quick
from telemhq_agents.delivery.httpx_alone import httpx
from telemhq_agents.delivery.outcome import NoReply, Reply, words_of
from telemhq_agents.errors import NoSuchRouteError, RefusedError, UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

T = TypeVar("T")

API_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 10.0
USER_AGENT = "telemhq"
LONGEST_PING_ANSWER = 256 * 1024
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class ApiClient:
    """The server's JSON API, asked with one key, in one account.

    Every method raises RefusedError (with the server's problem) and UnreachableError; making one
    raises UsageError for a key that no header can hold.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        account: str = "",
        timeout_s: float = API_TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise UsageError(
                "This is no API key: it holds characters that none has.",
                "Correct TELEMHQ_API_KEY, or: telemhq login",
            )
        self._url = url.rstrip("/")
        self._account = account
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(headers=headers, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # People

    def me(self) -> resources.Me:
        """Return who the key belongs to."""
        return self.ask("GET", routes.ME, resources.Me)

    def change_me(
        self, *, name: str | None = None, default_account: str | None = None
    ) -> resources.Me:
        """Change one's name, or the account that is used by default."""
        change = _given(name=name, default_account=default_account)
        return self.ask("PATCH", routes.ME, resources.Me, change)

    def change_account(
        self, account_id: str, *, name: str | None = None, timezone: str | None = None
    ) -> resources.Account:
        """Change an account's name or time zone."""
        path = path_of(routes.ACCOUNT, account_id=account_id)
        return self.ask("PATCH", path, resources.Account, _given(name=name, timezone=timezone))

    def naming_key(self, account_id: str) -> str:
        """Return the key under which an account's members hash project names."""
        path = path_of(routes.NAMING_KEY, account_id=account_id)
        return self.ask("GET", path, resources.NamingKey).naming_key

    def api_keys(self) -> list[resources.ApiKey]:
        """List one's API keys."""
        return self.ask("GET", routes.API_KEYS, list[resources.ApiKey])

    def create_api_key(self, name: str) -> resources.NewApiKey:
        """Make an API key; only this answer holds it."""
        return self.ask("POST", routes.API_KEYS, resources.NewApiKey, {"name": name})

    def revoke_api_key(self, key_id: str) -> None:
        """Revoke an API key."""
        self._request("DELETE", path_of(routes.API_KEY, key_id=key_id))

    # Trackers

    def trackers(self) -> list[resources.Tracker]:
        """List the account's trackers."""
        return self.ask("GET", routes.TRACKERS, list[resources.Tracker], account=True)

    def create_tracker(self, name: str) -> resources.Tracker:
        """Make a tracker."""
        return self.ask("POST", routes.TRACKERS, resources.Tracker, {"name": name}, account=True)

    def tracker(self, tracker_id: str) -> resources.Tracker:
        """Return one tracker."""
        return self.ask("GET", path_of(routes.TRACKER, tracker_id=tracker_id), resources.Tracker)

    def change_tracker(
        self, tracker_id: str, *, name: str | None = None, state: str | None = None
    ) -> resources.Tracker:
        """Rename a tracker, pause it (`paused`) or end its pause (`active`)."""
        path = path_of(routes.TRACKER, tracker_id=tracker_id)
        return self.ask("PATCH", path, resources.Tracker, _given(name=name, state=state))

    def delete_tracker(self, tracker_id: str) -> None:
        """Delete a tracker."""
        self._request("DELETE", path_of(routes.TRACKER, tracker_id=tracker_id))

    def rotate_tracker(self, tracker_id: str) -> resources.Tracker:
        """Give a tracker a new ping URL; the old one ends."""
        path = path_of(routes.TRACKER_ROTATE, tracker_id=tracker_id)
        return self.ask("POST", path, resources.Tracker)

    def runs(
        self, tracker_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> resources.RunPage:
        """Return a page of a tracker's runs, newest first."""
        path = path_of(routes.TRACKER_RUNS, tracker_id=tracker_id)
        query = _given(limit=None if limit is None else str(limit), cursor=cursor)
        return self.ask("GET", path, resources.RunPage, query=query)

    def device_tracker(self, device_id: str, source: str, name: str) -> resources.Tracker:
        """Get or make the tracker of a device's source; `name` is for a new one."""
        path = path_of(routes.DEVICE_TRACKER, device_id=device_id, source=source)
        return self.ask("PUT", path, resources.Tracker, {"name": name}, account=True)

    # Teams

    def teams(self) -> list[resources.Account]:
        """List the teams one is in."""
        return self.ask("GET", routes.TEAMS, list[resources.Account])

    def create_team(self, name: str) -> resources.Account:
        """Found a team."""
        return self.ask("POST", routes.TEAMS, resources.Account, {"name": name})

    def members(self, team_id: str) -> list[resources.Member]:
        """List a team's members."""
        return self.ask(
            "GET", path_of(routes.TEAM_MEMBERS, team_id=team_id), list[resources.Member]
        )

    def invite(self, team_id: str, email: str, role: str = "member") -> resources.Invitation:
        """Invite somebody; only this answer holds the link."""
        path = path_of(routes.TEAM_INVITATIONS, team_id=team_id)
        return self.ask("POST", path, resources.Invitation, {"email": email, "role": role})

    def invitations(self, team_id: str) -> list[resources.Invitation]:
        """List a team's open invitations."""
        path = path_of(routes.TEAM_INVITATIONS, team_id=team_id)
        return self.ask("GET", path, list[resources.Invitation])

    def invitation(self, token: str) -> resources.Invitation:
        """Return an invitation by the token in its link."""
        return self.ask(
            "GET", path_of(routes.INVITATION, invitation_token=token), resources.Invitation
        )

    def accept(self, token: str, *, name: str | None = None) -> resources.Joined:
        """Join a team by the token in the invitation's link."""
        path = path_of(routes.INVITATION_ACCEPT, invitation_token=token)
        return self.ask("POST", path, resources.Joined, _given(name=name))

    # Reports

    def usage(self, query: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
        """Return the usage report as `telemhq.usage/1`."""
        return self.ask("GET", routes.USAGE, dict[str, Any], query=query, account=True)

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: object = None,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        account: bool = False,
        headers: Mapping[str, str] | None = None,
        needs: str = "",
    ) -> T:
        """Ask and decode the answer; nouns with a room of their own (judging.py) do it by this.

        `account` acts in the client's account, if it has one. A server without this route does not
        know what it `needs`: NoSuchRouteError.
        """
        chosen = {"account": self._account} if account and self._account else {}
        sent, asked = msgspec.to_builtins(body), {**chosen, **(query or {})}
        response = self._request(method, path, sent, asked, headers=headers, needs=needs)
        return _decoded(self._url, response, kind)

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        needs: str = "",
    ) -> httpx.Response:
        address = self._url + path
        with _reaching(self._url):
            response = self._http.request(method, address, json=body, params=query, headers=headers)
        if response.is_success:
            return response
        if needs and _knows_no_route(response):
            raise NoSuchRouteError(
                f"{self._url} does not know {needs}.",
                "It takes a TelemHQ server that is no older than this program.",
            )
        raise _refused(self._url, response)


class PingSender:
    """Sends pings and asks ping doors what they can do. Usable from several threads.

    Nothing takes longer than `timeout_s` altogether: not a resolver that hangs, not a server that
    answers byte by byte.
    """

    def __init__(
        self, *, timeout_s: float = PING_TIMEOUT_S, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            headers={"User-Agent": USER_AGENT}, timeout=timeout_s, transport=transport
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ping(self, url: str, key: str, body: bytes, *, fresh: bool = False) -> Reply | NoReply:
        """POST a ping and return the answer, or why there is none.

        `fresh` takes no connection that was used before: on such a one nobody can tell a request
        that was never read from one whose answer was lost.
        """
        headers = {IDEMPOTENCY_HEADER: key}
        if body:
            headers["Content-Type"] = "application/json"
        if fresh:
            headers["Connection"] = "close"
        return self._ask("POST", url, headers, body)

    def capabilities(self, url: str) -> Capabilities | Reply | NoReply:
        """Ask a ping door what it can do; the answer itself where it is no such description.

        A door that answers JSON but names no capabilities is a foreign server's and has none.
        """
        match self._ask("GET", url, {"Accept": "application/json"}):
            case NoReply(reason):
                return NoReply(reason, sent=False)
            case Reply(status) as reply:
                return _capabilities(reply) if 200 <= status < 300 else reply  # noqa: PLR2004 - HTTP's own class

    def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes = b""
    ) -> Reply | NoReply:
        begun: list[str] = []

        def follow(event: str, _: object) -> None:
            if event.endswith("send_request_headers.started"):
                begun.append(event)

        def ask() -> Reply | NoReply:
            try:
                response = self._http.request(
                    method, url, content=body, headers=headers, extensions={"trace": follow}
                )
            except _BEFORE_SENDING as error:
                return NoReply(_reason(error), sent=False)
            except httpx.InvalidURL as error:
                return Reply(404, {}, f"the ping URL cannot be used: {error}".encode())
            except httpx.HTTPError as error:
                return NoReply(_reason(error), sent=True)
            answer = response.content[:LONGEST_PING_ANSWER]
            return Reply(response.status_code, _lower(response), answer)

        try:
            return _within(self._timeout_s, ask)
        except TimeoutError:
            return NoReply(f"no answer within {self._timeout_s:g} s", sent=bool(begun))


def send_now(url: str, key: str, body: bytes, *, timeout_s: float) -> quick.Answer:
    """Do what `quick.send` does, also where a proxy or a name stands between."""
    try:
        sender = PingSender(timeout_s=timeout_s)
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        reason = f"the proxy cannot be used: {_reason(error)}"
        return quick.Answer(quick.Outcome.LATER, 0, reason, sent=False)
    with sender:
        said = sender.ping(url, key, body)
    if isinstance(said, NoReply):
        return quick.Answer(quick.Outcome.LATER, 0, said.reason, sent=said.sent)
    replayed = said.headers.get(REPLAYED_HEADER.lower(), "").lower() == "true"
    return quick.answer_of(said.status, said.body, replayed=replayed)


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` does, or raise TimeoutError when its time is up.

    httpx bounds each wait, but neither their sum nor the resolver. Work that overstays is left to
    a thread that nobody waits for, which ends with its connection.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            done.set_exception(error)

    try:
        Thread(target=run, daemon=True).start()
    except RuntimeError:  # no thread to be had: then it takes what it takes
        return work()
    return done.result(seconds)


def _capabilities(reply: Reply) -> Capabilities | NoReply:
    try:
        return msgspec.json.decode(reply.body, type=Instructions).capabilities
    except msgspec.ValidationError:
        return Capabilities()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NoReply(f"the answer is no ping door's: {words_of(reply)}", sent=False)


def _lower(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def path_of(template: str, **parts: str) -> str:
    """Return a path of the server, with its parameters filled in; dots are no steps of it."""
    dots = {".": "%2E", "..": "%2E%2E"}
    return template.format(
        **{name: dots.get(it) or quote(it, safe="") for name, it in parts.items()}
    )


def _given(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(
            f"{url} cannot be reached: {_reason(error)}.",
            "Check the address and the network, then try again.",
        ) from error
    except UnicodeEncodeError as error:
        raise UsageError("Half a character cannot be sent: give text in UTF-8.") from error


def _refused(url: str, response: httpx.Response) -> RefusedError | UnreachableError:
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return UnreachableError(
            f"{url} answered {response.status_code} in words that are not TelemHQ's.",
            "Is this the address of a TelemHQ server? telemhq whoami shows which one is used.",
        )
    message = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
    return RefusedError(message, problem.next, status=response.status_code, problem=problem)


def _knows_no_route(response: httpx.Response) -> bool:
    """Tell whether this path, or this method of it, is none of the server's."""
    try:
        kind = msgspec.json.decode(response.content, type=Problem).type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kind = "not-found"
    return response.status_code in {404, 405} and kind in {"not-found", "method-not-allowed"}


def _decoded(url: str, response: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content or b"null", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreachableError(
            f"{url} answered something that cannot be understood: {error}.",
            "Is it a TelemHQ server, and no older than this program?",
        ) from error
