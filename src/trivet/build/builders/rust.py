"""Rust: a crate's or a workspace's programs, compiled by cargo from what Cargo.lock says.

The binaries are a layer of their own, first on PATH, beside the app's tree. What compiles has no network. What it compiled is
kept in the app's cache: only what changed is compiled again.
"""

from shlex import quote

from trivet.build.cargo_manifest import read_programs, refuse_programs_of_the_app
from trivet.build.programs import explain_no_default, processes_of
from trivet.build.steps import APP, command_steps, declared
from trivet.errors import LockfileError
from trivet.model.build_plan import (
    BUNDLE,
    CACHE,
    RUSTUP,
    SCRATCH,
    BuildPlan,
    LayerPlan,
    Phase,
    SourceTree,
    Step,
    Tool,
    literal,
)
from trivet.model.settings import Settings

NAME = "rust"
LOOKED_FOR = "Cargo.toml (Rust)"

_CARGO = "{cargo}"
_HOME = f"{CACHE}/rust/home"
_TARGET = f"{CACHE}/rust/target"
_LOCK = f"{CACHE}/rust/lock"
_PROGRAMS = f"{SCRATCH}/programs"
_COMMITTED = f"{SCRATCH}/Cargo.lock"
_ENVIRONMENT = {
    "CARGO_HOME": _HOME,
    "CARGO_INCREMENTAL": "0",
    "CARGO_TERM_COLOR": "never",
    # A .cargo/config.toml of the app may name other ones, which are programs; cargo asks the compiler while it fetches.
    "RUSTC": "{rustc}",
    "RUSTC_WRAPPER": "",
    "RUSTC_WORKSPACE_WRAPPER": "",
}
_FETCHING = ("CARGO_HTTP_CAINFO", "CARGO_HTTP_PROXY", "CARGO_NET_GIT_FETCH_WITH_CLI")
_FIND = 'if command -v rustup >/dev/null; then RUSTUP_HOME="$0" rustup which cargo; else command -v cargo; fi'
_BESIDE = 'echo "${0%/*}/rustc"'
_KEEP_AND_RUN = 'cp Cargo.lock "$0" && exec "$@"'
_PUT_BACK_AND_RUN = 'cp "$0" Cargo.lock && exec "$@"'
_ANY_FAILURE = 101
_REMAP = f'build.rustflags=["--remap-path-prefix={_HOME}=/cargo"]'
# Crates in the commit are compiled by their whole path, which is another one for each commit.
_IN_APP = ' --config "build.rustflags=[\\"--remap-path-prefix=$(pwd -P)=/app\\"]"'


def recognise(tree: SourceTree) -> bool:
    """Whether there is a Cargo.toml."""
    return "Cargo.toml" in tree.files


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """The app layer, as committed but for what its commands make, and a layer of binaries.

    Raises: LockfileError, DetectionError, InvalidFile.
    """
    programs = read_programs(tree, settings)
    refuse_programs_of_the_app(tree)
    if "Cargo.lock" not in tree.files:
        raise LockfileError(
            "There is Cargo.toml, but no Cargo.lock that says which versions to compile.",
            hint="Run `cargo generate-lockfile` and commit Cargo.lock.",
        )
    has_procfile = "Procfile" in tree.files
    collecting = Step("collecting programs", ("cp", "-R", _PROGRAMS, f"{BUNDLE}/bin"), directory=BUNDLE)
    # Before the app is stored: cargo goes by the times of files, and those of a layer do not say when they changed.
    compiling = _compile(programs, settings, is_vendored=_is_vendored(tree))
    processes = {} if has_procfile else processes_of(programs)
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan("app", (*_fetch(), *command_steps(settings, {}), compiling), with_source=True),
            LayerPlan("bin", (collecting,)),
        ),
        environment={"PATH": f"{BUNDLE}/bin"},
        processes=processes,
        tools=_tools(),
        no_default=None if processes or has_procfile else explain_no_default(programs),
    )


def _tools() -> tuple[Tool, ...]:
    """Where there is rustup, it is asked which toolchain suits, as a rust-toolchain.toml may say. It installs none."""
    hint = (
        "Install Rust, with rustup (https://rustup.rs) or `apt-get install cargo`, so that it is on PATH; "
        "a toolchain that rust-toolchain.toml names, with `rustup toolchain install`."
    )
    quiet = {"RUSTUP_AUTO_INSTALL": "0"}
    cargo = Step(
        "finding Cargo", ("/bin/sh", "-c", _FIND, RUSTUP), Phase.FETCH, environment=quiet, passes=("PATH",), hint=hint
    )
    rustc = Step("finding Rust", ("/bin/sh", "-c", literal(_BESIDE), _CARGO), Phase.FETCH, hint=hint)
    linker = Tool("cc", "Rust links with it: install it, for example with `apt-get install gcc libc6-dev`.")
    return Tool("cargo", hint, (cargo,)), Tool("rustc", hint, (rustc,)), linker


def _fetch() -> tuple[Step, ...]:
    """The crates are in the cache, and Cargo.lock is as committed.

    Cargo may mend its lockfile while it fetches: a failure is then one of the network. Whether the committed one would do is
    asked afterwards.
    """
    fetch = Step(
        "fetching crates",
        ("/bin/sh", "-c", _KEEP_AND_RUN, _COMMITTED, _CARGO, "fetch"),
        Phase.FETCH,
        APP,
        _ENVIRONMENT,
        passes=_FETCHING,
        hint="cargo's words say which crate it is about.",
    )
    check = Step(
        "checking Cargo.lock against Cargo.toml",
        ("/bin/sh", "-c", _PUT_BACK_AND_RUN, _COMMITTED, _CARGO, "fetch", "--locked", "--offline"),
        Phase.FETCH,
        APP,
        _ENVIRONMENT,
        hint="Run `cargo update --workspace` and commit Cargo.lock.",
        checks="Cargo.lock",
        differs=_ANY_FAILURE,
    )
    return fetch, check


def _is_vendored(tree: SourceTree) -> bool:
    return any(path.endswith("/.cargo-checksum.json") for path in tree.files)


def _compile(programs: tuple[str, ...], settings: Settings, *, is_vendored: bool) -> Step:
    """Compiled and taken under one lock: another build of the app, at the same time, uses the same folder."""
    how = ("--release", "--locked", "--offline", "--target-dir", _TARGET, "--config", _REMAP)
    chosen = tuple(argument for name in programs for argument in ("--bin", name))
    made = " ".join(f'"{_TARGET}/release/"{literal(quote(name))}' for name in programs)
    script = f'"$@"{_IN_APP if is_vendored else ""} && install -D --target-directory "$0" {made}'
    return Step(
        f"compiling {', '.join(programs)}",
        ("flock", _LOCK, "/bin/sh", "-c", script, _PROGRAMS, _CARGO, "build", *how, *map(literal, chosen)),
        directory=APP,
        environment={**declared(settings, Phase.COMPILE), **_ENVIRONMENT},
        hint="cargo's words say in which file and line. Programs are built for this machine: "
        "`build.target` in .cargo/config.toml must not name another.",
    )
