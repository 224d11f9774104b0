"""Ruby: the gems of Gemfile.lock, through Bundler, and the app beside them.

A Gemfile is a program, and so is the build of many gems. So what fetches reads Gemfile.lock only, and Bundler comes after it,
without the network, and installs what lies in a folder. A `vendor/cache` of the commit is such a folder.
"""

from trivet.build.gemfile_lock import GemfileLock, LockedGem, parse_gemfile_lock
from trivet.build.steps import APP, command_steps, declared
from trivet.errors import LockfileError
from trivet.model.build_plan import (
    BUNDLE,
    CACHE,
    SCRATCH,
    SOURCE,
    BuildPlan,
    LayerPlan,
    NoDefault,
    Phase,
    SourceTree,
    Step,
    Tool,
    literal,
)
from trivet.model.settings import Settings

NAME = "ruby"
LOOKED_FOR = "Gemfile (Ruby)"

_GEMS = f"{BUNDLE}/dependencies"
_DOWNLOADED = f"{CACHE}/ruby/gems"
_COLLECTED = f"{SCRATCH}/gems"
_VENDORED = "vendor/cache/"
_BUNDLER = {
    "BUNDLE_APP_CONFIG": f"{_GEMS}/.bundle",  # which is not there: a committed .bundle/config would go before all of these
    "BUNDLE_DEPLOYMENT": "true",
    "BUNDLE_PATH": _GEMS,
    "BUNDLE_WITHOUT": "development:test",
}
_ENVIRONMENT = {
    **_BUNDLER,
    "BUNDLE_GEMFILE": f"{APP}/Gemfile",
    "BOOTSNAP_READONLY": "true",
    "RACK_ENV": "production",
    "RAILS_ENV": "production",
    "RAILS_LOG_TO_STDOUT": "1",
    "RAILS_SERVE_STATIC_FILES": "1",
}
_TOOLS = (
    Tool("ruby", "Install it, for example with `apt-get install ruby ruby-dev`.", is_runtime=True),
    Tool("bundler", "Install it, for example with `apt-get install ruby-bundler` or `gem install bundler`."),
)
_IN_FOLDER = 'mkdir -p "$0" && cd "$0" && exec "$@"'
# What compiling extensions leaves holds times and paths of this machine, and nothing reads it. Gems that come compiled stay
# as they are.
_TIDY = """mkdir -p "$0" && cd "$0" && rm -rf ruby/*/cache
for made in ruby/*/extensions/*/*/*; do
  [ -d "$made" ] || continue
  gem="${made%%/extensions/*}/gems/${made##*/}"
  rm -f "$made/mkmf.log" "$made/gem_make.out"
  find "$gem/ext" \\( -name '*.o' -o -name '*.so' -o -name Makefile -o -name mkmf.log \\) -delete 2>/dev/null
  find "$made" "$gem/lib" -name '*.so' -exec strip --strip-debug --remove-section=.note.gnu.build-id {} + 2>/dev/null
done
:"""
_RAILS = "bin/rails server --binding 127.0.0.1 --port $PORT --pid $TMPDIR/server.pid"
_PUMA = "bundle exec puma --bind tcp://127.0.0.1:$PORT"
_OUT_OF_STEP = 16  # https://github.com/rubygems/rubygems/blob/master/bundler/lib/bundler/errors.rb: ProductionError


def recognise(tree: SourceTree) -> bool:
    """Whether there is a Gemfile."""
    return "Gemfile" in tree.files


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """A layer of gems, found by its lockfile, and an app layer. Raises: LockfileError."""
    lock = _read_lock(tree)
    has_procfile = "Procfile" in tree.files
    web = None if has_procfile else _default_web(tree, lock)
    fetch = _fetch(tree, lock)
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan("dependencies", (*fetch, *_install(tree, settings)), inputs=_inputs(tree, lock)),
            LayerPlan(
                "app", (*command_steps(settings, _ENVIRONMENT), *_assets(tree, lock, settings)), with_source=True
            ),
        ),
        environment=_ENVIRONMENT,
        processes={"web": web} if web else {},
        tools=(*_TOOLS, Tool("gem", "It comes with Ruby: `apt-get install ruby`.")) if fetch else _TOOLS,
        no_default=None if web or has_procfile else _no_default(tree, lock),
    )


def _read_lock(tree: SourceTree) -> GemfileLock:
    text = tree.read("Gemfile.lock")
    if text is None:
        raise LockfileError(
            "There is Gemfile, but no Gemfile.lock that says which versions to install.",
            hint="Run `bundle lock` and commit Gemfile.lock.",
        )
    lock = parse_gemfile_lock(text)
    if not _is_vendored(tree) and "GIT" in lock.kinds:
        raise LockfileError(
            "Gemfile.lock names a gem that is a git repository, and such a gem is not in the commit.",
            hint="Run `bundle config set cache_all true` and `bundle cache`, and commit the folder vendor/cache.",
        )
    return lock


