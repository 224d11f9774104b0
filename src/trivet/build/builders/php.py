"""PHP: the packages of composer.lock, in the app's own `vendor`, where every framework looks for them.

A folder beside the app could not be that: layers are stored apart, and `vendor/autoload.php` is looked for in the app's tree.
A layer of settings tells PHP where it may write when it runs.
"""

import json
from hashlib import sha256

from trivet.build.steps import APP, command_steps, declared
from trivet.errors import LockfileError
from trivet.model.build_plan import (
    BUNDLE,
    CACHE,
    SCRATCH,
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

NAME = "php"
LOOKED_FOR = "composer.json, index.php or public/index.php (PHP)"

_ENVIRONMENT = {
    "COMPOSER_ALLOW_SUPERUSER": "1",  # else it leaves plugins out, without an error, where the deploying user is root
    "COMPOSER_HOME": f"{SCRATCH}/composer",
    "COMPOSER_NO_INTERACTION": "1",
}
_OFFLINE = {**_ENVIRONMENT, "COMPOSER_CACHE_DIR": f"{SCRATCH}/composer/cache", "COMPOSER_DISABLE_NETWORK": "1"}
_FETCHING = ("COMPOSER_AUTH",)
_WITH_ERRORS = 2  # https://getcomposer.org/doc/03-cli.md#validate
# PHP writes to /tmp unless told otherwise, where a process may not; opcache then ends it. ${TMPDIR} is filled in by PHP.
_INI = """\
sys_temp_dir = ${TMPDIR}
upload_tmp_dir = ${TMPDIR}
session.save_path = ${TMPDIR}
opcache.lockfile_path = ${TMPDIR}
"""
_SET_UP_AND_RUN = 'mkdir -p "$COMPOSER_HOME" && echo "$0" > "$COMPOSER_HOME/config.json" && exec "$@"'
_QUIETLY = ("--no-dev", "--no-scripts", "--no-plugins", "--prefer-dist", "--no-progress")


def recognise(tree: SourceTree) -> bool:
    """Whether there is PHP to be run: what else has a page in PHP would be served as it is written."""
    return any(name in tree.files for name in ("composer.json", "index.php", "public/index.php"))


def plan(tree: SourceTree, settings: Settings) -> BuildPlan:
    """The app with its packages in `vendor`, and a few settings. Raises: LockfileError."""
    has_packages = "composer.json" in tree.files
    if has_packages and "composer.lock" not in tree.files:
        raise LockfileError(
            "There is composer.json, but no composer.lock that says which versions to install.",
            hint="Run `composer update` and commit composer.lock.",
        )
    install = _install(tree, settings) if has_packages else ()
    composer = Tool("composer", "Install it, for example with `apt-get install composer unzip`.")
    php = Tool("php", "Install it, for example with `apt-get install php-cli`.", is_runtime=True)
    return BuildPlan(
        builder=NAME,
        layers=(
            LayerPlan("settings", files={"trivet.ini": _INI}, inputs=()),
            LayerPlan("app", (*install, *command_steps(settings, _OFFLINE)), with_source=True),
        ),
        environment={"PHP_INI_SCAN_DIR": f":{BUNDLE}/settings"},
        tools=(php, composer) if has_packages else (php,),
        no_default=None if "Procfile" in tree.files else _no_default(),
    )


def _install(tree: SourceTree, settings: Settings) -> tuple[Step, ...]:
    """Packages are fetched and put into their places; only then, without the network, may their scripts and plugins run."""
    run = _composer(tree.read("composer.lock") or "")
    check = Step(
        "checking composer.lock against composer.json",
        (*run, "validate", "--no-check-all", "--no-check-publish"),
        directory=APP,
        environment=_OFFLINE,
        hint="Composer's words say which of the two is wrong. Run `composer update --lock` and commit composer.lock.",
        checks="composer.lock",
        differs=_WITH_ERRORS,
    )
    fetch = Step(
        "installing packages from composer.lock",
        (*run, "install", *_QUIETLY),
        Phase.FETCH,
        APP,
        {**_ENVIRONMENT, "COMPOSER_CACHE_DIR": f"{CACHE}/composer"},
        passes=_FETCHING,
        hint="Composer's words say which package it is about, or which PHP or extension the packages need "
        "(`apt-get install php-NAME` for ext-NAME).",
    )
    autoload = Step(
        "writing the autoloader",
        (*run, "dump-autoload", "--no-dev", "--optimize"),
        directory=APP,
        environment={**declared(settings, Phase.COMPILE), **_OFFLINE},
        hint="Scripts of composer.json run here. They see no config: what they need goes into trivet.toml, [build.environment].",
    )
    is_vendored = any(path.startswith("vendor/composer/") for path in tree.files)
    return (check, autoload) if is_vendored else (check, fetch, autoload)


def _composer(lock: str) -> tuple[str, ...]:
    """Composer, told to name the autoloader's classes by the lockfile: older ones name them by chance."""
    suffix = sha256(lock.encode()).hexdigest()[:32]
    chosen = literal(json.dumps({"config": {"autoloader-suffix": suffix}}))
    return ("/bin/sh", "-c", _SET_UP_AND_RUN, chosen, "{composer}")


def _no_default() -> NoDefault:
    return NoDefault(
        "PHP needs a web server in front of it, and which one is yours to say",
        "Commit a file called Procfile, for example with `web: lighttpd -D -f lighttpd.conf` (docs/how-to/php-apps.md has the "
        "lighttpd.conf), or `web: php YOUR_SERVER.php` for a server that is written in PHP. `php -S` is for development only.",
    )
