"""Django: static files that are collected while building, if the app's settings say where to."""

import re

from trivet.build.packages import Packages
from trivet.build.steps import APP, PYTHON_ENVIRONMENT, declared
from trivet.model.build_plan import Phase, SourceTree, Step
from trivet.model.settings import Settings

COLLECTING = (
    "Static files are collected with `python manage.py collectstatic --noinput`, since {file} has a STATIC_ROOT; "
    "`collectstatic = false` under [build] in trivet.toml turns that off."
)

_STATIC_ROOT = re.compile(r"^[ \t]*STATIC_ROOT\s*(?::[^=\n]*)?=(?!\s*None\b)", re.M)
_SETTINGS = re.compile(r"(?:^|/)settings(?:/[^/]+)?\.py$|(?:^|/)[^/]*settings[^/]*\.py$")


def static_settings(tree: SourceTree, packages: Packages, settings: Settings) -> str | None:
    """The file that says where the app's static files are collected; None if they are not, or commands do it already."""
    chosen = settings.build.collectstatic
    is_done = any("collectstatic" in command for command in settings.build.commands)
    if chosen is False or is_done or "manage.py" not in tree.files or "django" not in packages.names:
        return None
    found = next((path for path in tree.files if _SETTINGS.search(path) and _has_root(tree.read(path) or "")), None)
    return found or ("trivet.toml" if chosen else None)


def collect_static(settings: Settings) -> Step:
    """The static files are where the settings want them."""
    return Step(
        title="collecting static files",
        argv=("python", "manage.py", "collectstatic", "--noinput"),
        directory=APP,
        environment={**declared(settings, Phase.COMPILE), **PYTHON_ENVIRONMENT},
        hint="A build sees no config: if the settings ask for a variable, such as SECRET_KEY, declare one that is only for the "
        "build in trivet.toml, under [build.environment]. `collectstatic = false` under [build] leaves static files alone.",
    )


def _has_root(text: str) -> bool:
    return _STATIC_ROOT.search(text) is not None
