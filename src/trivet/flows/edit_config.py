"""Edit: a deploy's config in the person's editor, as often as they like, until it can be released or they give up."""

from collections.abc import Callable
from pathlib import Path

from trivet.errors import Interrupted, InvalidFile, TrivetError
from trivet.flows.editable import read_editable, write_editable
from trivet.flows.installation import Installation
from trivet.flows.planning import Decision
from trivet.flows.reconfigure import Changes, plan_changes, read_config
from trivet.host.editor import find_editor, private_file, run_editor
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.model.plan import Terms

Again = Callable[[TrivetError], bool]


@frozen
class Edited:
    """What a person wants changed, and what would come of it."""

    changes: Changes
    decision: Decision


def edit_config(installation: Installation, deploy: Deploy, terms: Terms, again: Again) -> Edited | None:
    """What the person has made of the config; None if they left it as it was. Nothing is changed yet.

    Where the text cannot be read, or no release could have such a config, `again` is asked whether to go on editing.
    Raises: Interrupted if not; MachineError.
    """
    argv, config = find_editor(installation.caller), read_config(installation, deploy).config
    with private_file(f"{deploy.app}-{deploy.name}.env", write_editable(deploy, config)) as path:
        while True:
            run_editor(argv, path, installation.caller)
            try:
                values = read_editable(_read(path), config, path.name)
                return _plan(installation, Changes(deploy, values, terms=terms)) if values else None
            except TrivetError as error:
                if not again(error):
                    raise Interrupted(
                        "Nothing was changed.", hint="`trivet config edit` begins again, from the config as it is."
                    ) from error


def _plan(installation: Installation, changes: Changes) -> Edited:
    decision = plan_changes(installation, changes)
    decision.insist(None)
    return Edited(changes, decision)


def _read(path: Path) -> str:
    """The text; the file may be another by now: many editors write a new one and put it in place of the old."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path.name}: byte {error.start} is not UTF-8 text.", hint="Save the file as UTF-8. Nothing was changed."
        ) from error
