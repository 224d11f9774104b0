"""Schema: what an app's database goes by after a release, and whether going back would put old code before a newer one."""

from collections.abc import Iterable

from trivet.errors import RunError, SchemaChanged
from trivet.flows.installation import Progress
from trivet.model.output import Part
from trivet.model.plan import SchemaMove
from trivet.model.release import Record, Release
from trivet.run import Call, Machine


def ask_schema(machine: Machine, release: Release, progress: Progress) -> None:
    """It is on record what the database's schema goes by now, if the app says how to ask; else a notice says why not.

    No answer stops no release: the release command has done its work by then, and the old code may not suit it any more.
    """
    if release.build.release.schema is None:
        return
    try:
        ran = machine.run_part(release.deploy, release.number, Call(Part.SCHEMA), progress.output)
    except RunError as error:
        progress.notice(f"the schema of {release.name} is not known: {error.message}")
        return
    if ran is None:
        return
    output = ran.output
    if output.marker is not None:
        progress.step("release", f"schema: {output.marker}")
        return
    progress.notice(
        f"the schema of {release.name} is not known: `{output.command}`: {output.fault or f'it {output.told}'} "
        f"(`trivet releases output {release.name}` has what it wrote)"
    )


def find_move(newest_first: Iterable[Record], target: Record) -> SchemaMove:
    """What going back to the target would do about the schema.

    What the database has is what was found last, after a failed release, too: its release command had done its work.
    """
    if target.outcome.schema is None:
        return SchemaMove(None, None, None)
    last = next(record for record in newest_first if record.outcome.schema is not None)
    return SchemaMove(last.outcome.schema, target.outcome.schema, last.release.name)


def check_move(move: SchemaMove, target: Record) -> None:
    """Raises: SchemaChanged, if the database is known to be other than the target was made for."""
    if not move.is_change:
        return
    name = target.release.name
    raise SchemaChanged(
        f"{name} was released with the schema {move.then}, and since {move.since} the database has {move.now}: "
        f"the code of {name} may not work with it.",
        hint="Nothing was changed. If it works all the same, or once you have taken the database back by the app's own means "
        f"(`trivet run …`): trivet rollback {name} --accept-schema",
    )
