"""Go: what is planned for a module, and modules really built, from vendored packages and from a module proxy."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.building import Builder
from support.planning import error_of, plan_of, processes_of
from support.repository import Repository
from support.toolchains import with_go
from trivet.build.environment import SYSTEM_PATH
from trivet.errors import DetectionError, InvalidFile, LockfileError, MachineError
from trivet.model.home import Home

MAIN = "package main\n\nfunc main() {}\n"
MOD = "module example.org/shop\n\ngo 1.21\n"
REQUIRING = f"{MOD}\nrequire example.org/greeting v1.0.0\n"
GREETS = """package main

import (
	"os"

	"example.org/greeting"
)

func main() { os.Stdout.WriteString(greeting.Hello) }
"""


@pytest.mark.parametrize(
    ("files", "processes"),
    [
        ({"main.go": MAIN}, {"web": "shop"}),
        ({"go.mod": "module example.org/shop/v3\n", "main.go": MAIN}, {"web": "shop"}),
        ({"cmd/server/main.go": MAIN}, {"web": "server"}),
        ({"main.go": MAIN, "script.go": f"//go:build ignore\n\n{MAIN}", "lib/a.go": "package lib\n"}, {"web": "shop"}),
        ({"cmd/web/main.go": MAIN, "cmd/mail/a.go": MAIN, "cmd/release/a.go": MAIN}, {"mail": "mail", "web": "web"}),
        ({"a/b/main.go": MAIN, "main.go": MAIN, "trivet.toml": "[build]\nprograms = ['./a/b/']\n"}, {"web": "b"}),
        ({"cmd/x/main.go": MAIN, "cmd/y/main.go": MAIN, "Procfile": "web: x --fast\n"}, {"web": "x --fast"}),
    ],
)
def test_the_programs_of_a_module_are_its_process_types(files: dict[str, str], processes: dict[str, str]) -> None:
    assert processes_of({"go.mod": MOD, **files}) == processes


def test_several_programs_of_which_none_is_called_web_need_a_procfile() -> None:
    files = {"go.mod": MOD, "cmd/mail/main.go": MAIN, "cmd/shopd-server/main.go": MAIN}
    assert error_of(files, DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: the source has the programs mail, shopd-server, "
            "and none is called web."
        ),
        (
            "Commit a file called Procfile with a line for each that is to run, for example `web: shopd-server`; "
            "or build one only, with `programs` in trivet.toml, [build]."
        ),
    )


NOT_MAIN = {"shop.go": "package shop\n", "cmd/web/main_test.go": MAIN, "vendor/x/main.go": MAIN}


@pytest.mark.parametrize(
    ("files", "where", "folder"),
    [
        (NOT_MAIN, "Or", "tools/server"),
        ({"services/api/main.go": MAIN}, "There is one in services/api:", "services/api"),
    ],
)
def test_a_module_without_a_program_is_an_error(files: dict[str, str], where: str, folder: str) -> None:
    assert error_of({"go.mod": MOD, **files}, DetectionError) == (
        "There is go.mod, but no program: no `package main` at the top or in a folder of cmd/.",
        f'Put the server into cmd/web/main.go. {where} name it in trivet.toml, [build], as `programs = ["{folder}"]`.',
    )


def test_a_program_that_is_not_there_is_an_error_with_its_line() -> None:
    files = {"go.mod": MOD, "cmd/web/main.go": MAIN, "trivet.toml": "[build]\nprograms = ['cmd/wbe']\n"}
    assert error_of(files, InvalidFile) == (
        "trivet.toml:2: there is no Go program in the folder 'cmd/wbe'.",
        "Did you mean 'cmd/web'?",
    )


def test_a_module_without_sums_is_an_error() -> None:
    assert error_of({"go.mod": REQUIRING, "main.go": MAIN}, LockfileError) == (
        "There is go.mod, but no go.sum that says what the required modules must contain.",
        "Run `go mod tidy` and commit go.sum.",
    )


def test_only_what_fetches_learns_where_modules_come_from() -> None:
    for layer in plan_of({"go.mod": REQUIRING, "go.sum": "", "main.go": MAIN}).layers:
        for step in layer.steps:
            assert step.passes == () or (step.phase == "fetch" and "GOPROXY" in step.passes)


@pytest.fixture
def builder(home: Home, repository: Repository) -> Builder:
    """A builder whose caller has Go on PATH."""
    return Builder(home, repository, caller=with_go())


VENDORED = {
    "go.mod": REQUIRING,
    "main.go": GREETS,
    "vendor/modules.txt": "# example.org/greeting v1.0.0\n## explicit; go 1.21\nexample.org/greeting\n",
    "vendor/example.org/greeting/hello.go": 'package greeting\n\nconst Hello = "vendored"\n',
}


@pytest.mark.slow
def test_a_binary_is_static_and_the_same_in_another_home(builder: Builder, tmp_path: Path) -> None:
    build = builder.commit(VENDORED).build
    assert [(layer.name, layer.files) for layer in build.layers] == [("app", 4), ("bin", 1)]
    assert set(builder.told.phases) == {None, "compile"}
    binary = (builder.bundle(build) / "bin" / "shop").read_bytes()
    assert b"ld-linux" not in binary
    assert str(tmp_path).encode() not in binary
    other = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), builder.repository, caller=builder.caller)
    again = other.build().build
    assert (again.id, again.layers) == (build.id, build.layers)


class _Proxy(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: the tests read what go says."""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The address of a module proxy that has example.org/greeting v1.0.0. https://go.dev/ref/mod#goproxy-protocol"""
    versions = tmp_path / "proxy" / "example.org" / "greeting" / "@v"
    versions.mkdir(parents=True)
    mod = "module example.org/greeting\n\ngo 1.21\n"
    (versions / "list").write_text("v1.0.0\n")
    (versions / "v1.0.0.info").write_text('{"Version": "v1.0.0", "Time": "2024-01-01T00:00:00Z"}')
    (versions / "v1.0.0.mod").write_text(mod)
    with zipfile.ZipFile(versions / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.org/greeting@v1.0.0/go.mod", mod)
        archive.writestr("example.org/greeting@v1.0.0/hello.go", 'package greeting\n\nconst Hello = "hello"\n')
    handler = functools.partial(_Proxy, directory=str(tmp_path / "proxy"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fetching(builder: Builder, proxy: str, tmp_path: Path) -> Builder:
    """A builder that fetches from the proxy, with a module that requires what is there, tidied."""
    builder.caller = {**builder.caller, "GOPROXY": proxy, "GOSUMDB": "off"}
    builder.repository.write({"go.mod": REQUIRING, "main.go": GREETS})
    own = {**builder.caller, "HOME": str(tmp_path), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    subprocess.run(("go", "mod", "tidy"), cwd=builder.repository.path, env=own, check=True, capture_output=True)
    return builder


def _says(builder: Builder, files: Mapping[str, str | None]) -> str:
    build = builder.commit(files).build
    return subprocess.run((builder.bundle(build) / "bin" / "shop",), capture_output=True, check=True).stdout.decode()


@pytest.mark.slow
def test_modules_are_fetched_and_then_compiled_without_the_network(fetching: Builder) -> None:
    assert _says(fetching, {}) == "hello"
    assert list(zip(fetching.told.steps[1:], fetching.told.phases[1:], strict=True)) == [
        ("downloading modules", "fetch"),
        ("checking go.sum against go.mod", "fetch"),
        ("compiling shop", "compile"),
    ]


@pytest.mark.slow
def test_commands_see_the_modules_and_what_they_write_is_compiled(fetching: Builder) -> None:
    (fetching.repository.path / "gen").mkdir()
    generator = (
        'package main\n\nimport (\n"os"\n"example.org/greeting"\n)\n\nfunc main() {\nos.WriteFile("made.go", []byte('
    )
    generator += '"package main\\n\\nconst made = \\"" + greeting.Hello + " made\\"\\n"), 0o644)\n}\n'
    files = {
        "gen/main.go": generator,
        "main.go": 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString(made) }\n',
        "trivet.toml": "[build]\ncommands = ['go run ./gen']\n",
    }
    assert _says(fetching, files) == "hello made"


@pytest.mark.slow
@pytest.mark.parametrize("go_sum", ["", "example.org/greeting v1.0.0/go.mod h1:x=\n"])
def test_sums_that_lack_a_module_are_an_error(fetching: Builder, go_sum: str) -> None:
    own = (fetching.repository.path / "go.sum").read_text().splitlines(keepends=True)
    kept = "".join(line for line in own if "/go.mod" in line) if go_sum else ""
    with pytest.raises(LockfileError) as caught:
        fetching.commit({"go.sum": kept})
    assert caught.value.message == "go.sum does not match its manifest."
    assert caught.value.hint == "Run `go mod tidy`, and commit go.mod and go.sum."
    assert any("example.org/greeting" in line for line in caught.value.detail)


@pytest.mark.slow
def test_a_vendored_folder_that_lacks_a_module_is_an_error(builder: Builder) -> None:
    with pytest.raises(LockfileError) as caught:
        builder.commit({"go.mod": REQUIRING, "main.go": GREETS, "vendor/modules.txt": ""})
    assert caught.value.message == "vendor/modules.txt does not match its manifest."
    assert caught.value.hint == "Run `go mod vendor` and commit the folder vendor."
    assert any("inconsistent vendoring" in line for line in caught.value.detail)


@pytest.mark.slow
def test_a_go_that_is_too_old_for_the_module_is_an_error_that_says_so(builder: Builder) -> None:
    with pytest.raises(MachineError) as caught:
        builder.commit({"go.mod": "module shop\n\ngo 1.999\n", "main.go": MAIN})
    assert caught.value.message == "No Go on this machine suits the app."
    assert caught.value.hint == (
        "Install Go 1.999 or newer, from https://go.dev/dl or with `apt-get install golang-go`, so that `go` is on PATH; "
        "or change the `go` line of go.mod."
    )
    assert any("go.mod requires go >= 1.999" in line for line in caught.value.detail)


@pytest.mark.skipif(shutil.which("go", path=SYSTEM_PATH) is not None, reason="this machine's system has Go")
def test_a_machine_without_go_is_an_error(home: Home, repository: Repository) -> None:
    empty = Builder(home, repository, caller={**os.environ, "PATH": "/nowhere"})
    with pytest.raises(MachineError) as caught:
        empty.commit({"go.mod": MOD, "main.go": MAIN})
    assert caught.value.message == "No Go on this machine suits the app."
