"""Rust: what is planned for a crate, and crates really compiled, from vendored sources and from a registry."""

import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.building import Builder
from support.planning import error_of, processes_of
from support.repository import Repository
from support.toolchains import needs
from trivet.errors import DetectionError, InvalidFile, LockfileError, MachineError, StepFailed
from trivet.model.home import Home

pytestmark = needs("cargo", "cc")

PACKAGE = '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n'
REQUIRING = f'{PACKAGE}\n[dependencies]\ngreeting = "1.0.0"\n'
GREETING = '[package]\nname = "greeting"\nversion = "1.0.0"\nedition = "2021"\n'
LIBRARY = 'pub fn hello(name: &str) -> String {\n    let first = name.chars().next().unwrap();\n    format!("hello {first}")\n}\n'
MAIN = 'fn main() {\n    print!("{}", greeting::hello(&std::env::args().nth(1).unwrap()));\n}\n'
LOCK = """version = 3

[[package]]
name = "greeting"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{checksum}"

[[package]]
name = "shop"
version = "0.1.0"
dependencies = [
 "greeting",
]
"""
ALONE = 'version = 3\n\n[[package]]\nname = "shop"\nversion = "0.1.0"\n'


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("files", "processes"),
    [
        ({"src/main.rs": ""}, {"web": "shop"}),
        ({"src/bin/server.rs": "", "src/lib.rs": ""}, {"web": "server"}),
        ({"src/bin/web/main.rs": "", "src/bin/mail.rs": "", "src/bin/release.rs": ""}, {"mail": "mail", "web": "web"}),
        ({"Cargo.toml": f'{PACKAGE}default-run = "b"\n', "src/bin/a.rs": "", "src/bin/b.rs": ""}, {"web": "b"}),
        ({"Cargo.toml": f'{PACKAGE}[[bin]]\nname = "x"\npath = "src/main.rs"\n', "src/main.rs": ""}, {"web": "x"}),
        ({"src/main.rs": "", "src/bin/b.rs": "", "trivet.toml": "[build]\nprograms = ['b']\n"}, {"web": "b"}),
        (
            {
                "Cargo.toml": "[workspace]\nmembers = ['crates/*', 'tools/x']\nexclude = ['crates/old']\n",
                "crates/shop/Cargo.toml": PACKAGE,
                "crates/shop/src/main.rs": "",
                "crates/old/Cargo.toml": PACKAGE.replace("shop", "old"),
                "crates/old/src/main.rs": "",
                "crates/a/b/Cargo.toml": PACKAGE.replace("shop", "nested"),
                "crates/a/b/src/main.rs": "",
            },
            {"web": "shop"},
        ),
    ],
)
def test_the_programs_of_a_crate_are_its_process_types(files: dict[str, str], processes: dict[str, str]) -> None:
    assert processes_of({"Cargo.toml": PACKAGE, "Cargo.lock": "", **files}) == processes


def test_several_programs_of_which_none_is_called_web_need_a_procfile() -> None:
    files = {"Cargo.toml": PACKAGE, "Cargo.lock": "", "src/main.rs": "", "src/bin/mail.rs": ""}
    assert error_of(files, DetectionError) == (
        (
            "There is no Procfile, and no obvious way to start this app: the source has the programs shop, mail, "
            "and none is called web."
        ),
        (
            "Commit a file called Procfile with a line for each that is to run, for example `web: shop`; "
            "or build one only, with `programs` in trivet.toml, [build]."
        ),
    )