def _is_vendored(tree: SourceTree) -> bool:
    return any(path.startswith(_VENDORED) for path in tree.files)


def _inputs(tree: SourceTree, lock: GemfileLock) -> tuple[str, ...] | None:
    """A gem that lies in the source may have anything of it as its input."""
    if "PATH" in lock.kinds:
        return None
    vendored = tuple(path for path in tree.files if path.startswith(_VENDORED))
    return ("Gemfile", "Gemfile.lock", ".ruby-version", ".tool-versions", *vendored)


def _fetch(tree: SourceTree, lock: GemfileLock) -> tuple[Step, ...]:
    """The files of all locked gems, those of unused groups too: which group a gem is in, only the Gemfile knows."""
    if _is_vendored(tree) or not lock.gems:
        return ()
    fetches = tuple(
        Step(
            f"downloading {len(gems)} gems from {literal(address)}",
            ("/bin/sh", "-c", _IN_FOLDER, _DOWNLOADED, "{gem}", "fetch", *_asked(address, platform), *gems),
            Phase.FETCH,
            environment={"GEM_SPEC_CACHE": f"{CACHE}/ruby/specs"},
            hint="gem's words say which gem it is about.",
        )
        for address, locked in lock.gems.items()
        for platform, gems in _by_platform(locked)
    )
    collect = Step("collecting gems", ("cp", "-R", _DOWNLOADED, _COLLECTED), Phase.FETCH)
    return (*fetches, collect)


def _asked(address: str, platform: str) -> tuple[str, ...]:
    return ("--clear-sources", "--source", literal(address), *(("--platform", platform) if platform else ()))


def _by_platform(locked: tuple[LockedGem, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Gems as `gem fetch` names them, by the platform to ask for; "" lets it choose the one that suits the machine."""
    compiled = {gem.name for gem in locked if gem.platform}
    asked = {gem.name: f"{gem.name}:{gem.version}" for gem in locked}
    suiting = tuple(literal(text) for name, text in asked.items() if name in compiled)
    plain = tuple(literal(text) for name, text in asked.items() if name not in compiled)
    return tuple((platform, gems) for platform, gems in (("ruby", plain), ("", suiting)) if gems)


def _install(tree: SourceTree, settings: Settings) -> tuple[Step, ...]:
    install = Step(
        "installing gems from Gemfile.lock",
        ("{bundler}", "install", "--local", "--jobs", "2"),
        environment={
            **declared(settings, Phase.COMPILE),
            **_BUNDLER,
            "BUNDLE_CACHE_PATH": f"{SOURCE}/vendor/cache" if _is_vendored(tree) else _COLLECTED,
            "BUNDLE_GEMFILE": f"{SOURCE}/Gemfile",
            "BUNDLE_SILENCE_ROOT_WARNING": "true",
        },
        hint="Bundler's words say which gem or which Ruby it is about. If Gemfile was changed: "
        "run `bundle lock` and commit Gemfile.lock.",
        checks="Gemfile.lock",
        differs=_OUT_OF_STEP,
    )
    return install, Step("tidying gems", ("/bin/sh", "-c", literal(_TIDY), _GEMS), directory=BUNDLE)


def _assets(tree: SourceTree, lock: GemfileLock, settings: Settings) -> tuple[Step, ...]:
    """Rails' stylesheets and scripts, ready to be served. A key is needed, not the app's: nothing is signed with it."""
    if not (_is_rails(tree, lock) and lock.has("sprockets", "propshaft")):
        return ()
    return (
        Step(
            "compiling assets",
            ("/bin/sh", "-c", "bin/rails assets:precompile && rm -rf tmp/cache"),
            directory=APP,
            environment={
                "SECRET_KEY_BASE": "only-for-the-build",
                "SECRET_KEY_BASE_DUMMY": "1",
                **declared(settings, Phase.COMPILE),
                **_ENVIRONMENT,
            },
            hint="It sees no config: what the app must find to be loaded goes into trivet.toml, [build.environment].",
        ),
    )


def _is_rails(tree: SourceTree, lock: GemfileLock) -> bool:
    return lock.has("railties") and "bin/rails" in tree.files


def _default_web(tree: SourceTree, lock: GemfileLock) -> str | None:
    if _is_rails(tree, lock):
        return _RAILS
    return _PUMA if "config.ru" in tree.files and lock.has("puma") else None


def _no_default(tree: SourceTree, lock: GemfileLock) -> NoDefault:
    if "config.ru" in tree.files:
        return NoDefault(
            "there is a config.ru, but puma is not among the gems",
            f"Add puma with `bundle add puma`; then `{_PUMA}` is run. Or commit a file called Procfile with a command that "
            "serves on 127.0.0.1:$PORT.",
        )
    return NoDefault(
        "there is neither bin/rails with Rails among the gems, nor a config.ru",
        "Commit a file called Procfile with a command that serves on 127.0.0.1:$PORT, "
        "for example `web: bundle exec ruby server.rb`.",
    )
