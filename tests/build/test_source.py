"""A revision becomes a commit, and its tree a folder: never the working tree, and every mistake is told."""

import os
import subprocess
from pathlib import Path

import pytest

from support.repository import Repository
from trivet.build.repository import find_repository
from trivet.build.source import commits_between, export, has_uncommitted_changes, read_commit
from trivet.errors import MachineError, SourceError


def _export(repository: Repository, folder: Path, revision: str = "HEAD", directory: str = "") -> Path:
    export(read_commit(repository.path, revision, directory), folder)
    return folder


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _error(repository: Path, revision: str = "HEAD", directory: str = "") -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        read_commit(repository, revision, directory)
    return caught.value.message, caught.value.hint


def test_a_commit_says_who_when_and_what(repository: Repository) -> None:
    commit = repository.commit({"a": "1"}, "First\n\nMore words.")
    source = read_commit(repository.path, "main", "").source
    assert (source.commit, source.subject, source.author) == (commit, "First", "Ada <ada@example.org>")
    assert source.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert source.authored_at.endswith("Z")


def test_the_export_is_the_commit_and_not_the_working_tree(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "committed", "b": "stays"})
    repository.write({"a": "changed", "b": None, "new": "untracked"})
    folder = _export(repository, tmp_path / "out")
    assert _files(folder) == {"a", "b"}
    assert (folder / "a").read_text() == "committed"


