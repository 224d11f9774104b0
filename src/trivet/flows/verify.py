"""Verify: whether the builds of an app are what was once built, and signed by whom."""

from dataclasses import replace
from pathlib import Path

from trivet import build as stage
from trivet.build import list_builds, read_build
from trivet.errors import InputError, SignatureError
from trivet.flows.installation import Installation
from trivet.flows.trust import find_signer
from trivet.host.integrity import Fault
from trivet.host.signatures import Signer
from trivet.model.build import Build
from trivet.model.frozen import frozen
from trivet.model.home import Home
from trivet.model.names import AppName
from trivet.model.pruning import BuildState


@frozen
class VerifiedBuild:
    """A build, what is wrong with it, and who signed it (None: nobody was asked for, or nobody did).

    Of one that is `state` pruned nothing but the record could be verified.
    """

    build: Build
    faults: tuple[Fault, ...]
    signer: Signer | None
    state: BuildState


def verify_builds(
    installation: Installation, app: AppName, ids: tuple[str, ...], signers: Path | None
) -> tuple[VerifiedBuild, ...]:
    """These builds (none named: all of the app), every byte read; with `signers`, each has to be signed by one of them.

    Raises: BuildError for an unknown one, InputError, MachineError.
    """
    if signers is not None and not signers.is_file():
        raise InputError(
            f"There is no file {signers}.", hint="Name a file of allowed signers; ssh-keygen(1) says what is in it."
        )
    home = installation.home
    builds = tuple(read_build(home, app, each) for each in ids) if ids else list_builds(home, app)
    states = stage.build_states(home, app)
    found = (
        VerifiedBuild(build, _faults_of(home, build, states[build.id], faults), None, states[build.id])
        for build, faults in zip(builds, stage.verify_builds(home, builds), strict=True)
    )
    return tuple(_with_signer(installation, each, signers) for each in found)


def _faults_of(home: Home, build: Build, state: BuildState, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Layers that are not checked out are no fault, as long as what is stored of them is whole."""
    if state is BuildState.READY:
        return faults
    absent = {home.layers / layer.digest for layer in build.layers if not (home.layers / layer.digest).is_dir()}
    left = tuple(fault for fault in faults if fault.path not in absent)
    if state is BuildState.STORED and not stage.is_stored_whole(home, build):
        return (*left, Fault("layers", "what is stored of its layers is not whole any more", home.objects))
    return left


def _with_signer(installation: Installation, found: VerifiedBuild, signers: Path | None) -> VerifiedBuild:
    if signers is None:
        return found
    try:
        return replace(found, signer=find_signer(installation, found.build, signers.absolute()))
    except SignatureError as error:
        path = installation.home.build(found.build.app, found.build.id)
        fault = Fault("signature", error.message.rstrip("."), path)
        return replace(found, faults=(*found.faults, fault))
