"""Preview: a plan as a person is shown it, with what no release depends on: commits, disk, and what the run stage would refuse.

Reads only, of all three stages. What it adds is no part of a plan's hash.
"""

from dataclasses import replace

from trivet.build import build_states, commits_between, read_build
from trivet.flows.installation import Installation
from trivet.flows.planning import find_refusals, refusal
from trivet.host.space import free_bytes
from trivet.model.plan import LayerFate, Plan, PlannedLayer
from trivet.model.pruning import BuildState
from trivet.run import Machine

_STARTED_FIRST = "the supervisor is not running: it is started first, and with it what ran before"
_NOT_BUILT = "LayersPruned"


def preview(installation: Installation, plan: Plan) -> Plan:
    """The plan with all that can be told of it now."""
    return _with_machine(installation, _with_layers(installation, _with_commits(plan)))


def _with_commits(plan: Plan) -> Plan:
    build, old = plan.build, plan.start.commit
    if build is None or old is None:
        return plan
    new, repository = build.source.commit, build.source.repository
    commits, note = commits_between(repository, old, new)
    left, _ = commits_between(repository, new, old)
    return replace(plan, commits=commits, commits_left=left, commits_note="" if commits or left else note)


def _with_layers(installation: Installation, plan: Plan) -> Plan:
    """The plan, which knows whether the layers of a build that was made long ago are still there."""
    plan = replace(plan, free_bytes=free_bytes(installation.home.root))
    build = plan.build
    if build is None or build.id is None:
        return plan
    state = build_states(installation.home, plan.deploy.app).get(build.id, BuildState.PRUNED)
    if state is BuildState.READY:
        return plan
    fate = LayerFate.STORED if state is BuildState.STORED else LayerFate.MADE
    layers = tuple(PlannedLayer(layer.name, fate, layer.size_bytes) for layer in build.layers)
    # What is stored is checked out before a rollback begins, so it refuses only what has to be made.
    refusals = tuple(each for each in plan.refusals if fate is LayerFate.MADE or each.error != _NOT_BUILT)
    return replace(plan, build=replace(build, layers=layers), refusals=refusals)


def _with_machine(installation: Installation, plan: Plan) -> Plan:
    """The plan with what the run stage would refuse before there is a release, and what it would do first."""
    build = plan.build
    if build is None:
        return plan
    machine, checks = Machine(installation.home), []
    is_up, has_port = machine.is_up(), any(process.has_port for process in build.processes)
    if is_up and has_port:
        checks.append(lambda: machine.check_address(plan.deploy, plan.address))
    if build.id is not None and all(layer.fate is LayerFate.FOUND for layer in build.layers):
        known = read_build(installation.home, plan.deploy.app, build.id)
        checks.append(lambda: machine.check_build(known))
    refusals = tuple(map(refusal, find_refusals(*checks)))
    notes = plan.notes if is_up else (*plan.notes, _STARTED_FIRST)
    return replace(plan, refusals=(*plan.refusals, *refusals), notes=notes)