def test_any_revision_that_git_understands_will_do(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    repository.git("tag", "v1")
    repository.commit({"a": "2"})
    assert (_export(repository, tmp_path / "x", "v1") / "a").read_text() == "1"
    assert (_export(repository, tmp_path / "y", "HEAD~1") / "a").read_text() == "1"


def test_executable_bits_and_links_are_kept(repository: Repository, tmp_path: Path) -> None:
    repository.write({"run.sh": "#!/bin/sh\n", "plain": ""})
    (repository.path / "run.sh").chmod(0o755)
    (repository.path / "link").symlink_to("plain")
    repository.commit({})
    folder = _export(repository, tmp_path / "out")
    assert os.access(folder / "run.sh", os.X_OK)
    assert not os.access(folder / "plain", os.X_OK) or (folder / "plain").stat().st_mode & 0o111 == 0
    assert (folder / "link").readlink() == Path("plain")


def test_gitattributes_decide_what_is_exported(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(
        {
            ".gitattributes": "tests export-ignore\nversion export-subst\n",
            "tests/t": "x",
            "version": "$Format:%H$",
            "a": "",
        }
    )
    folder = _export(repository, tmp_path / "out")
    assert _files(folder) == {".gitattributes", "version", "a"}
    assert (folder / "version").read_text() == commit


def test_the_users_git_settings_do_not_change_the_export(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a": "one\ntwo\n"})
    (tmp_path / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert (_export(repository, tmp_path / "out") / "a").read_bytes() == b"one\ntwo\n"


def test_a_sub_folder_is_exported_by_the_rules_of_the_top(repository: Repository, tmp_path: Path) -> None:
    repository.commit({".gitattributes": "*.md export-ignore\n", "apps/shop/a": "1", "apps/shop/b.md": "2", "top": "3"})
    assert _files(_export(repository, tmp_path / "out", directory="apps/shop")) == {"a"}


def test_an_export_touches_neither_the_index_nor_the_working_tree(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    repository.write({"a": "2"})
    index = repository.path / ".git" / "index"
    os.utime(repository.path / "a", (1, 1))
    before = index.read_bytes(), index.stat().st_mtime_ns
    commit = read_commit(repository.path, "HEAD", "")
    assert has_uncommitted_changes(commit)
    export(commit, tmp_path / "out")
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_uncommitted_and_untracked_changes_are_noticed(repository: Repository) -> None:
    repository.commit({"a": "1", ".gitignore": "ignored\n"})
    repository.write({"ignored": "x"})
    assert not has_uncommitted_changes(read_commit(repository.path, "HEAD", ""))
    repository.write({"new": "x"})
    assert has_uncommitted_changes(read_commit(repository.path, "HEAD", ""))


def test_uncommitted_changes_do_not_matter_to_another_commit_or_folder(repository: Repository) -> None:
    repository.commit({"apps/shop/a": "1"})
    repository.commit({"b": "1"})
    repository.write({"b": "2"})
    assert not has_uncommitted_changes(read_commit(repository.path, "HEAD~1", ""))
    assert not has_uncommitted_changes(read_commit(repository.path, "HEAD", "apps/shop"))


def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path) -> None:
    assert _error(tmp_path) == (
        f"{tmp_path} is not in a git repository.",
        "Change to the app's folder, or make it one with `git init` and `git commit`.",
    )


def test_a_repository_without_a_commit_is_an_error(repository: Repository) -> None:
    assert _error(repository.path) == (
        f"{repository.path} has no commit yet.",
        "Trivet builds commits: `git add` your files and `git commit` them.",
    )


@pytest.mark.parametrize("revision", ["nope", "--all", "", "HEAD:a", "HEAD^5"])
def test_an_unknown_revision_is_an_error(repository: Repository, revision: str) -> None:
    repository.commit({"a": "1"})
    assert _error(repository.path, revision) == (
        f"{revision!r} is not a revision of {repository.path}.",
        "Name a branch, a tag or a commit. `git log --oneline --all` lists commits; `git fetch` gets new ones.",
    )


def test_an_empty_tree_is_an_error(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({})
    with pytest.raises(SourceError) as caught:
        _export(repository, tmp_path / "out")
    assert caught.value.message == f"The commit {commit[:8]} has no files."
    assert caught.value.hint == "Add the app's files with `git add` and `git commit` them."


@pytest.mark.parametrize("directory", ["nowhere", "a"])
def test_a_sub_folder_that_is_none_is_an_error(repository: Repository, tmp_path: Path, directory: str) -> None:
    commit = repository.commit({"a": "1"})
    with pytest.raises(SourceError) as caught:
        _export(repository, tmp_path / "out", directory=directory)
    assert caught.value.message == f"The commit {commit[:8]} has no files in {directory!r}."
    assert caught.value.hint == (
        f"`git ls-tree -r --name-only {commit[:8]}` lists its files. Choose the app's folder with --dir."
    )


@pytest.mark.parametrize("directory", ["/etc", "../x", "a/../../b"])
def test_a_sub_folder_outside_the_repository_is_an_error(repository: Repository, directory: str) -> None:
    repository.commit({"a": "1"})
    assert _error(repository.path, directory=directory) == (
        f"{directory!r} is not a folder of the repository.",
        "Name it from the repository's top.",
    )


def test_a_shallow_clone_is_an_error(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(clone))
    assert _error(clone) == (
        f"{clone} is a shallow clone, which lacks part of the history.",
        "Fetch the rest with `git fetch --unshallow`, then run the command again.",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_an_error(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({"a": "1"})
    for path in (repository.path, repository.path / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert _error(repository.path) == (
        f"The repository {repository.path} belongs to another user, so git refuses to read it.",
        f"If you trust it: `git config --global --add safe.directory {repository.path}`.",
    )


def test_a_machine_without_git_is_an_error(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        read_commit(repository.path, "HEAD", "")
    assert caught.value.message == "There is no program 'git' on this machine."
    assert caught.value.hint == "Install it (for example `apt-get install git`) and run the command again."


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "sub/../../secret"])
def test_a_link_that_leads_out_is_refused(repository: Repository, tmp_path: Path, target: str) -> None:
    repository.commit({"a": "1"})
    (repository.path / "leak").symlink_to(target)
    repository.commit({})
    with pytest.raises(SourceError) as caught:
        _export(repository, tmp_path / "out")
    assert caught.value.message == f"The symbolic link 'leak' leads out of the source, to {target!r}."
    assert caught.value.hint == "Commit the file itself, or a relative link to a file of the app."


def test_a_link_that_leads_out_through_another_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"deep/er/a": "1"})
    (repository.path / "deep/er/up").symlink_to("../..")
    (repository.path / "out").symlink_to("deep/er/up/../secret")
    repository.commit({})
    with pytest.raises(SourceError, match="leads out"):
        _export(repository, tmp_path / "out")


def test_links_that_lead_nowhere_or_to_themselves_are_kept(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    (repository.path / "nowhere").symlink_to("missing")
    (repository.path / "loop").symlink_to("loop")
    repository.commit({})
    assert _files(_export(repository, tmp_path / "out")) == {"a", "nowhere", "loop"}


@pytest.fixture
def library(tmp_path: Path) -> Repository:
    """A repository with a submodule of its own."""
    deep = Repository(tmp_path / "deep")
    deep.commit({"deep.txt": "deep"})
    library = Repository(tmp_path / "library")
    library.commit({"lib.txt": "lib"})
    _add_submodule(library, deep.path, "nested")
    return library


def _add_submodule(repository: Repository, other: Path, path: str) -> None:
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(other), path)
    repository.git("-c", "protocol.file.allow=always", "submodule", "update", "--init", "--recursive", "--quiet")
    repository.git("commit", "--quiet", "--all", "--message=Add a submodule")


def test_submodules_are_exported_with_theirs(repository: Repository, library: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    _add_submodule(repository, library.path, "vendor/library")
    (repository.path / "vendor/library/lib.txt").write_text("changed in the working tree")
    folder = _export(repository, tmp_path / "out")
    expected = {"a", ".gitmodules", "vendor/library/lib.txt"}
    assert expected | {"vendor/library/.gitmodules", "vendor/library/nested/deep.txt"} == _files(folder)
    assert (folder / "vendor/library/lib.txt").read_text() == "lib"
    below = _export(repository, tmp_path / "below", directory="vendor")
    assert (below / "library/nested/deep.txt").read_text() == "deep"


def test_a_submodule_whose_work_tree_is_gone_is_taken_from_the_store(
    repository: Repository, library: Repository, tmp_path: Path
) -> None:
    repository.commit({"a": "1"})
    _add_submodule(repository, library.path, "library")
    repository.git("submodule", "deinit", "--force", "--quiet", "library")
    assert "library/nested/deep.txt" in _files(_export(repository, tmp_path / "out"))


def test_a_submodule_that_is_not_there_is_an_error(repository: Repository, library: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    _add_submodule(repository, library.path, "library")
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", str(repository.path), str(clone))
    pinned = repository.git("rev-parse", "HEAD:library")
    with pytest.raises(SourceError) as caught:
        export(read_commit(clone, "HEAD", ""), tmp_path / "out")
    assert caught.value.message == (
        f"The submodule 'library' is not in this clone at the commit that the source asks for ({pinned[:8]})."
    )
    assert caught.value.hint == ("Fetch it with `git submodule update --init --recursive`, then run the command again.")


def test_a_bare_repository_will_do(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    bare = tmp_path / "bare.git"
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(bare))
    assert find_repository(bare) == bare
    export(read_commit(bare, "main", ""), tmp_path / "out")
    assert _files(tmp_path / "out") == {"a"}


def test_a_repository_is_found_from_a_folder_inside(repository: Repository) -> None:
    repository.commit({"deep/er/a": "1"})
    assert find_repository(repository.path / "deep" / "er") == repository.path


def test_a_work_tree_of_its_own_is_found(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    repository.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    assert find_repository(tmp_path / "other") == tmp_path / "other"
    assert not has_uncommitted_changes(read_commit(tmp_path / "other", "HEAD", ""))


def test_commits_between_two_builds_are_listed_newest_first(repository: Repository) -> None:
    first, *_ = (repository.commit({"a": str(number)}, f"Change {number}") for number in range(3))
    second = repository.git("rev-parse", "HEAD~1")
    last = repository.git("rev-parse", "HEAD")
    commits, reason = commits_between(str(repository.path), first, last)
    assert [(line.commit, line.subject, line.author) for line in commits] == [
        (last, "Change 2", "Ada"),
        (second, "Change 1", "Ada"),
    ]
    assert reason == ""


def test_commits_that_cannot_be_listed_have_a_reason(repository: Repository, tmp_path: Path) -> None:
    old, new = repository.commit({"a": "1"}), repository.commit({"a": "2"})
    gone = "0" * 40
    assert commits_between(repository.path, old, old) == ((), "the same commit")
    assert commits_between(repository.path, new, old) == ((), f"{old[:8]} is older than {new[:8]}")
    assert commits_between(repository.path, gone, new) == ((), "the repository no longer has 00000000")
    assert commits_between(tmp_path / "gone", old, new) == ((), f"the repository {tmp_path / 'gone'} is gone")


def test_a_name_with_strange_characters_is_exported(repository: Repository, tmp_path: Path) -> None:
    repository.commit({'a "b" ü\n*': "1", "-r": "2"})
    assert _files(_export(repository, tmp_path / "out")) == {'a "b" ü\n*', "-r"}


def test_a_corrupted_repository_is_an_error_with_gits_words(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"a": "x" * 100})
    blob = repository.git("rev-parse", "HEAD:a")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SourceError) as caught:
        _export(repository, tmp_path / "out")
    assert caught.value.message == f"git cannot export the commit {commit[:8]}."
    assert caught.value.hint == "`git fsck` tells what is wrong with the repository."
    assert any(blob in line for line in caught.value.detail)
    assert subprocess.run(("git", "fsck"), cwd=repository.path, capture_output=True, check=False).returncode != 0


def _rewrite(repository: Repository, old: bytes, new: bytes) -> str:
    """The full name of a commit like HEAD with other bytes in it, as a broken tool writes one; HEAD is it."""
    content = subprocess.check_output(("git", "cat-file", "commit", "HEAD"), cwd=repository.path)
    assert old in content
    argv = ("git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    name = subprocess.check_output(argv, cwd=repository.path, input=content.replace(old, new)).decode().strip()
    repository.git("update-ref", "HEAD", name)
    return name


def test_what_a_terminal_would_obey_is_not_taken_from_a_commit(repository: Repository) -> None:
    first = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    _rewrite(repository, b"author Ada", b"author \x1b[31mA\x07da\xff")
    last = _rewrite(repository, b"Change", b"caf\xe9 \x1b]0;title\x07\x1b[2Jdone\xc2\x9b1m")
    source = read_commit(repository.path, "HEAD", "").source
    assert (source.subject, source.author) == ("caf\ufffd done", "Ada\ufffd <ada@example.org>")
    (line,), _ = commits_between(repository.path, first, last)
    assert (line.subject, line.author) == ("caf\ufffd done", "Ada\ufffd")


def test_a_commit_in_another_encoding_is_read_whatever_the_repository_prefers(repository: Repository) -> None:
    first = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    repository.git("config", "i18n.logOutputEncoding", "latin1")
    last = _rewrite(repository, b"\n\nChange", b"\nencoding ISO-8859-1\n\ncaf\xe9")
    assert read_commit(repository.path, "HEAD", "").source.subject == "café"
    assert commits_between(repository.path, first, last)[0][0].subject == "café"


def test_a_commit_without_author_subject_or_time_is_read(repository: Repository) -> None:
    first = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    _rewrite(repository, b"Change", b"")
    when = repository.git("log", "-1", "--format=%ct")
    person = f"Ada <ada@example.org> {when}"
    _rewrite(repository, f"committer {person}".encode(), b"committer Ada <ada@example.org> 999999999999999")
    last = _rewrite(repository, f"author {person}".encode(), b"author  <> never")
    commit = read_commit(repository.path, "HEAD", "")
    assert (commit.source.subject, commit.source.author) == ("", "<>")
    assert (commit.source.authored_at, commit.committed_at) == ("1970-01-01T00:00:00.000Z", 253402300799)
    (line,), _ = commits_between(repository.path, first, last)
    assert (line.commit, line.subject, line.author) == (last, "", "")


def test_names_that_are_not_utf_8_are_exported_and_recorded(tmp_path: Path) -> None:
    repository = Repository(tmp_path / os.fsdecode(b"shop\xff"))
    names = {os.fsdecode(b"short\xe9"), os.fsdecode(b"long\xe9" * 50), "esc\x1b[31m"}
    repository.commit(dict.fromkeys(names, ""))
    source = read_commit(repository.path, "HEAD", "").source
    assert source.repository == f"{tmp_path}/shop\ufffd"
    assert _files(_export(repository, tmp_path / "out")) == names


def test_a_folder_whose_name_is_not_utf_8_is_an_error(repository: Repository) -> None:
    folder = os.fsdecode(b"caf\xe9")
    repository.commit({f"{folder}/a": "1"})
    with pytest.raises(SourceError) as caught:
        read_commit(repository.path, "HEAD", folder)
    assert caught.value.message == "The folder name 'caf\\udce9' is not UTF-8."
    assert caught.value.hint == "Rename the folder in the repository."
