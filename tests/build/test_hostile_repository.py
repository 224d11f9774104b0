"""A repository may be anybody's: whatever it says, taking a source from it runs nothing and leads nowhere.

Each attack would leave a canary file if it ran. Those that work against git itself are shown to work first: a canary that
cannot appear proves nothing.
"""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.repository import Repository
from trivet.build.source import commits_between, export, has_uncommitted_changes, read_commit
from trivet.errors import SourceError, TrivetError


@dataclass
class Hostile:
    """A repository with an app, and the file that must not appear."""

    repository: Repository
    canary: Path

    @property
    def program(self) -> Path:
        """A program that leaves the canary, and otherwise hands on its input."""
        path = self.canary.with_name("attack")
        path.write_text(f"#!/bin/sh\n: > '{self.canary}'\ncat\n")
        path.chmod(0o755)
        return path

    @property
    def transport(self) -> Path:
        """A program that leaves the canary and fails, so that nobody waits for its answer."""
        path = self.canary.with_name("transport")
        path.write_text(f"#!/bin/sh\n: > '{self.canary}'\nexit 1\n")
        path.chmod(0o755)
        return path

    def set(self, **settings: str) -> None:
        """Lines of the repository's own config."""
        for name, value in settings.items():
            self.repository.git("config", name.replace("__", "."), value)

    def plain_git(self, *arguments: str) -> None:
        """git as it is, whatever comes of it."""
        subprocess.run(("git", *arguments), cwd=self.repository.path, capture_output=True, check=False, timeout=60)

    def take(self, folder: Path) -> Path:
        """The source, taken in every way that the build stage has."""
        commit = read_commit(self.repository.path, "HEAD", "")
        has_uncommitted_changes(commit)
        export(commit, folder)
        commits_between(self.repository.path, f"{commit.source.commit}", self.repository.git("rev-parse", "HEAD"))
        return folder


@pytest.fixture
def hostile(repository: Repository, tmp_path: Path) -> Hostile:
    """A repository with two commits and a file of each kind that attacks need."""
    repository.commit({"app.py": "x = 1\n"})
    repository.commit({"app.py": "x = 2\n", "version": "$Format:%H %G? %(describe)$\n"})
    return Hostile(repository, tmp_path / "canary")


def _hooks(hostile: Hostile) -> None:
    hooks = hostile.repository.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"):
        (hooks / name).write_bytes(hostile.program.read_bytes())
        (hooks / name).chmod(0o755)
    (hostile.repository.path / "app.py").write_text("x = 3\n")
    hostile.plain_git("checkout", "HEAD", "--", "app.py")


def _hooks_path(hostile: Hostile) -> None:
    _hooks(hostile)
    (hostile.repository.path / ".git" / "hooks").rename(hostile.repository.path / "myhooks")
    hostile.set(core__hooksPath="myhooks")
    hostile.plain_git("checkout", "HEAD", "--", "app.py")


def _smudge_filter(hostile: Hostile) -> None:
    hostile.repository.commit({".gitattributes": "*.py filter=evil\n"})
    hostile.set(filter__evil__smudge=str(hostile.program), filter__evil__required="true")
    hostile.plain_git("archive", "HEAD")


def _clean_filter(hostile: Hostile) -> None:
    hostile.repository.commit({".gitattributes": "*.py filter=evil\n"})
    hostile.set(filter__evil__clean=str(hostile.program))
    os.utime(hostile.repository.path / "app.py", (1, 1))
    hostile.plain_git("-c", "core.trustctime=false", "status")


def _process_filter(hostile: Hostile) -> None:
    hostile.repository.commit({".gitattributes": "*.py filter=evil\n"})
    hostile.set(filter__evil__process=str(hostile.program))
    hostile.plain_git("archive", "HEAD")


def _attributes_beside_the_commit(hostile: Hostile) -> None:
    (hostile.repository.path / ".git" / "info").mkdir(exist_ok=True)
    (hostile.repository.path / ".git" / "info" / "attributes").write_text("*.py filter=evil\n")
    hostile.set(filter__evil__smudge=str(hostile.program))
    hostile.plain_git("archive", "HEAD")


