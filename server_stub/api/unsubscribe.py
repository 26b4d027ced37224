"""The link in every alert's and summary's mail: one click, and no more of them come.

Mail programs POST to it themselves (RFC 8058); a person who opens it sees a page with a button, so
that a scanner that follows links unsubscribes nobody.
"""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from html import escape
from string import Template
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from server_stub.api.caller import CurrentStore
from server_stub.api.documented import refusing
from server_stub.domain.channel import SUMMARY_KIND, read_unsubscribe_token
from server_stub.domain.problem import ProblemError
from server_stub.store import channels, trackers
from server_stub.store.channels import StoredChannel
from server_stub.store.engine import Store
from telemhq_agents.clock import now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.problem import Problem

router = APIRouter(tags=["alerts"])

_PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex"><title>$title</title></head>
<body>
<h1>$title</h1>
<p>$sentence</p>
<form method="post"$action><button>$button</button></form>
</body>
</html>
""")
_HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


@router.get(routes.UNSUBSCRIBE, response_class=HTMLResponse, responses=refusing(404))
def unsubscribe_page(unsubscribe_token: str, store: CurrentStore) -> HTMLResponse:
    """Show a person what a link would stop; changes nothing."""
    return _page(store, _found(store, unsubscribe_token))


@router.post(routes.UNSUBSCRIBE, response_class=HTMLResponse, responses=refusing(404))
def unsubscribe(
    unsubscribe_token: str,
    store: CurrentStore,
    subscribe: Annotated[bool, Query(description="Take an unsubscription back.")] = False,
) -> HTMLResponse:
    """Send no more mail of this kind about this tracker to this address."""
    channel = _found(store, unsubscribe_token)
    if subscribe:
        store.write(lambda connection: channels.subscribe(connection, channel))
    elif channel.unsubscribed_ms is None:
        store.write(lambda connection: channels.unsubscribe(connection, channel, now_ms()))
    return _page(store, _found(store, unsubscribe_token))


def _found(store: Store, token: str) -> StoredChannel:
    asked = read_unsubscribe_token(token)
    with store.read() as connection:
        found = None if asked is None else channels.find_subscription(connection, asked)
    if found is None:
        raise ProblemError(
            Problem(
                type="link-unknown",
                title="There is no such link",
                status=404,
                next="see that the link is whole, as it stands in the mail",
            )
        )
    return found


def _page(store: Store, channel: StoredChannel) -> HTMLResponse:
    with store.read() as connection:
        names = trackers.names(connection, channel.account_id)
    what = "summaries" if channel.kind == SUMMARY_KIND else "alerts"
    about = f"{what} about {names.get(channel.tracker_id, 'a tracker')}"
    stopped = channel.unsubscribed_ms is not None
    words = {
        "title": "Unsubscribed" if stopped else "Unsubscribe",
        "sentence": f"{channel.target} gets {'no more' if stopped else 'the'} {about} by e-mail.",
        "button": f"{'Send' if stopped else 'Send no more'} {what}",
    }
    action = ' action="?subscribe=true"' if stopped else ' action="?"'
    page = _PAGE.substitute(
        {name: escape(word) for name, word in words.items()} | {"action": action}
    )
    return HTMLResponse(page, headers=_HEADERS)
