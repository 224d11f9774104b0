"""Every folder under $TRIVET_HOME has exactly one writer, watched over every flow."""

import re
import subprocess
import sys
from pathlib import Path

import support.audited
from support.apps import shop
from support.command import Trivet
from support.repository import Repository

# The map of ARCHITECTURE.md. The supervisor is a process of the run stage that imports no other room: it needs no watching.
WRITERS = (
    (r"trivet\.db(-wal|-shm)?", {"build", "release"}),
    (r"(objects|layers|cache|pythons|scratch)(/.*)?", {"build"}),
    (r"apps/[^/]+/builds(/.*)?", {"build"}),
    (r"(locks|notify|domains)(/.*)?", {"flows"}),
    (r"keys(/.*)?", {"release"}),
    (r"apps/[^/]+/deploys/[^/]+/\.?(releases)(/.*)?", {"release"}),
    (r"(env|keys)(/.*)?|\.env\.[0-9]+", {"release"}),
    (r"apps/[^/]+/deploys/[^/]+/(run|storage)(/.*)?", {"run"}),
    (r"(run|tmp)(/.*)?", {"run"}),
    (
        r"apps(/[^/]+(/deploys(/[^/]+)?)?)?",
        {"build", "release", "run"},
    ),  # the folders above, made by whoever comes first
)


def test_every_folder_has_one_writer(trivet: Trivet, repository: Repository, tmp_path: Path) -> None:
    report = tmp_path / "report"
    for name in ("hooks/pre-release", "hooks/post-release"):
        repository.write_program(name, "#!/bin/sh\n")
    commits = [repository.commit(shop(version, procfile=PROCFILE, settings=SETTINGS)) for version in ("v1", "v2")]
    for arguments in (
        ("notify", "add", "http://127.0.0.1:9/"),
        ("deploy", commits[0]),
        ("deploy", commits[1]),
        ("config", "set", "GREETING=hello"),
        ("plan",),
        ("releases", "pin", "v1"),
        ("prune", "--keep", "1"),
        ("rollback", "v1"),
        ("promote", "production", "staging"),
        ("scale", "worker=1"),
        ("restart",),
        ("run", "true"),
        ("stop",),
        ("start",),
        ("logs",),
        ("notify", "remove", "1"),
        ("apps", "destroy", "shop", "--confirm", "shop"),
    ):
        _run(trivet, report, arguments)
    seen = {tuple(line.split(" ", 1)) for line in report.read_text().splitlines()}
    assert {room for room, _ in seen} >= {"build", "release", "run", "flows"}
    wrong = sorted((room, path) for room, path in seen if room not in _writers(path))
    assert wrong == []


SETTINGS = 'app = "shop"\n[release]\nschema = "echo 1"\n'
PROCFILE = "web: python3 server.py\nworker: python3 worker.py\nrelease: true\n"


def _run(trivet: Trivet, report: Path, arguments: tuple[str, ...]) -> None:
    argv = (sys.executable, support.audited.__file__, str(report), *arguments)
    done = subprocess.run(argv, cwd=trivet.folder, env=trivet.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"


def _writers(path: str) -> set[str]:
    return next((rooms for pattern, rooms in WRITERS if re.fullmatch(pattern, path)), set())
