from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemhq_agents.privacy import (
    Patterns,
    ProjectNamer,
    cwd_hash,
    hashed_project,
    is_private,
    log_project,
    project,
    repository_name,
)
from telemhq_agents.usage import Place

if TYPE_CHECKING:
    from pathlib import Path


def covered(cwd: str, patterns: list[str]) -> bool:
    return Patterns(patterns).cover(cwd)


ORIGIN = '[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n\tfetch = +refs/heads/*\n[branch "main"]\n'


def checkout(top: Path, url: str = "git@github.com:acme/shop.git") -> Path:
    (top / ".git").mkdir(parents=True)
    (top / ".git" / "config").write_text(ORIGIN.format(url=url))
    return top


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/acme/shop.git", "shop"),
        ("https://github.com/acme/shop", "shop"),
        ("https://ada:ghp_secret@github.com/acme/shop.git/", "shop"),
        ("https://github.com/acme/shop.git?token=secret#secret", "shop"),
        ("git@github.com:acme/shop.git", "shop"),
        ("git@host:shop.git", "shop"),
        ("ssh://git@host:2222/~ada/shop.git", "shop"),
        ("file:///srv/git/shop.git", "shop"),
        ("/srv/git/shop.git", "shop"),
        ("../shop", "shop"),
        ("C:\\git\\shop.git", "shop"),
        ("C:/git/shop", "shop"),
        ("https://dev.azure.com/acme/x/_git/shop", "shop"),
        ("https://ada:secret@github.com", ""),
        ("https://github.com/", ""),
        ("https://github.com", ""),
        ("https:SECRETTOK11@github.com", ""),
        ("https:SECRET", ""),
        ("git+ssh:SECRET", ""),
        ("https:/ada:SECRET@host", ""),
        ("user:SECRETPW12@host.example", ""),
        ("user:SECRETPW12@host.example:22", ""),
        ("user:SECRETPW12@host.example/shop.git", "shop"),
        ("user:SECRET@host:shop.git", ""),
        ("//host:SECRET", ""),
        ("https://ada:SEC/RET@host", ""),
        ("https://ada:SEC/RET@host/acme/shop", "shop"),
        ("https://ada:SEC/RET#x@host/acme/shop", ""),
        ("https://ada:SEC?RET@host/acme/shop", ""),
        ("https://host/ada%40SECRET", ""),
        ("https://host/shop.git;SECRET", ""),
        ("https://host/shop.git ; SECRETCOMMENT", ""),
        ("https://host/acme/sh\top", ""),
        ("https://host/acme/sh\x00op", ""),
        ("https://host/acme/..", ""),
        ("ext::ssh -i SECRETKEY7 host", ""),
        ("ext::https://host/acme/shop", ""),
        ("git@[::1]:shop.git", ""),
        ("https://dev.azure.com/acme/_git/My%20Shop", "My%20Shop"),
        ("", ""),
    ],
)
def test_a_remotes_name_is_its_last_part_and_never_a_secret(url: str, name: str) -> None:
    assert repository_name(url) == name


def test_a_project_is_named_after_its_remote_from_anywhere_inside(tmp_path: Path) -> None:
    top = checkout(tmp_path / "my-clone")
    inside = top / "src" / "deep"
    inside.mkdir(parents=True)

    assert project(str(top)) == project(str(inside)) == "shop"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("https://github.com/acme/shop.git ; SECRETCOMMENT", "shop"),
        ("https://github.com/acme/shop.git # SECRETCOMMENT", "shop"),
        ("https://github.com/acme/shop.git;SECRETCOMMENT", "shop"),
        ('"https://github.com/acme/shop.git" ; "SECRETCOMMENT"', "shop"),
        ('https://github.com/"acme;x"/shop.git#/SECRET', "shop"),
        ('"https://github.com/acme/sh\\"op"', 'sh"op'),
        ("C:\\\\git\\\\shop.git", "shop"),
        ("https://ada:x/SECRET\\\n@host/acme/shop.git", "shop"),
        ("https:SECRETTOK11@github.com", "my-clone"),
        ("ext::ssh -i SECRETKEY7 host", "my-clone"),
        ("; SECRET", "my-clone"),
    ],
)
def test_a_remote_is_read_as_git_reads_it(tmp_path: Path, value: str, name: str) -> None:
    assert project(str(checkout(tmp_path / "my-clone", value))) == name


