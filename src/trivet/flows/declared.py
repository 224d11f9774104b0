"""Declared: how a deploy's config stands against what the app declares. Nothing is changed."""

from trivet.build import read_settings
from trivet.errors import NothingReleased, UnfitConfig
from trivet.flows.build import BuildChoice
from trivet.flows.installation import Installation
from trivet.model.config import Config
from trivet.model.declaration import Declaration
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.release import ConfigStore, Finding, Ledger, check_declared, examine


@frozen
class ConfigCheck:
    """How every key stands; `against` says what declares them, `unfit` is what a release would be refused with."""

    against: str
    config: Config
    findings: tuple[Finding, ...]
    unfit: UnfitConfig | None


def check_config(installation: Installation, deploy: Deploy, source: BuildChoice | None) -> ConfigCheck:
    """The deploy's config against the declarations of a commit, or of the build of its good release.

    Raises: NothingReleased, if there is neither; SourceError, InvalidFile.
    """
    against, declarations = _of_release(installation, deploy) if source is None else _of_commit(source)
    with ConfigStore(installation.home) as store:
        config = store.current(deploy).config
    return ConfigCheck(against, config, examine(declarations, config), _unfit(deploy, declarations, config))


def _of_commit(source: BuildChoice) -> tuple[str, tuple[Declaration, ...]]:
    return source.revision, read_settings(source.repository, source.revision, source.directory).config


def _of_release(installation: Installation, deploy: Deploy) -> tuple[str, tuple[Declaration, ...]]:
    with Ledger(installation.home) as ledger:
        current = ledger.current(deploy)
    if current is None:
        raise NothingReleased(
            f"{deploy} has no good release whose build would declare config.",
            hint="`trivet config check HEAD`, in the repository, checks against what that commit declares.",
        )
    return current.release.name, current.release.build.declarations


def _unfit(deploy: Deploy, declarations: tuple[Declaration, ...], config: Config) -> UnfitConfig | None:
    try:
        check_declared(deploy, declarations, config)
    except UnfitConfig as error:
        return error
    return None
