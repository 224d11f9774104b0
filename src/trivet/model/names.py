"""Names, parsed once and strictly: whoever holds one of these types holds a valid name."""

import re
from dataclasses import dataclass
from typing import NewType

from trivet.errors import ConfigError, InvalidName

AppName = NewType("AppName", str)
DeployName = NewType("DeployName", str)

DEFAULT_DEPLOY = DeployName("production")
RELEASE_PROCESS = "release"
WEB_PROCESS = "web"

_APP = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PROCESS_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 40

OWNED_VARIABLES = frozenset({"PORT", "PATH", "HOME", "TMPDIR", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
OWNED_PREFIX = "TRIVET_"


@dataclass(frozen=True, slots=True, order=True)
class Deploy:
    """One running instance of an app, `shop/production`: its own config, ledger and formation."""

    app: AppName
    name: DeployName

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"


def parse_app_name(text: str) -> AppName:
    """The app's name. Raises: InvalidName."""
    return AppName(_parse_dashed(text, "app"))


def parse_deploy_name(text: str) -> DeployName:
    """The deploy's name. Raises: InvalidName."""
    return DeployName(_parse_dashed(text, "deploy"))


def parse_deploy(text: str) -> Deploy:
    """The deploy that `str` makes this text of, `shop/production`. Raises: InvalidName."""
    app, _, name = text.partition("/")
    return Deploy(parse_app_name(app), parse_deploy_name(name))


def is_process_type(text: str) -> bool:
    """Whether a process type may be called so."""
    return _PROCESS_TYPE.fullmatch(text) is not None and len(text) <= _LONGEST


def parse_process_type(text: str) -> str:
    """The process type's name, as Heroku and honcho allow it. Raises: InvalidName."""
    if is_process_type(text):
        return text
    raise InvalidName(
        f"{text!r} is not a name for a process type.",
        hint="Use letters, digits, '-' and '_', starting with a letter, at most 40 characters.",
    )


def parse_variable(text: str) -> str:
    """The name of a config key. Raises: ConfigError for what is no variable name or belongs to Trivet."""
    if not _VARIABLE.fullmatch(text):
        raise ConfigError(
            f"{text!r} is not a valid variable name.",
            hint="Use letters, digits and '_', not starting with a digit, for example DATABASE_URL.",
        )
    if text in OWNED_VARIABLES or text.startswith(OWNED_PREFIX):
        raise ConfigError(
            f"{text} is set by Trivet for every process and cannot be part of the config.",
            hint="Choose another name. docs/reference/environment.md lists what Trivet sets.",
        )
    return text


def _parse_dashed(text: str, what: str) -> str:
    if _APP.fullmatch(text) and len(text) <= _LONGEST:
        return text
    raise InvalidName(
        f"{text!r} is not a name for {'an' if what == 'app' else 'a'} {what}.",
        hint="Use lower-case letters, digits and single dashes between them, starting with a letter, "
        "at most 40 characters, for example 'shop' or 'my-shop-2'.",
    )