WORD = st.text("abcXYZ019-._~%:@;#?&= \t/\\\\", max_size=6)


@settings(max_examples=400, deadline=None)
@given(
    scheme=st.sampled_from(["https://", "https:", "ssh://", "git@", "", "//", "ext::", "file://"]),
    before=WORD,
    after=st.sampled_from(["", ":x", "?", "#"]).flatmap(lambda mark: WORD.map(mark.__add__)),
    host=st.sampled_from(["@host", "@host:22", "@[::1]"]),
    path=st.sampled_from(["", "/", "/shop", "/acme/shop.git", ":shop", ":acme/shop"]),
)
def test_a_secret_before_the_host_never_becomes_a_name(
    scheme: str, before: str, after: str, host: str, path: str
) -> None:
    url = f"{scheme}{before}SECRET{after}{host}{path}"

    assert "SECRET" not in repr(ProjectNamer().place("/home/dev/gone", repository_name(url)))


def test_origin_is_preferred_to_other_remotes(tmp_path: Path) -> None:
    top = checkout(tmp_path / "x")
    text = (
        '[remote "upstream"]\nurl = https://h/a/upstream\n' + (top / ".git" / "config").read_text()
    )
    (top / ".git" / "config").write_text(text)
    assert project(str(top)) == "shop"

    (top / ".git" / "config").write_text('[remote "upstream"]\n  URL="https://h/a/upstream"\n')
    assert project(str(top)) == "upstream"


def test_a_checkout_without_a_remote_is_named_after_its_top(tmp_path: Path) -> None:
    (tmp_path / "notes" / ".git").mkdir(parents=True)
    (tmp_path / "notes" / "sub").mkdir()

    assert project(str(tmp_path / "notes" / "sub")) == "notes"


def test_a_worktree_is_the_project_of_its_main_checkout(tmp_path: Path) -> None:
    top = checkout(tmp_path / "main")
    own = top / ".git" / "worktrees" / "feature"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "feature"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {own}\n")

    assert project(str(tree)) == "shop"

    (top / ".git" / "config").write_text("[core]\n")
    assert project(str(tree)) == "main"


def test_a_submodule_is_a_project_of_its_own(tmp_path: Path) -> None:
    top = checkout(tmp_path / "main")
    module = top / ".git" / "modules" / "lib"
    module.mkdir(parents=True)
    (module / "config").write_text(ORIGIN.format(url="https://h/acme/lib.git"))
    (top / "lib").mkdir()
    (top / "lib" / ".git").write_text("gitdir: ../.git/modules/lib\n")

    assert project(str(top / "lib")) == "lib"


@pytest.mark.parametrize(
    ("cwd", "name"),
    [
        ("/home/dev/gone", "gone"),
        ("C:\\work\\shop", "shop"),
        ("/", ""),
        ("", ""),
        ("relative/dir", "dir"),
    ],
)
def test_a_directory_that_is_not_here_has_its_own_name(cwd: str, name: str) -> None:
    assert project(cwd) == name


def test_the_logs_own_remote_comes_before_the_checkout(tmp_path: Path) -> None:
    top = checkout(tmp_path / "x")

    place = ProjectNamer().place(str(top), "blog")

    assert (place.cwd, place.project, place.log_project) == (str(top), "blog", "blog")


def test_the_name_for_keys_follows_from_the_log_alone(tmp_path: Path) -> None:
    top = checkout(tmp_path / "my-clone")

    assert ProjectNamer().place(str(top)).log_project == "my-clone"
    assert log_project("/a/b") == "b"
    assert log_project("C:\\a\\b\\") == "b"
    assert log_project("/a/b", "c") == "c"


