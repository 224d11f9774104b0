"""Situation: a deploy as a command finds it, read from the ledger, the config and the run stage. Nothing is changed."""

from trivet.flows.installation import Installation
from trivet.model.config import Config, ConfigVersion
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Start
from trivet.model.release import Record
from trivet.release import ConfigStore, Ledger, Quarantine
from trivet.run import Machine


@frozen
class Situation:
    """What a plan starts from. `current` is the newest good release, `config` what the next release starts from.

    `pending` are releases without an outcome, which a command settles before anything else.
    """

    deploy: Deploy
    start: Start
    config: ConfigVersion
    current: Record | None = None
    pending: tuple[Record, ...] = ()
    quarantines: tuple[Quarantine, ...] = ()

    @property
    def released_config(self) -> Config:
        """The config of the current release; empty before there is one."""
        return self.config.config if self.current is not None else Config()


def read_situation(installation: Installation, deploy: Deploy) -> Situation:
    """The deploy as it is now, to be planned from; no file is made, not even where nothing is yet."""
    if not installation.home.database.exists():
        return Situation(deploy, _start(Machine(installation.home), deploy), ConfigVersion(0, Config()))
    with Ledger(installation.home) as ledger, ConfigStore(installation.home) as store:
        return find_situation(ledger, store, Machine(installation.home), deploy)


def find_situation(ledger: Ledger, store: ConfigStore, machine: Machine, deploy: Deploy) -> Situation:
    """The deploy as it is now."""
    config, current = store.current(deploy), ledger.current(deploy)
    start = _start(machine, deploy, current=current, last=ledger.last_number(deploy), config_version=config.version)
    return Situation(deploy, start, config, current, ledger.pending(deploy), ledger.quarantines(deploy))


def _start(
    machine: Machine, deploy: Deploy, *, current: Record | None = None, last: int = 0, config_version: int = 0
) -> Start:
    build = current.release.build if current else None
    return Start(
        last=last,
        release=current.release.number if current else None,
        build=build.id if build else None,
        commit=build.source.commit if build else None,
        subject=build.source.subject if build else None,
        config_version=config_version,
        formation=machine.formation(deploy).counts,
        is_stopped=machine.is_stopped(deploy),
        address=machine.address(deploy),
    )
