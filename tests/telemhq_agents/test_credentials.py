from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend

from telemhq_agents import credentials as held
from telemhq_agents.credentials import Credentials, Destination, Login, Profile
from telemhq_agents.destined import Destined
from telemhq_agents.errors import NotLoggedInError, SettingsError
from telemhq_agents.settings import Settings, Value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME = Profile("default", "https://home.test", "7", "tq_home")
QUARTER = 900_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "credentials.json"


def chosen(url: Value[str] | None = None, profile: str = "default") -> Settings:
    default = Value("https://telemhq.com", "default")
    return Settings(
        url or default, Value(profile, "default"), Value("", "default"), Value(0, "default")
    )


def test_a_file_that_is_not_there_holds_nothing(path: Path) -> None:
    assert held.load(path) == Credentials()


def test_what_was_kept_comes_back_and_only_its_owner_may_read_it(path: Path) -> None:
    destination = Destination(
        "d1", "https://home.test/ping/t", "codex", "default", "Codex on laptop", 99
    )
    after = held.change(
        path,
        lambda now: (
            now.with_profile(HOME)
            .with_destination(destination)
            .with_tracker("nightly", "https://x/ping/y")
        ),
    )

    assert held.load(path) == after
    assert after.ping_url("d1") == "https://home.test/ping/t"
    assert after.ping_url("https://x/ping/z") == "https://x/ping/z"
    assert after.ping_url("d2") == ""
    assert after.tracker("nightly") == "https://x/ping/y"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not held.exposed(path)
    path.chmod(0o640)
    assert held.exposed(path)


def test_a_change_mends_the_mode_and_leaves_no_other_file_that_others_read(path: Path) -> None:
    held.change(path, lambda now: now.with_profile(HOME))
    path.chmod(0o666)

    held.change(path, lambda now: now.with_tracker("a", "b"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.parent.iterdir())


def test_changes_of_several_processes_all_hold(path: Path) -> None:
    def add(number: int) -> None:
        held.change(path, lambda now: now.with_tracker(f"t{number}", "x"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))

    assert len(held.load(path).trackers) == 40


def test_the_device_is_made_once(path: Path) -> None:
    first = held.device(path)

    assert held.device(path) == first
    assert len(first.salt) == 32
    assert len(first.id) == 36


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": "new"}',
        '{"version": 1, "profiles": {"a": {"colour": 1}}}',
        "\x00",
    ],
)
def test_a_broken_file_is_named_with_the_way_out(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(SettingsError) as caught:
        held.load(path)

    assert str(path) in caught.value.message
    assert "log in again" in caught.value.next_step


def test_a_newer_file_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "profiles": {}}))

    with pytest.raises(SettingsError, match="newer"):
        held.change(path, lambda now: now.with_profile(HOME))

    assert json.loads(path.read_text())["version"] == 2


# Logging in


def test_the_profiles_key_goes_to_the_profiles_server() -> None:
    found = held.login(chosen(), Credentials().with_profile(HOME), {})

    assert found == Login("https://home.test", "tq_home", "7", "default")


def test_the_environments_key_wins() -> None:
    found = held.login(chosen(), Credentials().with_profile(HOME), {"TELEMHQ_API_KEY": "tq_env"})

    assert found == Login("https://home.test", "tq_env", "7", "default")


def test_the_environment_alone_is_a_login() -> None:
    url = Value("https://ci.test", "TELEMHQ_URL")

    found = held.login(chosen(url), Credentials().with_profile(HOME), {"TELEMHQ_API_KEY": "tq_env"})

    assert found == Login("https://ci.test", "tq_env", "", "default")


def test_a_stored_key_never_goes_to_another_server() -> None:
    url = Value("https://elsewhere.test", "TELEMHQ_URL")

    with pytest.raises(NotLoggedInError, match="home"):
        held.login(chosen(url), Credentials().with_profile(HOME), {})


def test_without_a_login_the_message_says_how_to_get_one() -> None:
    with pytest.raises(NotLoggedInError) as caught:
        held.login(chosen(profile="work"), Credentials().with_profile(HOME), {})

    assert "work" in caught.value.message
    assert caught.value.next_step.startswith("telemhq login")


