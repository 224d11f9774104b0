"""Plans as a person is shown them: all of what `--plan` says, and the short preview before a command asks."""

import sys
from collections.abc import Iterable

import click

from trivet.cli.changes import config_lines, fate_lines, process_lines, schema_line
from trivet.cli.documents import Document
from trivet.cli.output import print_facts, print_json, visible
from trivet.errors import Interrupted
from trivet.flows.installation import Installation
from trivet.flows.planning import check_expected
from trivet.flows.preview import preview
from trivet.model.document import to_json
from trivet.model.names import WEB_PROCESS
from trivet.model.plan import LayerFate, Plan, PlannedBuild, Refusal
from trivet.model.process import find_process_type
from trivet.model.source import CommitLine
from trivet.model.text import size

_LISTED = 20
_LINE = "\n"
_FATES = {
    LayerFate.FOUND: "found",
    LayerFate.STORED: "checked out again from what is stored",
    LayerFate.EXPECTED: "expected to be found",
    LayerFate.MADE: "made",
}


def show_plan(installation: Installation, plan: Plan, expect: str | None, *, as_json: bool) -> int:
    """The plan is on standard output; the exit status that the command would end with as things are. Raises: PlanOutdated."""
    plan = preview(installation, plan)
    if as_json:
        print_json(plan_document(plan))
    else:
        print_facts(_facts(plan))
    check_expected(plan, expect)
    return plan.refusals[0].exit_code if plan.refusals else 0


def ask(question: str, *, yes: bool) -> bool:
    """Whether a person was asked and agreed; False if there was nobody to ask, or nothing. Raises: Interrupted."""
    if yes or not sys.stdin.isatty():
        return False
    if not click.confirm(question, err=True):
        raise Interrupted("Nothing was changed.", hint="Answer y, or give --yes, to go on.")
    return True


def print_preview(title: str, plan: Plan) -> None:
    """What will change, in a few lines on standard error."""
    click.echo(title, err=True)
    for name, text in (
        ("commit", _commit(plan)),
        ("commits", _commits(plan)),
        ("processes", process_lines(_process_changes(plan))),
        ("config", _config_changes(plan)),
        ("schema", _schema(plan)),
    ):
        for index, line in enumerate(text.splitlines()):
            click.echo(f"  {name if index == 0 else '':<10} {visible(line)}", err=True)


def plan_document(plan: Plan) -> Document:
    """What `--json` writes of a plan."""
    build, start = plan.build, plan.start
    return {
        "app": plan.deploy.app,
        "deploy": plan.deploy.name,
        "hash": plan.hash,
        "cause": plan.cause,
        "reason": plan.reason,
        "release": plan.number,
        "start": {
            "release": start.release,
            "newest": start.last,
            "build": start.build,
            "commit": start.commit,
            "config_version": start.config_version,
            "formation": start.formation,
            "stopped": start.is_stopped,
            "address": start.address.url if start.address else None,
        },
        "origin": _origin(plan),
        "commit": build.source.commit if build else None,
        "subject": build.source.subject if build else None,
        "commits": plan.commits,
        "commits_left": plan.commits_left,
        "build": _build_document(build) if build else None,
        "hooks": build.hooks if build else (),
        "config_version": plan.config_version,
        "config_change": plan.config,
        "fates": plan.fates,
        "missing_keys": plan.missing_keys,
        "schema": plan.schema,
        "processes": [
            {"process": each.name, "old": each.old and each.old.command, "new": each.new and each.new.command}
            for each in plan.processes
        ],
        "release_command": plan.release_command if plan.runs_release_command else None,
        "starts": plan.starts,
        "stops": plan.stops,
        "address": plan.address.url if plan.address and plan.address.port else None,
        "free_bytes": plan.free_bytes,
        "refusals": plan.refusals,
        "notes": plan.notes,
    }


def _origin(plan: Plan) -> Document | None:
    origin = plan.origin
    return {"app": origin.deploy.app, "deploy": origin.deploy.name, "release": origin.number} if origin else None


def _build_document(build: PlannedBuild) -> Document:
    return {"id": build.id, "builder": build.builder, "layers": to_json(build.layers), "size_bytes": build.size_bytes}


def _facts(plan: Plan) -> list[tuple[str, str]]:
    if plan.build is None:
        what = [("release", _no_release(plan))]
    else:
        what = [
            ("release", _release(plan)),
            ("commit", _commit(plan)),
            ("commits", _commits(plan)),
            ("build", _build(plan.build)),
            ("layers", "\n".join(_layer_lines(plan.build))),
        ]
    return [
        ("plan", f"{plan.deploy}: {plan.reason}"),
        *what,
        ("config", _config(plan)),
        ("schema", _schema(plan)),
        *(_run_facts(plan, plan.build) if plan.build is not None else ()),
        ("disk", f"{size(plan.free_bytes)} free"),
        ("refused", "\n".join(line for each in plan.refusals for line in _refusal_lines(each))),
        ("note", "\n".join(plan.notes)),
        ("hash", plan.hash),
    ]


