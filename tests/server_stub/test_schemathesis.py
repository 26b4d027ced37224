"""schemathesis over the whole OpenAPI document: nothing that it can think of is a finding."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx

from server_stub.settings import Settings
from server_stub.setup import initialise
from telemhq_agents.contract import routes
from tests.server_stub.cast import Person, invited, unsubscribe_link

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.server_stub.conftest import LiveServer

EXAMPLES = 4
"""Random cases of each operation, beside those at the borders of its schema."""

SECONDS = 240
ALLOWED = """
# A schema cannot say which names, cron expressions, time zones and addresses there are (422), nor
# which revision is the present one (412), nor what a plan allows (402).
[checks]
positive_data_acceptance.expected-statuses = [
  "2xx", "401", "402", "403", "404", "409", "410", "412", "422",
]
# What is refused may be so for its place before anybody looks at its body.
negative_data_rejection.expected-statuses = [
  "400", "401", "402", "403", "404", "406", "409", "410", "412", "413", "415", "422",
]
"""
OPERATIONS = """
[[operations]]
include-path = "{path}"
{narrowed}
parameters = {parameters}
"""
METRICS = """
[[operations]]
include-path = "{path}"
headers = {{ Authorization = "Bearer {key}" }}
"""


def known_things(owner: Person, team: str, settings: Settings) -> dict[str, str]:
    """Make one of everything that a path may name, and return what names it."""
    tracker = owner.new_tracker("nightly", account=team)
    place = {"tracker_id": tracker["id"]}
    assertion = {"path": "x", "operator": "equals", "value": 1, "id": "known"}
    rules = {"assertions": [assertion], "schedule": {"cron": "0 3 * * *"}}
    owner.did("PUT", routes.TRACKER_RULES.format(**place), rules)
    for number in range(3):
        owner.http.post(httpx.URL(tracker["ping_url"]).path, json={"x": number, "cost_usd": 0.5})
    channels = [
        owner.did(
            "POST", routes.TRACKER_CHANNELS.format(**place), {"kind": kind, "target": target}
        )["channel"]["id"]
        for kind, target in (("email", "ops@example.com"), ("webhook", "http://192.0.2.1/"))
    ]
    mailbox = {**place, "channel_id": channels[0]}
    page = owner.did(
        "POST",
        routes.STATUS_PAGES + f"?account={team}",
        {"title": "Jobs", "trackers": [{"tracker": tracker["id"], "label": "Nightly"}]},
    )
    badge = owner.did("PUT", routes.TRACKER_BADGE.format(**place))
    metrics = owner.did("POST", routes.METRICS_KEYS + f"?account={team}", {"name": "scraper"})
    return place | {
        "spare": owner.new_tracker("spare", account=team)["id"],
        "account_id": team,
        "team_id": team,
        "tracking_token": tracker["ping_url"].rsplit("/", 1)[1],
        "assertion_id": "known",
        "channel_id": channels[1],
        "delivery_id": owner.did("POST", routes.CHANNEL_TEST.format(**mailbox))["id"],
        "unsubscribe_token": unsubscribe_link(settings, channels[0]),
        "page_id": page["id"],
        "public_token": page["url"].rsplit("/", 1)[1],
        "badge_token": badge["url"].rsplit("/", 1)[1].removesuffix(".svg"),
        "metrics_key": metrics["metrics_key"],
        "invitation_token": invited(owner, team, "new@example.com"),
        "key_id": owner.did("POST", routes.API_KEYS, {"name": "spare"})["id"],
    }


def configuration(document: dict[str, dict[str, object]], known: dict[str, str]) -> str:
    """Let operations meet what is there; what deletes meets anything, or a spare one."""
    badge = known | {"public_token": known["badge_token"]}
    written = [
        ALLOWED,
        METRICS.format(path=routes.METRICS, key=known["metrics_key"]),
        operation(routes.TRACKER, 'include-method = "DELETE"', {"tracker_id": known["spare"]}),
        # Our own key has to stay.
        operation(routes.API_KEY, "", known),
    ]
    for path in sorted(set(document["paths"]) - {routes.API_KEY}):
        here = badge if path == routes.PUBLIC_BADGE else known
        written.append(operation(path, 'exclude-method = "DELETE"', here, document["paths"][path]))
    return "\n".join(written)


def operation(path: str, narrowed: str, known: dict[str, str], described: object = "") -> str:
    """Name what parameters are to be: those of the path, and the account that all of it is in."""
    named = re.findall(r"\{(\w+)\}", path)
    given = [(f"path.{name}", known[name]) for name in named if name in known]
    if "'name': 'account'" in str(described):
        given.append(("query.account", known["account_id"]))
    if path == routes.TRACKER_FILE:
        # A file without trackers would delete all that others are to meet.
        given.append(("query.prune", "false"))
    if not given:
        return ""
    pairs = ", ".join(f'"{name}" = "{value}"' for name, value in given)
    return OPERATIONS.format(path=path, narrowed=narrowed, parameters=f"{{ {pairs} }}")


def test_nothing_that_schemathesis_thinks_of_is_a_finding(
    sqlite_template: Path,
    tmp_path: Path,
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    no_certificates: ssl.SSLContext,
) -> None:
    database = tmp_path / "telemhq.sqlite3"
    shutil.copyfile(sqlite_template, database)
    settings = Settings(database_url=f"sqlite:///{database}", port=0)
    start = initialise(settings, "ada@example.com", "Ada", "Engines")
    with (
        run_server(settings) as live,
        httpx.Client(
            base_url=live.url, verify=no_certificates, trust_env=False, timeout=60
        ) as http,
    ):
        owner = Person("ada@example.com", start.api_key, http)
        document = owner.got(routes.OPENAPI)
        known = known_things(owner, start.account_id, settings)
        config = tmp_path / "schemathesis.toml"
        config.write_text(configuration(document, known), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
                *(live.url + routes.OPENAPI, "-H", f"Authorization: Bearer {start.api_key}"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
                *("--generation-deterministic", "--no-shrink", "--no-color", "--warnings", "off"),
                *("--report", "json", "--report-json-path", "report.json"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        still_known = owner.ask("GET", routes.ME).status_code
        health = http.get(routes.HEALTH).status_code

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    operations = sum(
        method != "parameters" for methods in document["paths"].values() for method in methods
    )
    assert f"Tested: {operations}" in done.stdout
    assert (still_known, health) == (200, 200)
