"""Go: a module's programs, each one static binary. The app's tree stays as it is, for its templates and static files.

The binaries are a layer of their own, first on PATH: the app may have a folder `bin` already, and a change of a template
then leaves them alone. Modules are fetched into the app's cache, or taken from the commit's `vendor`; what compiles has no
network, no cgo, and no path of this machine in it.
"""

from trivet.build.go_module import GoModule, read_module
from trivet.build.programs import explain_no_default, processes_of
from trivet.build.steps import APP, command_steps, declared
from trivet.errors import LockfileError
from trivet.model.build_plan import (
    BUNDLE,
    CACHE,
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

NAME = "go"
LOOKED_FOR = "go.mod (Go)"

_GO = "{go}"
_DOWNLOADED = f"{CACHE}/go/modules"
_UNPACKED = f"{SCRATCH}/go-modules"
_FETCHING = ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOAUTH")
# The one on PATH may be a link to the toolchain, or a script that starts it, which would not find its way in a build.
_FIND = """go=$(command -v go) && "$go" list -m >&2 && root=$("$go" env GOROOT) || exit
[ "$go" -ef "$root/bin/go" ] && echo "$go" || echo "$root/bin/go\""""
_IN_NO_MODULE = "{{if not .Dir}}{{.ImportPath}}: {{.Error}}{{end}}"
_NONE_LEFT = 'missing=$("$@") && [ -z "$missing" ] && exit; [ -z "$missing" ] || echo "$missing"; exit 1'


def recognise(tree: SourceTree) -> bool:
    """Whether the source is a Go module."""
    return "go.mod" in tree.files


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """The app layer, as committed but for what its commands make, and a layer of binaries.

    Raises: LockfileError, DetectionError, InvalidFile.
    """
    module = read_module(tree, settings)
    if module.needs_sums and not module.has_sums and not module.is_vendored:
        raise LockfileError(
            "There is go.mod, but no go.sum that says what the required modules must contain.",
            hint="Run `go mod tidy` and commit go.sum.",
        )
    has_procfile = "Procfile" in tree.files
    processes = {} if has_procfile else processes_of(module.programs)
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan("app", (*_fetch(module, settings), *_commands(module, settings)), with_source=True),
            LayerPlan("bin", (_compile(module, settings),)),
        ),
        environment={"PATH": f"{BUNDLE}/bin"},
        processes=processes,
        tools=(_tool(module),),
        no_default=None if processes or has_procfile else explain_no_default(module.programs),
    )


def _tool(module: GoModule) -> Tool:
    """Go's own toolchain downloads are off: they would be programs that nobody on this machine chose."""
    newest = f"Go {module.go_version} or newer" if module.go_version else "Go"
    hint = (
        f"Install {newest}, from https://go.dev/dl or with `apt-get install golang-go`, so that `go` is on PATH; "
        "or change the `go` line of go.mod."
    )
    environment = {**_plain(module), "GOFLAGS": "-mod=mod", "GOPROXY": "off"}  # whether modules are there is seen later
    find = Step(
        "finding Go", ("/bin/sh", "-c", _FIND), Phase.FETCH, environment=environment, passes=("PATH",), hint=hint
    )
    return Tool("go", hint, (find,), ask_version=("version",))


def _plain(module: GoModule) -> dict[str, str]:
    """What every command of Go gets; a go.work of a folder above is none of the app's."""
    own = {"CGO_ENABLED": "0", "GOENV": "off", "GOFLAGS": module.flags, "GOTOOLCHAIN": "local"}
    return own if module.has_workspace else {**own, "GOWORK": "off"}


def _fetch(module: GoModule, settings: Settings) -> tuple[Step, ...]:
    """The modules are there, and agree with go.mod; in the scratch folder too if commands may want them."""
    if module.is_vendored:
        return (
            _check(module, "vendor/modules.txt", "Run `go mod vendor` and commit the folder vendor.", Phase.COMPILE),
        )
    if not module.needs_sums:
        return ()
    download = Step(
        "downloading modules",
        (_GO, "mod", "download"),
        Phase.FETCH,
        APP,
        {**_plain(module), "GOMODCACHE": _DOWNLOADED},
        passes=_FETCHING,
        hint="go's words say which module it is about. If they speak of a checksum mismatch, the module is not the one that "
        "go.sum was written for: find out why, then remove its lines from go.sum and run `go mod tidy`.",
    )
    check = _check(module, "go.sum", "Run `go mod tidy`, and commit go.mod and go.sum.", Phase.FETCH)
    return (download, check, *((_unpack(module),) if settings.build.commands else ()))


def _check(module: GoModule, lockfile: str, hint: str, phase: Phase) -> Step:
    """Every package that the programs import is found where the lockfile says."""
    ask = (_GO, "list", "-e", "-deps", "-f", literal(_IN_NO_MODULE), *module.packages)
    return Step(
        f"checking {lockfile} against go.mod",
        ("/bin/sh", "-c", _NONE_LEFT, "go", *ask),
        phase,
        APP,
        {**_plain(module), "GOMODCACHE": _UNPACKED if module.is_vendored else _DOWNLOADED, "GOPROXY": "off"},
        hint=hint,
        checks=lockfile,
    )


def _unpack(module: GoModule) -> Step:
    """Commands of the app may not write to its cache; they get modules of their own, made from what was downloaded."""
    downloaded = f"file://{_DOWNLOADED}/cache/download"
    environment = {**_plain(module), "GOMODCACHE": _UNPACKED, "GOPROXY": downloaded, "GOSUMDB": "off"}
    return Step("unpacking modules", (_GO, "mod", "download"), Phase.FETCH, APP, environment)


def _commands(module: GoModule, settings: Settings) -> tuple[Step, ...]:
    return command_steps(settings, {**_plain(module), "GOMODCACHE": _UNPACKED, "GOPROXY": "off"})


def _compile(module: GoModule, settings: Settings) -> Step:
    modules = _UNPACKED if settings.build.commands or module.is_vendored else _DOWNLOADED
    return Step(
        f"compiling {', '.join(module.programs)}",
        (_GO, "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", f"{BUNDLE}/bin/", *module.packages),
        directory=APP,
        environment={
            **declared(settings, Phase.COMPILE),
            **_plain(module),
            "GOCACHE": f"{CACHE}/go/compiled",
            "GOMODCACHE": modules,
            "GOPROXY": "off",
        },
        hint="go's words say in which file and line.",
    )