@pytest.mark.parametrize(
    ("files", "kind", "message", "hint"),
    [
        (
            {"src/lib.rs": ""},
            DetectionError,
            "There is Cargo.toml, but no program: no src/main.rs, nothing in src/bin, and no [[bin]].",
            "Put the server into src/main.rs, or name the folder of its workspace with `--dir`.",
        ),
        (
            {"src/main.rs": ""},
            LockfileError,
            "There is Cargo.toml, but no Cargo.lock that says which versions to compile.",
            "Run `cargo generate-lockfile` and commit Cargo.lock.",
        ),
        (
            {"src/main.rs": "", "trivet.toml": "[build]\nprograms = ['shpo']\n"},
            InvalidFile,
            "trivet.toml:2: there is no Rust program 'shpo'.",
            "Did you mean 'shop'?",
        ),
        (
            {"src/main.rs": "", ".cargo/config.toml": "[registry]\ncredential-provider = './mine'\n"},
            InvalidFile,
            (
                ".cargo/config.toml names a program that gives credentials (credential-provider), "
                "which would run with the network."
            ),
            "Remove it, and vendor crates that need credentials: `cargo vendor` says what goes into the file instead.",
        ),
        (
            {"src/main.rs": "", "rust-toolchain.toml": "[toolchain]\npath = 'tools'\n"},
            InvalidFile,
            "rust-toolchain.toml names a toolchain by its path.",
            'Name it by its channel, for example `channel = "1.83"`.',
        ),
    ],
)
def test_what_cannot_be_planned_is_an_error(
    files: dict[str, str], kind: type[DetectionError], message: str, hint: str
) -> None:
    assert error_of({"Cargo.toml": PACKAGE, **files}, kind) == (message, hint)


def test_a_broken_manifest_is_an_error() -> None:
    message, hint = error_of({"Cargo.toml": "["}, InvalidFile)
    assert message.startswith("Cargo.toml cannot be read: ")
    assert hint == "`cargo check` shows the place. Mend it and commit it."


def _vendored() -> dict[str, str | None]:
    files = {"Cargo.toml": GREETING, "src/lib.rs": LIBRARY}
    sums = {name: _digest(content.encode()) for name, content in files.items()}
    return {
        "Cargo.toml": REQUIRING,
        "Cargo.lock": LOCK.format(checksum=_digest(b"crate")),
        "src/main.rs": MAIN,
        ".cargo/config.toml": '[source.crates-io]\nreplace-with = "own"\n[source.own]\ndirectory = "vendor"\n',
        **{f"vendor/greeting/{name}": content for name, content in files.items()},
        "vendor/greeting/.cargo-checksum.json": json.dumps({"files": sums, "package": _digest(b"crate")}),
    }


def _says(builder: Builder, files: Mapping[str, str | None]) -> str:
    build = builder.commit(files).build
    argv = (builder.bundle(build) / "bin" / "shop", "Ada")
    return subprocess.run(argv, capture_output=True, check=True).stdout.decode()


@pytest.mark.slow
def test_vendored_crates_are_compiled_to_the_same_bytes_in_another_home(builder: Builder, tmp_path: Path) -> None:
    assert _says(builder, _vendored()) == "hello A"
    one = builder.build().build
    binary = (builder.bundle(one) / "bin" / "shop").read_bytes()
    assert b"/app/vendor/greeting/src/lib.rs" in binary
    assert str(tmp_path).encode() not in binary
    two = Builder(Home(tmp_path / "a" / "much" / "longer" / "home"), builder.repository).build().build
    assert (one.id, one.layers) == (two.id, two.layers)


