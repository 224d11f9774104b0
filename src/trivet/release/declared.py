"""Whether a config is what an app declares, and what a release adds to it: generated values and declared marks."""

import secrets
from collections.abc import Iterable, Iterator
from enum import StrEnum

from trivet.errors import UnfitConfig
from trivet.model.config import Config, Marking
from trivet.model.declaration import Declaration, fits
from trivet.model.frozen import frozen
from trivet.model.names import DEFAULT_DEPLOY, Deploy

_GENERATED_BYTES = 32


class KeyState(StrEnum):
    """How a key stands between a config and what is declared."""

    SET = "set"
    MISSING = "missing"
    MISTYPED = "mistyped"
    DEFAULT = "default"
    TO_GENERATE = "to generate"
    UNSET = "unset"
    UNDECLARED = "undeclared"


_UNFIT = (KeyState.MISSING, KeyState.MISTYPED)


@frozen
class Finding:
    """How one key stands; `declaration` is None for a key that is only in the config."""

    key: str
    state: KeyState
    declaration: Declaration | None = None

    @property
    def is_unfit(self) -> bool:
        return self.state in _UNFIT


def examine(declarations: Iterable[Declaration], config: Config) -> tuple[Finding, ...]:
    """How every key stands that is declared, in that order; then those that are only in the config."""
    declared = {each.key: each for each in declarations}
    others = sorted(config.values.keys() - declared.keys())
    return (
        *(Finding(key, _state(each, config), each) for key, each in declared.items()),
        *(Finding(key, KeyState.UNDECLARED) for key in others),
    )


def check_declared(deploy: Deploy, declarations: Iterable[Declaration], config: Config) -> None:
    """The config has all keys that are required, and all values are of their types. Raises: UnfitConfig, naming every one."""
    unfit = [finding for finding in examine(declarations, config) if finding.is_unfit]
    if unfit:
        names = ", ".join(finding.key for finding in unfit)
        where = "" if deploy.name == DEFAULT_DEPLOY else f" -d {deploy.name}"
        raise UnfitConfig(
            f"The config of {deploy} is not what the app's trivet.toml asks for: {names}.",
            hint=f"Set {'it' if len(unfit) == 1 else 'them all at once'}: trivet config set "
            f"{' '.join(f'{finding.key}=…' for finding in unfit)}{where}. Nothing was released.",
            detail=tuple(_tell(unfit)),
        )


def complete(declarations: tuple[Declaration, ...], config: Config) -> Config:
    """The config that a release has: with the values that are to be generated and are not there, and with declared marks."""
    made = {
        each.key: secrets.token_hex(_GENERATED_BYTES)
        for each in declarations
        if each.is_generated and each.key not in config.values
    }
    marking = Marking(
        secret={each.key: True for each in declarations if each.secret},
        live={each.key: True for each in declarations if each.live},
    )
    return config.changed(made, marking)


def _state(declaration: Declaration, config: Config) -> KeyState:
    value = config.values.get(declaration.key)
    if value is not None:
        return KeyState.SET if fits(value, declaration.value_type) else KeyState.MISTYPED
    if declaration.is_generated:
        return KeyState.TO_GENERATE
    if declaration.default is not None:
        return KeyState.DEFAULT
    return KeyState.MISSING if declaration.is_required else KeyState.UNSET


def _tell(unfit: Iterable[Finding]) -> Iterator[str]:
    for finding in unfit:
        declared = finding.declaration
        assert declared is not None, "only what is declared can be unfit"
        what = "is missing" if finding.state is KeyState.MISSING else f"is no {declared.value_type.value}"
        kind = f" ({declared.value_type.value})" if finding.state is KeyState.MISSING else ""
        yield f"{finding.key} {what}{kind}{f': {declared.description}' if declared.description else ''}"