def _file_system_monitor(hostile: Hostile) -> None:
    hostile.set(core__fsmonitor=str(hostile.program))
    hostile.plain_git("status")


def _monitor_of_a_submodule(hostile: Hostile) -> None:
    other = Repository(hostile.canary.with_name("other"))
    other.commit({"lib": "1"})
    allow = ("-c", "protocol.file.allow=always")
    hostile.repository.git(*allow, "submodule", "add", "--quiet", str(other.path), "lib")
    hostile.repository.commit({})
    subprocess.run(
        ("git", "config", "core.fsmonitor", str(hostile.program)), cwd=hostile.repository.path / "lib", check=True
    )
    hostile.plain_git("status")


def _signature_program(hostile: Hostile) -> None:
    hostile.repository.commit({".gitattributes": "version export-subst\n"})
    content = subprocess.check_output(("git", "cat-file", "commit", "HEAD"), cwd=hostile.repository.path)
    signature = b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\n"
    argv = ("git", "hash-object", "-t", "commit", "-w", "--stdin")
    signed = content.replace(b"\n\n", signature, 1)
    name = subprocess.check_output(argv, cwd=hostile.repository.path, input=signed).decode().strip()
    hostile.repository.git("update-ref", "HEAD", name)
    hostile.set(gpg__program=str(hostile.program), log__showSignature="true")
    hostile.plain_git("log", "-1")


def _fetching_what_is_missing(hostile: Hostile, **settings: str) -> None:
    blob = hostile.repository.git("rev-parse", "HEAD~1:app.py")
    hostile.set(core__repositoryformatversion="1", extensions__partialClone="origin", remote__origin__promisor="true")
    hostile.set(**settings)
    (hostile.repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    hostile.repository.git("update-ref", "HEAD", "HEAD~1")
    hostile.plain_git("archive", "HEAD")


def _ssh_command(hostile: Hostile) -> None:
    _fetching_what_is_missing(
        hostile, remote__origin__url="ssh://example.org/x", core__sshCommand=str(hostile.transport)
    )


def _upload_pack(hostile: Hostile) -> None:
    _fetching_what_is_missing(
        hostile, remote__origin__url=str(hostile.repository.path), remote__origin__uploadpack=str(hostile.transport)
    )


def _external_transport(hostile: Hostile) -> None:
    _fetching_what_is_missing(
        hostile,
        remote__origin__url=f"ext::{hostile.transport}",
        protocol__ext__allow="always",
        protocol__allow="always",
    )


def _included_settings(hostile: Hostile) -> None:
    more = hostile.repository.path / "more.config"
    more.write_text(f'[filter "evil"]\n\tsmudge = {hostile.program}\n')
    hostile.repository.commit({".gitattributes": "*.py filter=evil\n"})
    hostile.set(include__path="../more.config")
    hostile.plain_git("archive", "HEAD")


@pytest.mark.parametrize(
    "attack",
    [
        _hooks,
        _hooks_path,
        _smudge_filter,
        _clean_filter,
        _process_filter,
        _attributes_beside_the_commit,
        _file_system_monitor,
        _monitor_of_a_submodule,
        _signature_program,
        _ssh_command,
        _upload_pack,
        _external_transport,
        _included_settings,
    ],
)
def test_what_git_would_run_is_not_run(hostile: Hostile, tmp_path: Path, attack: Callable[[Hostile], None]) -> None:
    attack(hostile)
    assert hostile.canary.exists(), "git itself does not fall for it: the attack proves nothing"
    hostile.canary.unlink()
    with contextlib.suppress(SourceError):  # an object that is missing stays missing
        hostile.take(tmp_path / "out")
    assert not hostile.canary.exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"diff__external": "{}", "diff__evil__textconv": "{}", "diff__evil__command": "{}"},
        {"core__pager": "{}", "core__editor": "{}", "core__askPass": "{}", "credential__helper": "!{}"},
        {"uploadpack__packObjectsHook": "{}", "core__alternateRefsCommand": "{}", "core__gitProxy": "{}"},
        {"alias__archive": "!{}", "alias__rev-parse": "!{}", "alias__status": "!{}"},
        {"tar__tar__command": "{}", "tar__tar.gz__command": "{}"},
        {"trailer__x__command": "{}", "merge__evil__driver": "{}", "gpg__ssh__defaultKeyCommand": "{}"},
    ],
)
def test_no_program_that_settings_name_is_run(hostile: Hostile, tmp_path: Path, settings: dict[str, str]) -> None:
    hostile.repository.commit({".gitattributes": "* diff=evil merge=evil\n", "version": "$Format:%(trailers)$"})
    hostile.set(**{name: value.format(hostile.program) for name, value in settings.items()})
    hostile.take(tmp_path / "out")
    assert not hostile.canary.exists()