class _Registry(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def _crate() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {"Cargo.toml": GREETING, "src/lib.rs": LIBRARY}.items():
            member = tarfile.TarInfo(f"greeting-1.0.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


@pytest.fixture
def fetched(tmp_path: Path) -> Iterator[dict[str, str | None]]:
    """An app whose crate comes from a registry. https://doc.rust-lang.org/cargo/reference/registry-index.html"""
    crate, index = _crate(), tmp_path / "site" / "index"
    (index / "gr" / "ee").mkdir(parents=True)
    (tmp_path / "site" / "greeting-1.0.0.crate").write_bytes(crate)
    entry = {"name": "greeting", "vers": "1.0.0", "deps": [], "features": {}, "cksum": _digest(crate), "yanked": False}
    (index / "gr" / "ee" / "greeting").write_text(json.dumps(entry) + "\n")
    handler = functools.partial(_Registry, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        (index / "config.json").write_text(json.dumps({"dl": f"{url}/{{crate}}-{{version}}.crate"}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "Cargo.toml": REQUIRING,
            "Cargo.lock": LOCK.format(checksum=_digest(crate)),
            "src/main.rs": MAIN,
            ".cargo/config.toml": (
                '[source.crates-io]\nreplace-with = "own"\n'
                f'[source.own]\nregistry = "sparse+{url}/index/"\n[build]\nrustc = "./evil"\nrustc-wrapper = "./evil"\n'
            ),
            "evil": "#!/bin/sh\necho evil was run\n",
        }
        server.shutdown()


@pytest.mark.slow
def test_crates_are_fetched_without_running_anything_of_the_app_and_compiled_once(
    builder: Builder, fetched: dict[str, str | None]
) -> None:
    builder.repository.write(fetched)
    (builder.repository.path / "evil").chmod(0o755)
    assert _says(builder, {}) == "hello A"
    assert list(zip(builder.told.steps[1:], builder.told.phases[1:], strict=True)) == [
        ("fetching crates", "fetch"),
        ("checking Cargo.lock against Cargo.toml", "fetch"),
        ("compiling shop", "compile"),
        ("collecting programs", "compile"),
    ]
    assert not any("evil" in line for line in builder.told.lines)
    assert any("Compiling greeting" in line for line in builder.told.lines)
    assert _says(builder, {"src/main.rs": MAIN.replace('"{}"', '"{}!"')}) == "hello A!"
    assert not any("Compiling greeting" in line for line in builder.told.lines)


@pytest.mark.slow
def test_a_lockfile_that_does_not_match_is_an_error(builder: Builder) -> None:
    with pytest.raises(LockfileError) as caught:
        builder.commit({**_vendored(), "Cargo.lock": ALONE})
    assert caught.value.message == "Cargo.lock does not match its manifest."
    assert caught.value.hint == "Run `cargo update --workspace` and commit Cargo.lock."
    assert any("Cargo.lock" in line and "--locked" in line for line in caught.value.detail)


@pytest.mark.slow
def test_code_that_is_wrong_is_told_in_cargos_words(builder: Builder) -> None:
    with pytest.raises(StepFailed) as caught:
        builder.commit({"Cargo.toml": PACKAGE, "Cargo.lock": ALONE, "src/main.rs": "fn main() { wrong }\n"})
    assert caught.value.message == "Compiling shop ended with exit status 101."
    assert any("src/main.rs:1" in line for line in caught.value.detail)


def test_a_machine_without_a_rust_that_suits_is_an_error(home: Home, repository: Repository, tmp_path: Path) -> None:
    """As with a rustup that has no toolchain, beside a cargo of the distribution's that it is to be asked before."""
    rustup = tmp_path / "bin" / "rustup"
    rustup.parent.mkdir()
    rustup.write_text("#!/bin/sh\necho \"error: toolchain 'none-such' is not installed\" >&2\nexit 1\n")
    rustup.chmod(0o755)
    builder = Builder(home, repository, caller={**os.environ, "PATH": str(rustup.parent), "RUSTUP_HOME": "/nowhere"})
    with pytest.raises(MachineError) as caught:
        builder.commit({"Cargo.toml": PACKAGE, "Cargo.lock": ALONE, "src/main.rs": "", "rust-toolchain": "none-such"})
    assert caught.value.message == "No Cargo on this machine suits the app."
    assert caught.value.detail == ("error: toolchain 'none-such' is not installed",)
    assert caught.value.hint == (
        "Install Rust, with rustup (https://rustup.rs) or `apt-get install cargo`, so that it is on PATH; "
        "a toolchain that rust-toolchain.toml names, with `rustup toolchain install`."
    )
