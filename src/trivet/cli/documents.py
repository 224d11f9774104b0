"""What `--json` writes of a thing: the same name for the same fact in every command.

`app` and `deploy` are names, `release` is a number, `commit` is a whole one, `address` is a URL; what is not there is null.
"""

from typing import TYPE_CHECKING

from trivet.model.document import to_json

if TYPE_CHECKING:  # each is there already when there is something of it to write
    from trivet.flows.links import Links
    from trivet.flows.overview import DeployOverview
    from trivet.flows.releasing import Released
    from trivet.model.build import Build
    from trivet.model.event import Told
    from trivet.model.load import Load, ProcessLoad
    from trivet.model.names import Deploy
    from trivet.model.output import KeptOutput
    from trivet.model.pruning import BuildState
    from trivet.model.release import Origin, Record
    from trivet.model.run import ProcessStatus
    from trivet.model.story import Line
    from trivet.model.verification import Verification

Document = dict[str, object]


def process_document(status: "ProcessStatus", last_words: tuple[str, ...]) -> Document:
    """A process, as in `trivet ps`; what it wrote last before it crashed."""
    return {**_status_document(status), "output": last_words}


def _status_document(status: "ProcessStatus") -> Document:
    told = {key: value for key, value in to_json(status).items() if key != "deploy"}
    return {**_names(status.deploy), **told}


def deploy_document(overview: "DeployOverview") -> Document:
    """A deploy, as in `trivet apps`."""
    return {
        **_names(overview.deploy),
        "release": overview.release,
        "commit": overview.commit,
        "subject": overview.subject,
        "created_at": overview.created_at,
        "address": overview.address.url if overview.address else None,
        "stopped": overview.is_stopped,
        "running": overview.running,
        "wanted": overview.wanted,
    }


def released_document(released: "Released") -> Document:
    """What a command that made a release has to tell."""
    release = released.release
    return {
        **_names(release.deploy),
        "release": release.number,
        "build": release.build.id,
        "commit": release.build.source.commit,
        "address": released.address.url if released.address else None,
        "processes": released.processes,
        "stopped": released.is_stopped,
        "checkpoint": released.checkpoint.short if released.checkpoint else None,
        "timings_s": released.outcome.timings_s,
        "connections": to_json(released.outcome.connections),
        "proof": to_json(released.outcome.proof),
    }


def build_document(build: "Build", state: "BuildState") -> Document:
    """A build, as in the list of them."""
    return {**to_json(build), "state": state}


def record_document(record: "Record", *, is_pinned: bool) -> Document:
    """A release, as in the list of them."""
    release, source = record.release, record.release.build.source
    return {
        **_names(release.deploy),
        "release": release.number,
        "state": record.outcome.state,
        "cause": release.cause,
        "reason": release.reason,
        "actor": str(release.actor),
        "authority": release.actor.authority,
        "created_at": release.created_at,
        "ended_at": record.ended_at,
        "build": release.build.id,
        "commit": source.commit,
        "subject": source.subject,
        "author": source.author,
        "config_version": release.config_version,
        "superseded_by": record.superseded_by,
        "failure": record.outcome.reason or None,
        "pinned": is_pinned,
    }


def full_record_document(record: "Record", *, is_pinned: bool) -> Document:
    """A release with all that the ledger says of it."""
    release = record.release
    return {
        **record_document(record, is_pinned=is_pinned),
        "config_change": release.config_change,
        "tool_version": release.tool_version,
        "processes": {process.name: process.command for process in release.processes},
        "origin": _origin(release.origin),
        "output": record.outcome.output,
        "timings_s": record.outcome.timings_s,
        "connections": to_json(record.outcome.connections),
        "proof": to_json(record.outcome.proof),
        "schema": record.outcome.schema,
    }


def output_document(kept: "KeptOutput") -> Document:
    """What a command around a release wrote, as in `trivet releases output`."""
    output = kept.output
    return {
        "part": output.part,
        "command": output.command,
        "started_at": output.started_at,
        "ended_at": output.ended_at,
        "status": output.status,
        "timed_out": output.is_timed_out,
        "out_of_memory": output.out_of_memory,
        "left_out_bytes": output.left_out_bytes,
        "marker": output.marker,
        "fault": output.fault,
        "text": kept.text,
    }


def line_document(line: "Line") -> Document:
    """A line of the story, as in `trivet log`."""
    told = {key: value for key, value in to_json(line).items() if key not in ("act", "origin")}
    return {
        **told,
        "actor": str(line.act.actor) if line.act else None,
        "authority": line.act.actor.authority if line.act else None,
        "reason": (line.act.reason or None) if line.act else None,
        "origin": _origin(line.origin),
    }


def event_document(told: "Told") -> Document:
    """An event, as in `trivet events`."""
    event, by = told.event, told.event.by
    return {
        **_names(told.deploy),
        **{key: value for key, value in to_json(event).items() if key != "by"},
        "how": event.how or None,
        "actor": str(by.actor) if by else None,
        "authority": by.actor.authority if by else None,
        "reason": (by.reason or None) if by else None,
    }


def load_document(load: "Load") -> Document:
    """What `trivet top` shows."""
    deploys = [
        {**_names(each.deploy), **{key: value for key, value in to_json(each).items() if key != "deploy"}}
        for each in load.deploys
    ]
    processes = [_process_load(each) for each in load.processes]
    return {"at": load.at, "over_s": load.over_s, "deploys": deploys, "processes": processes}


def _process_load(load: "ProcessLoad") -> Document:
    figures = {key: value for key, value in to_json(load).items() if key != "status"}
    return {**_status_document(load.status), **figures}


def links_document(links: "Links") -> Document:
    """What a release has to do with others."""
    return {
        "left": links.left.number if links.left else None,
        "promoted": [_linked(record) for record in links.promoted],
        "brought_back_as": [record.release.number for record in links.brought_back],
        "left_by": [record.release.number for record in links.left_by],
    }


def _linked(record: "Record") -> Document:
    release = record.release
    return {**_names(release.deploy), "release": release.number, "state": record.outcome.state}


def verification_document(found: "Verification") -> Document:
    """What `trivet releases verify` found."""
    fault = found.fault
    return {
        "entries": found.checkpoint.size,
        "checkpoint": found.checkpoint.short,
        "first_bad": fault.position if fault else None,
        "app": (fault.app or None) if fault else None,
        "deploy": (fault.deploy or None) if fault else None,
        "release": fault.number if fault else None,
        "reason": fault.reason if fault else None,
    }


def _origin(origin: "Origin | None") -> Document | None:
    return {**_names(origin.deploy), "release": origin.number} if origin else None


def _names(deploy: "Deploy") -> Document:
    return {"app": deploy.app, "deploy": deploy.name}