def test_a_name_is_looked_up_once(tmp_path: Path) -> None:
    top = checkout(tmp_path / "x")
    namer = ProjectNamer()
    first = namer.place(str(top))

    (top / ".git" / "config").unlink()

    assert namer.place(str(top)) is first


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('project = "till"', "till"),
        ('project = " till "\nurl = "https://evil.test"', "till"),
        ("private = true", "private/shop"),
        ('project = "till"\nprivate = true', "private/till"),
        ('private = "yes"', "private/shop"),
        ('project = "private/till"', "private/till"),
        ('project = "private/till"\nprivate = true', "private/till"),
        ("private = false", "shop"),
        ("project = 5", "shop"),
        ("", "shop"),
        ("private = tru", "private/shop"),
    ],
)
def test_a_project_may_name_itself_or_keep_its_work_here(
    tmp_path: Path, text: str, name: str
) -> None:
    top = checkout(tmp_path / "x")
    (top / ".telemhq.toml").write_text(text)
    (top / "sub").mkdir()

    assert project(str(top / "sub"), "") == name


def test_private_work_stays_private_where_the_log_tells_the_remote(tmp_path: Path) -> None:
    top = checkout(tmp_path / "x")
    (top / ".telemhq.toml").write_text("private = true")

    assert project(str(top), "secret-plan") == "private/secret-plan"


def test_a_nested_file_names_the_project_and_cannot_make_private_work_public(
    tmp_path: Path,
) -> None:
    top = checkout(tmp_path / "x")
    (top / "inner").mkdir()
    (top / ".telemhq.toml").write_text("private = true")
    (top / "inner" / ".telemhq.toml").write_text('project = "till"\nprivate = false')

    assert project(str(top / "inner")) == "private/till"


def test_a_worktree_is_as_private_as_its_main_checkout(tmp_path: Path) -> None:
    top = checkout(tmp_path / "main")
    own = top / ".git" / "worktrees" / "feature"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "elsewhere" / "feature"
    tree.mkdir(parents=True)
    (tree / ".git").write_text(f"gitdir: {own}\n")
    (tmp_path / "elsewhere" / ".telemhq.toml").write_text('project = "not its own"')
    assert project(str(tree)) == "shop"

    (top / ".telemhq.toml").write_text("private = true")

    assert project(str(tree)) == "private/shop"


def test_a_project_file_that_cannot_be_read_keeps_its_work_here(tmp_path: Path) -> None:
    locked, dangling = checkout(tmp_path / "locked"), checkout(tmp_path / "dangling")
    (locked / ".telemhq.toml").mkdir()
    (dangling / ".telemhq.toml").symlink_to(tmp_path / "not-mounted")

    assert project(str(locked)) == project(str(dangling)) == "private/shop"


@pytest.mark.parametrize(
    "text",
    [
        f"project = {'[' * 3_900}{']' * 3_900}",
        "#" * (1 << 13) + '\nproject = "shop"',
        "a." * 200_000 + "a = 1",
    ],
)
def test_a_project_file_made_to_trouble_its_reader_keeps_its_work_here(
    tmp_path: Path, text: str
) -> None:
    top = checkout(tmp_path / "hostile")
    (top / ".telemhq.toml").write_text(text)

    assert project(str(top)) == "private/shop"


def test_a_pattern_covers_the_worktrees_of_what_it_covers_wherever_they_lie(tmp_path: Path) -> None:
    top = checkout(tmp_path / "clients" / "acme")
    own = top / ".git" / "worktrees" / "feature"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "elsewhere" / "feature"
    tree.mkdir(parents=True)
    (tree / ".git").write_text(f"gitdir: {own}\n")

    assert project(str(tree), "", Patterns([f"{tmp_path}/clients/*"])) == "private/shop"
    assert project(str(tree), "", Patterns([f"{tmp_path}/other/*"])) == "shop"


@pytest.mark.parametrize("name", ["private", "privately", "private-shop"])
def test_a_directory_is_not_private_for_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    assert not is_private(project(str(tmp_path / name)))
    assert not is_private(project(f"/gone/private/{name}"))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("~/clients/*", ["clients/acme", "clients/acme/src/deep"], ["clients", "client/acme"]),
        ("~/clients/**", ["clients", "clients/acme", "clients/a/b"], ["clients2"]),
        ("~/clients", ["clients", "clients/acme"], ["clients2", "other/clients"]),
        ("~/*-secret", ["a-secret", "a-secret/x"], ["a-secret2", "x/a-secret"]),
        ("~/[acme]", ["[acme]", "[acme]/x"], ["acme", "[acme]2"]),
        ("~/[ab]/*", ["a/x", "[ab]/x"], ["ab/x"]),
        ("~/work/*/plan", ["work/a/plan", "work/a/plan/b"], ["work/plan", "work/a/b/plan"]),
        ("~", ["", "anything"], ["../other"]),
        ("/", ["", "anything", "../other"], []),
    ],
)
def test_patterns_cover_directories_and_all_below_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pattern: str,
    inside: list[str],
    outside: list[str],
) -> None:
    home = tmp_path / "ada"
    monkeypatch.setenv("HOME", str(home))

    assert [each for each in inside if not covered(str(home / each), [pattern])] == []
    paths = [str(tmp_path / each[3:] if each[:3] == "../" else home / each) for each in outside]
    assert [each for each in paths if covered(each, [pattern])] == []