def test_the_users_own_filters_are_not_run_either(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile.repository.commit({".gitattributes": "*.py filter=mine\n"})
    own = (
        f'[filter "mine"]\n\tsmudge = {hostile.program}\n\tclean = {hostile.program}\n[core]\n\texcludesFile = ~/own\n'
    )
    (tmp_path / ".gitconfig").write_text(own)
    (tmp_path / "own").write_text("notes.txt\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    hostile.repository.write({"notes.txt": "ignored by the user"})
    assert not has_uncommitted_changes(read_commit(hostile.repository.path, "HEAD", ""))
    hostile.take(tmp_path / "out")
    assert not hostile.canary.exists()


def test_attributes_beside_the_commit_do_not_decide_what_is_exported(hostile: Hostile, tmp_path: Path) -> None:
    (hostile.repository.path / ".git" / "info").mkdir(exist_ok=True)
    (hostile.repository.path / ".git" / "info" / "attributes").write_text("app.py export-ignore\n")
    assert (hostile.take(tmp_path / "out") / "app.py").exists()


def test_what_refs_say_is_not_part_of_a_source(hostile: Hostile, tmp_path: Path) -> None:
    commit = hostile.repository.commit({".gitattributes": "version export-subst\n"})
    hostile.repository.git("tag", "--annotate", "--message=x", "v9")
    assert (hostile.take(tmp_path / "out") / "version").read_text() == f"{commit} N \n"


def test_replaced_objects_and_grafts_are_not_followed(hostile: Hostile, tmp_path: Path) -> None:
    one, other = (hostile.repository.git("rev-parse", name) for name in ("HEAD:app.py", "HEAD~1:app.py"))
    hostile.repository.git("replace", one, other)
    assert (hostile.take(tmp_path / "out") / "app.py").read_text() == "x = 2\n"


def _tree(repository: Repository, *entries: tuple[str, str, str]) -> str:
    """The name of a tree that no git would write: mode, name, object of each entry."""
    raw = b"".join(f"{mode} ".encode() + name.encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    argv = ("git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    return subprocess.check_output(argv, cwd=repository.path, input=raw).decode().strip()


def _blob(repository: Repository, content: bytes) -> str:
    argv = ("git", "hash-object", "-w", "--stdin")
    return subprocess.check_output(argv, cwd=repository.path, input=content).decode().strip()


def _commit_tree(repository: Repository, tree: str) -> str:
    person = "Ada <ada@example.org> 1700000000 +0000"
    content = f"tree {tree}\nauthor {person}\ncommitter {person}\n\nHostile\n".encode()
    argv = ("git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    name = subprocess.check_output(argv, cwd=repository.path, input=content).decode().strip()
    repository.git("update-ref", "HEAD", name)
    return name


def _refusal(repository: Repository, folder: Path) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        export(read_commit(repository.path, "HEAD", ""), folder)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("name", ["..", ".", "../canary", "/etc/canary", "a/../../canary", ""])
def test_a_path_that_leads_out_is_refused(hostile: Hostile, tmp_path: Path, name: str) -> None:
    repository = hostile.repository
    _commit_tree(repository, _tree(repository, ("100644", name, _blob(repository, b"x"))))
    message, _ = _refusal(repository, tmp_path / "out")
    assert message.startswith(("The commit holds the path", "git cannot export"))
    assert not hostile.canary.exists()


@pytest.mark.parametrize("name", [".git", ".GIT", "sub/.git"])
def test_a_folder_that_git_would_take_settings_from_is_refused(hostile: Hostile, tmp_path: Path, name: str) -> None:
    repository = hostile.repository
    settings = _tree(repository, ("100644", "config", _blob(repository, b"[core]\n\tfsmonitor = x\n")))
    _commit_tree(repository, _tree(repository, ("40000", name, settings)))
    message, hint = _refusal(repository, tmp_path / "out")
    assert message == f"The commit holds the path {name!r}."
    assert hint == "Remove it: git takes what is in a folder .git for its settings."


def test_a_file_is_never_written_through_a_link_of_the_same_name(hostile: Hostile, tmp_path: Path) -> None:
    repository = hostile.repository
    outside = tmp_path / "outside"
    outside.mkdir()
    link, file = _blob(repository, str(outside).encode()), _blob(repository, b"x")
    inner = _tree(repository, ("100644", "canary", file), ("120000", "link", link))
    _commit_tree(repository, _tree(repository, ("120000", "a", link), ("40000", "a", inner)))
    message, hint = _refusal(repository, tmp_path / "out")
    assert (message, hint) == ("The commit holds 'a' twice.", "`git fsck` tells which tree is wrong.")
    assert list(outside.iterdir()) == []


@pytest.mark.timeout(300)
def test_a_tree_that_unfolds_to_more_than_any_disk_holds_is_refused_at_once(hostile: Hostile, tmp_path: Path) -> None:
    repository = hostile.repository
    tree = _tree(repository, ("100644", "f", _blob(repository, b"x")))
    for _ in range(10):
        tree = _tree(repository, *(("40000", f"{number}", tree) for number in range(10)))
    _commit_tree(repository, tree)
    assert _refusal(repository, tmp_path / "out") == (
        "The commit holds more than 1,000,000 files, which is more than a source may.",
        "Keep data out of the repository, or build a sub-folder of it with --dir.",
    )


def test_a_few_large_files_named_many_times_are_refused(hostile: Hostile, tmp_path: Path) -> None:
    repository = hostile.repository
    large = _blob(repository, b"\0" * (32 << 20))
    folder = _tree(repository, *(("100644", f"{number:04}", large) for number in range(1100)))
    _commit_tree(repository, folder)
    message, _ = _refusal(repository, tmp_path / "out")
    assert message == "The commit holds more than 32 GB, which is more than a source may."


def test_a_path_longer_than_the_system_takes_is_refused(hostile: Hostile, tmp_path: Path) -> None:
    repository = hostile.repository
    tree = _tree(repository, ("100644", "f", _blob(repository, b"x")))
    for _ in range(40):
        tree = _tree(repository, ("40000", "d" * 100, tree))
    _commit_tree(repository, tree)
    message, hint = _refusal(repository, tmp_path / "out")
    assert message.startswith("The commit holds a path of 3534 characters, which no folder can take: 'dddd")
    assert hint == "Give its files and folders shorter names."


def test_gits_warnings_do_not_stop_an_export(hostile: Hostile, tmp_path: Path) -> None:
    hostile.repository.commit({".gitattributes": "".join(f"*.x {'!' * 20}{n}=\n" for n in range(5000))})
    assert (hostile.take(tmp_path / "out") / "app.py").exists()


def _add_link(repository: Repository, name: str, path: str, pinned: str) -> None:
    repository.write({".gitmodules": f'[submodule "{name}"]\n\tpath = {path}\n\turl = ext::sh -c canary\n'})
    repository.git("add", ".gitmodules")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},{path}")
    repository.git("commit", "--quiet", "--message=Add a submodule")


@pytest.mark.parametrize("name", ["../../secret", "x/../../../secret", "/secret"])
def test_the_name_of_a_submodule_does_not_lead_to_another_repository(
    hostile: Hostile, tmp_path: Path, name: str
) -> None:
    secret = Repository(tmp_path / "secret")
    pinned = secret.commit({"secret": "1"})
    _add_link(hostile.repository, name, "lib", pinned)
    assert _refusal(hostile.repository, tmp_path / "out") == (
        f"The submodule 'lib' has the name {name!r}, which leads out of the repository.",
        "Give it another name in .gitmodules.",
    )


def test_the_folder_of_a_submodule_does_not_lead_to_another_repository(hostile: Hostile, tmp_path: Path) -> None:
    secret = Repository(tmp_path / "secret")
    pinned = secret.commit({"secret": "1"})
    _add_link(hostile.repository, "lib", "lib", pinned)
    (hostile.repository.path / "lib").symlink_to(secret.path)
    modules = hostile.repository.path / ".git" / "modules"
    modules.mkdir()
    (modules / "lib").symlink_to(secret.path / ".git")
    message, _ = _refusal(hostile.repository, tmp_path / "out")
    assert message.startswith("The submodule 'lib' is not in this clone")


def test_the_settings_of_a_submodules_store_run_nothing(hostile: Hostile, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    other.commit({"lib": "1", ".gitattributes": "* filter=evil\n"})
    allow = ("-c", "protocol.file.allow=always")
    hostile.repository.git(*allow, "submodule", "add", "--quiet", str(other.path), "lib")
    hostile.repository.commit({})
    settings = hostile.repository.path / ".git" / "modules" / "lib" / "config"
    settings.write_text(settings.read_text() + f'[filter "evil"]\n\tsmudge = {hostile.program}\n')
    assert (hostile.take(tmp_path / "out") / "lib" / "lib").read_text() == "1"
    assert not hostile.canary.exists()


def test_a_bare_repository_inside_the_source_is_only_read(hostile: Hostile, tmp_path: Path) -> None:
    inner = hostile.repository.path / "inner"
    hostile.repository.git("clone", "--quiet", "--bare", ".", str(inner))
    (inner / "config").write_text(f"[core]\n\tbare = true\n\tfsmonitor = {hostile.program}\n")
    commit = read_commit(inner, "HEAD", "")
    has_uncommitted_changes(commit)
    export(commit, tmp_path / "out")
    assert not hostile.canary.exists()


def test_a_settings_file_that_is_no_text_of_reasonable_length_is_refused(hostile: Hostile) -> None:
    hostile.repository.commit({"trivet.toml": "#" * ((1 << 20) + 1)})
    with pytest.raises(TrivetError) as caught:
        read_commit(hostile.repository.path, "HEAD", "").read("trivet.toml")
    assert (caught.value.message, caught.value.hint) == (
        "trivet.toml is longer than a megabyte.",
        "Write a shorter one.",
    )


def test_a_repository_with_sha256_names_is_exported(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    subprocess.run(("git", "init", "--quiet", "--object-format=sha256"), cwd=folder, check=True)
    repository = Repository(folder)
    repository.commit({"a": "1"})
    commit = read_commit(folder, "HEAD", "")
    assert len(commit.source.commit) == 64
    assert not has_uncommitted_changes(commit)
    export(commit, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "1"


LARGE = b"a large file\n"


def _pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def _keep_large(repository: Repository, content: bytes, kept: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    path = repository.path / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True)
    path.write_bytes(kept)


def test_a_large_file_is_taken_from_what_git_lfs_has_fetched(hostile: Hostile, tmp_path: Path) -> None:
    pointer = _pointer(LARGE)
    hostile.repository.commit({".gitattributes": "*.bin filter=lfs\n", "d/a.bin": pointer, "doc.txt": pointer})
    _keep_large(hostile.repository, LARGE, LARGE)
    folder = hostile.take(tmp_path / "out")
    assert (folder / "d" / "a.bin").read_bytes() == LARGE
    assert (folder / "doc.txt").read_text() == pointer


@pytest.mark.parametrize("kept", [None, b"another file"])
def test_a_large_file_that_is_not_there_is_an_error(hostile: Hostile, tmp_path: Path, kept: bytes | None) -> None:
    hostile.repository.commit({".gitattributes": "*.bin filter=lfs\n", "a.bin": _pointer(LARGE)})
    if kept is not None:
        _keep_large(hostile.repository, LARGE, kept)
    assert _refusal(hostile.repository, tmp_path / "out") == (
        "The content of 'a.bin' is kept by Git LFS, and this clone does not have it.",
        "Fetch it with `git lfs fetch --all`, then run the command again.",
    )