def _run_facts(plan: Plan, build: PlannedBuild) -> list[tuple[str, str]]:
    nothing = "nothing: the deploy is stopped" if plan.start.is_stopped else "nothing"
    runs = "run" if plan.runs_release_command else "not run"
    return [
        ("hooks", " ".join(build.hooks)),
        ("command", f"{plan.release_command} ({runs})" if plan.release_command else "no release command"),
        ("processes", process_lines(_process_changes(plan))),
        ("starts", " ".join(plan.starts) or nothing),
        ("stops", " ".join(plan.stops) or nothing),
        ("address", _address(plan)),
    ]


def _no_release(plan: Plan) -> str:
    if not plan.config:
        return "none: the config has these values already"
    return "none yet: the first deploy will use this config"


def _release(plan: Plan) -> str:
    start = plan.start
    was = f"v{start.release} → " if start.release else ""
    return f"{was}v{plan.number}{'' if start.release else ', the first'}"


def _commit(plan: Plan) -> str:
    build, start = plan.build, plan.start
    if build is None:
        return ""
    new = f"{build.source.short} {build.source.subject}"
    if start.commit is None:
        return new
    if start.commit == build.source.commit:
        return f"{new} (the same commit)"
    return f"{start.commit[:8]} {start.subject} → {new}"


def _commits(plan: Plan) -> str:
    if plan.build is None or plan.start.commit in (None, plan.build.source.commit):
        return ""
    lines = [*_commit_lines("+", plan.commits), *_commit_lines("-", plan.commits_left)]
    return "\n".join(lines) or plan.commits_note


def _commit_lines(mark: str, commits: tuple[CommitLine, ...]) -> Iterable[str]:
    for each in commits[:_LISTED]:
        yield f"{mark} {each.commit[:8]} {each.subject} ({each.author})"
    if len(commits) > _LISTED:
        yield f"{mark} and {len(commits) - _LISTED} more"


def _build(build: PlannedBuild) -> str:
    if build.id is None:
        return f"to be made ({build.builder})"
    return f"{build.id} ({build.builder}), there already, {size(build.size_bytes)}"


def _layer_lines(build: PlannedBuild) -> Iterable[str]:
    for layer in build.layers:
        told = "" if layer.size_bytes is None else f", {size(layer.size_bytes)}"
        yield f"{layer.name}: {_FATES[layer.fate]}{told}"


def _config(plan: Plan) -> str:
    """The config's version, and what changes in it."""
    version = f"c{plan.start.config_version}"
    if plan.config_version is None:
        version = f"{version} → a new version" if plan.config else version
    elif plan.config_version != plan.start.config_version:
        version = f"{version} → c{plan.config_version}"
    is_same = not plan.fates and not plan.config
    return f"{version}{': ' if is_same else _LINE}{_config_changes(plan)}"


def _config_changes(plan: Plan) -> str:
    """What becomes of each key. Beside what a rollback brings back, a release may have keys that are generated for it."""
    origin = plan.origin
    missing = [f"! {key}: {origin.deploy.name} has it" for key in plan.missing_keys if origin]
    if not plan.fates or origin is None:
        return "\n".join((config_lines(plan.config), *missing))
    generated = [f"+ {key}" for key in plan.config.added if key not in plan.fates]
    return "\n".join((fate_lines(plan.fates, f"v{origin.number}"), *generated))


def _schema(plan: Plan) -> str:
    return schema_line(plan.schema) if plan.schema is not None else ""


def _process_changes(plan: Plan) -> tuple[str, ...]:
    return tuple(line for change in plan.processes for line in change.lines)


def _refusal_lines(refusal: Refusal) -> tuple[str, ...]:
    return (refusal.message, *(f"| {line}" for line in refusal.detail), f"hint: {refusal.hint}")


def _address(plan: Plan) -> str:
    if plan.build is None or find_process_type(plan.build.processes, WEB_PROCESS) is None:
        return "none: no web process"
    old, new = plan.start.address, plan.address
    if new is None or new == old or not (new.port or new.host):
        return f"{old.url} (it stays)" if old else "a free port of this machine, from 8000 on"
    if not new.port:
        return f"{new.host}, a free port"
    return f"{old.url} → {new.url}" if old else new.url