def test_a_link_does_not_lead_out_of_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "disk" / "acme").mkdir(parents=True)
    (tmp_path / "clients").symlink_to(tmp_path / "disk")
    (tmp_path / "short").symlink_to(tmp_path / "disk" / "acme")
    patterns = [f"{tmp_path}/clients/*"]

    assert covered(str(tmp_path / "clients" / "acme"), patterns)
    assert covered(str(tmp_path / "disk" / "acme" / "gone"), patterns)
    assert covered(str(tmp_path / "short"), patterns)
    assert not covered(str(tmp_path / "elsewhere"), patterns)
    assert not covered("relative", ["/"])


def test_a_link_among_what_a_pattern_covers_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk [1]" / "acme" / "plan").mkdir(parents=True)
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / ".acme").symlink_to(tmp_path / "disk [1]" / "acme")
    told = str(tmp_path / "disk [1]" / "acme" / "plan")

    assert covered(told, [f"{tmp_path}/clients/*"])
    assert covered(told, [f"{tmp_path}/clients/*/plan"])
    assert not covered(str(tmp_path / "disk [1]"), [f"{tmp_path}/clients/*"])


def test_a_pattern_marks_the_place_and_leaves_the_name_for_keys(tmp_path: Path) -> None:
    top = checkout(tmp_path / "clients" / "acme")

    place = ProjectNamer([f"{tmp_path}/clients/*"]).place(str(top), "blog")

    assert (place.project, place.log_project) == ("private/blog", "blog")


def test_hashed_names_agree_under_one_key_and_tell_nothing_under_another() -> None:
    wanted = hmac.new(b"key", b"shop", hashlib.sha256).hexdigest()[:12]

    assert hashed_project("key", "shop") == f"project-{wanted}"
    assert hashed_project("other", "shop") != f"project-{wanted}"
    assert hashed_project("key", "") == ""


def test_a_file_above_the_checkout_has_no_say(tmp_path: Path) -> None:
    (tmp_path / ".telemhq.toml").write_text('project = "everything"')
    top = checkout(tmp_path / "x")

    assert project(str(top)) == "shop"


def test_git_files_that_are_no_files_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / ".git")
    (tmp_path / "y" / ".git").mkdir(parents=True)
    (tmp_path / "y" / ".git" / "config").write_bytes(b'[remote "origin"]\nurl = \xff\xfe\n')
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / ".git").write_text("gitdir: /nowhere/at/all\n")

    assert project(str(tmp_path / "x")) == "x"
    assert project(str(tmp_path / "y"))
    assert project(str(tmp_path / "z")) == "z"
    assert project("/tmp/\0") == "\0"


def test_a_path_leaves_as_twelve_digits_under_this_devices_salt() -> None:
    wanted = hmac.new(b"salt", "/home/dev/größe".encode(), hashlib.sha256).hexdigest()[:12]

    assert cwd_hash("salt", "/home/dev/größe") == wanted
    assert cwd_hash("pepper", "/home/dev/größe") != wanted
    assert len(cwd_hash("salt", "\udcff")) == 12


@pytest.mark.parametrize(
    "cwd",
    [
        "/gone/shop/.claude/worktrees/agent-a45406513a8e47b0a",
        "/gone/shop/.claude/worktrees/agent-a45406513a8e47b0a/src",
        "C:\\gone\\shop\\.claude\\worktrees\\one",
        "/gone/shop/",
    ],
)
def test_a_worktree_that_is_gone_has_the_name_of_its_checkout(cwd: str) -> None:
    assert ProjectNamer().place(cwd) == Place(cwd, "shop", "shop")
