"""Domains: names by which deploys are reached from outside, through a Caddy that stands before the front door.

Optional: nothing else depends on it. A release never touches Caddy, since a deploy's address outlives its releases; only a
change of that address does. What Caddy is to know is kept here as well: it may be started anew without it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from trivet.errors import Busy, InputError, MachineError, RunError, TrivetError
from trivet.flows.installation import Installation
from trivet.host import caddy, files, lock
from trivet.model.document import read_document, write_document
from trivet.model.domain import Certificate, Domain, arrange, parse_domain
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import Deploy
from trivet.model.run import Address
from trivet.run import Machine

_TRIES = 5

Change = Callable[[Mapping[str, Domain]], Mapping[str, Domain]]


@frozen
class Listed:
    """A domain, and the address that it leads to (None: its deploy is reached nowhere)."""

    domain: Domain
    address: Address | None


@frozen
class _Known:
    """A domain, and where Caddy was told that it leads."""

    domain: Domain
    told: Address | None


@frozen
class _List:
    domains: tuple[_Known, ...] = ()


def list_domains(installation: Installation) -> tuple[Listed, ...]:
    """All of them, by name. Raises: InvalidDocument, MachineError."""
    machine = Machine(installation.home)
    return tuple(Listed(each, machine.address(each.deploy)) for each in _domains(installation.home))


def add_domain(installation: Installation, text: str, deploy: Deploy, certificate: Certificate) -> Domain:
    """Requests for the domain reach the deploy: Caddy knows. If it was another deploy's, it is no more.

    Raises: InvalidName, RunError (the deploy is reached nowhere), MachineError (Caddy does not answer, or refuses).
    """
    added = Domain(parse_domain(text), deploy.app, deploy.name, certificate)
    if Machine(installation.home).address(deploy) is None:
        raise RunError(
            f"{deploy} is reached nowhere yet, so no domain can lead to it.",
            hint="Deploy it first, with a `web` process: trivet deploy",
        )
    _change(installation, lambda domains: {**domains, added.name: added})
    return added


def remove_domain(installation: Installation, text: str, *, without_caddy: bool = False) -> Domain:
    """The domain leads nowhere. `without_caddy`: a Caddy that is gone is not asked; one that comes back must be told, by
    `sync_domains`. Raises: InputError (there is none), MachineError.
    """
    name = parse_domain(text)
    domains = {each.name: each for each in _domains(installation.home)}
    if name not in domains:
        known = ", ".join(domains)
        raise InputError(
            f"There is no domain {name}.",
            hint=f"There is: {known}." if known else "There is none: `trivet domains add DOMAIN` makes one.",
        )
    tell = _tell_nobody if without_caddy else _tell_caddy
    _change(installation, lambda present: {key: value for key, value in present.items() if key != name}, tell)
    return domains[name]


def sync_domains(installation: Installation) -> bool:
    """Caddy knows all domains, and where they lead now. False: it did already. Raises: MachineError."""
    return _change(installation, lambda domains: domains)


def follow(installation: Installation, deploy: Deploy, tell: Callable[[str], None]) -> None:
    """Where the deploy's domains lead now, Caddy knows; it is asked only if that has changed.

    What goes wrong is only told: nothing depends on it.
    """
    try:
        address = Machine(installation.home).address(deploy)
        if any(each.domain.deploy == deploy and each.told != address for each in _read(installation.home)):
            sync_domains(installation)
    except (TrivetError, OSError) as error:
        tell(f"the domains may lead elsewhere: {error} Try: trivet domains sync")


def forget(installation: Installation, deploy: Deploy, tell: Callable[[str], None]) -> None:
    """No domain leads to the deploy, which is gone. What goes wrong is only told."""

    def others(known: Mapping[str, Domain]) -> Mapping[str, Domain]:
        return {key: each for key, each in known.items() if each.deploy != deploy}

    try:
        if not any(each.deploy == deploy for each in _domains(installation.home)):
            return
        try:
            _change(installation, others)
        except MachineError as error:
            _change(installation, others, _tell_nobody)
            tell(f"Caddy may still know its domains: {error} Once it answers: trivet domains sync")
    except (TrivetError, OSError) as error:
        tell(f"its domains are still there: {error}")


def _tell_caddy(leading: Iterable[_Known]) -> bool:
    reached = [(each.domain, each.told) for each in leading if each.told is not None]
    server = caddy.Caddy(caddy.parse_admin(os.environ.get("TRIVET_CADDY") or caddy.DEFAULT))
    for _ in range(_TRIES):
        config, mark = server.config()
        arranged = arrange(config, reached)
        if arranged == (config or {}):
            return False
        if server.replace(arranged, mark):
            return True
    raise Busy("Somebody else keeps changing Caddy's config.", hint="Try again: trivet domains sync")


def _tell_nobody(leading: Iterable[_Known]) -> bool:
    return False


def _change(installation: Installation, change: Change, tell: Callable[[Iterable[_Known]], bool] = _tell_caddy) -> bool:
    """Caddy first: a domain that it refuses is none of ours."""
    with _changing(installation):
        known = _read(installation.home)
        wanted = change({each.domain.name: each.domain for each in known})
        machine = Machine(installation.home)
        leading = tuple(_Known(wanted[name], machine.address(wanted[name].deploy)) for name in sorted(wanted))
        told = tell(leading)
        if leading != known:
            _write(installation.home, _List(leading))
        return told


@contextmanager
def _changing(installation: Installation) -> Iterator[None]:
    with lock.hold(installation.home.domains_lock, str(installation.actor), wait=True, what="the domains"):
        yield


def _domains(home: Home) -> tuple[Domain, ...]:
    return tuple(each.domain for each in _read(home))


def _read(home: Home) -> tuple[_Known, ...]:
    try:
        content = home.domains.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise files.refused(error, f"read {home.domains}") from error
    return read_document(_List, content, name=str(home.domains)).domains


def _write(home: Home, content: _List) -> None:
    files.make_directories(home.domains.parent, mode=0o700)
    files.replace(home.domains, write_document(content).encode(), mode=0o600)