class Ring(KeyringBackend):
    priority = 1.0

    def __init__(self, *, forgetful: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.forgetful = forgetful
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        if not self.forgetful:
            self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("it is not there")


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def test_a_key_in_the_keyring_is_not_in_the_file(path: Path, ring: Ring) -> None:
    kept = held.keep_api_key(path, Profile("default", "https://home.test"), "tq_ring", keyring=True)

    assert "tq_ring" not in path.read_text()
    assert held.login(chosen(), kept, {}).api_key == "tq_ring"

    held.forget_profile(path, "default")
    held.forget_profile(path, "default")
    assert ring.kept == {}
    assert held.load(path).profiles == {}


def test_a_keyring_that_forgets_is_found_out_at_once(path: Path, ring: Ring) -> None:
    ring.forgetful = True

    with pytest.raises(SettingsError, match="did not give back"):
        held.keep_api_key(path, Profile("default", "https://home.test"), "tq_ring", keyring=True)

    assert not path.exists()


def test_a_key_that_vanished_from_the_keyring_is_said(path: Path, ring: Ring) -> None:
    kept = held.keep_api_key(path, Profile("default", "https://home.test"), "tq_ring", keyring=True)
    ring.kept.clear()

    with pytest.raises(NotLoggedInError, match="gone from the keyring"):
        held.login(chosen(), kept, {})


def test_without_being_asked_the_key_is_in_the_file(path: Path, ring: Ring) -> None:
    held.keep_api_key(path, Profile("default", "https://home.test"), "tq_file", keyring=False)

    assert ring.kept == {}
    assert held.load(path).profiles["default"].api_key == "tq_file"


# Coalescing


def test_a_changed_window_holds_from_the_next_quarter_hour(path: Path) -> None:
    assert held.coalescing(path, "codex", 0, 5 * QUARTER, None) == ()
    assert held.coalescing(path, "codex", 5, 5 * QUARTER + 1, None) == ((0, 300_000),)
    assert held.coalescing(path, "codex", 5, 9 * QUARTER, None) == ((0, 300_000),)
    assert held.coalescing(path, "codex", 0, 9 * QUARTER + 1, None) == (
        (0, 300_000),
        (10 * QUARTER, 0),
    )
    assert held.coalescing(path, "claude", 0, 9 * QUARTER, None) == ()


def test_where_something_was_told_the_first_window_too_holds_from_the_next_quarter_hour(
    path: Path,
) -> None:
    assert held.coalescing(path, "codex", 5, 9 * QUARTER + 1, 4 * QUARTER) == (
        (10 * QUARTER, 300_000),
    )


def test_a_clock_that_was_set_back_changes_no_window_of_what_was_told(path: Path) -> None:
    held.coalescing(path, "codex", 5, 9 * QUARTER, 4 * QUARTER)

    assert held.coalescing(path, "codex", 1, 3 * QUARTER, 20 * QUARTER) == (
        (10 * QUARTER, 300_000),
        (21 * QUARTER, 60_000),
    )
    assert held.coalescing(path, "codex", 0, 3 * QUARTER, 4 * QUARTER) == (
        (10 * QUARTER, 300_000),
        (21 * QUARTER, 0),
    )


def test_where_a_source_was_sent_comes_back(path: Path) -> None:
    after = held.change(
        path,
        lambda now: now.with_source_sent("codex", "home", 500).with_source_sent("codex", "", 900),
    )

    assert held.load(path) == after
    assert after.sends_to["codex"] == (Destined("home", 500), Destined("", 900))
    assert (after.destination_of("codex"), after.destination_of("claude")) == ("", "")


def test_reading_the_file_loads_nothing_heavy() -> None:
    heavy = (
        "{'httpx', 'hashlib', 'keyring', 'uuid', 'tomllib', 'msgspec', 'sqlite3', 'ssl', 'asyncio'}"
    )
    code = f"import sys; sys.path[:] = {sys.path!r}; import telemhq_agents.credentials; print(sorted({heavy} & set(sys.modules)))"

    shown = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"
