"""`config check` and `config diff`: config beside what is declared, and beside other config."""

import click

from trivet.cli.building import named_source
from trivet.cli.changes import config_lines
from trivet.cli.options import RELEASE, deploy_options, json_option
from trivet.cli.output import print_facts, print_json, print_table
from trivet.cli.place import installation, known_deploy, named_deploy
from trivet.cli.suggestions import deploys
from trivet.flows.config_diff import ConfigDiff, ConfigPlace, diff_configs
from trivet.flows.declared import ConfigCheck, check_config
from trivet.model.names import Deploy

_STATES = {
    "mistyped": "not of its type",
    "default": "the default",
    "to generate": "will be generated",
    "unset": "not set",
    "undeclared": "not declared",
}


@click.command()
@click.argument("revision", required=False, metavar="[REV]")
@deploy_options
@json_option
def check(revision: str | None, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Compare the config of a deploy with what the app declares.

    What the running build declares in `[config]` of its trivet.toml, or with REV what that commit does, before it is
    deployed. Ends with status 30 if a release would be refused.

    \b
    Examples:
      trivet config check
      trivet config check HEAD -d staging
    """
    deploy = named_deploy(app, deploy_name)
    source = named_source(app, revision, None)[1] if revision is not None else None
    checked = check_config(installation(), deploy, source)
    if as_json:
        print_json([_document(checked, index) for index in range(len(checked.findings))])
    else:
        _print_check(checked, deploy)
    if checked.unfit is not None:
        raise checked.unfit


def _print_check(checked: ConfigCheck, deploy: Deploy) -> None:
    rows = []
    for finding in checked.findings:
        declared = finding.declaration
        state = _STATES.get(finding.state, finding.state.value)
        marks = ", ".join(checked.config.marks(finding.key))
        told = (declared.value_type.value, declared.description) if declared else ("", "")
        rows.append((finding.key, state, told[0], marks, told[1]))
    nothing = f"{checked.against} declares no config, and {deploy} has none."
    print_table(("KEY", "STATE", "TYPE", "MARKS", "DESCRIPTION"), rows, nothing=nothing)


def _document(checked: ConfigCheck, index: int) -> dict[str, object]:
    finding = checked.findings[index]
    declared = finding.declaration
    return {
        "key": finding.key,
        "state": finding.state,
        "is_unfit": finding.is_unfit,
        "type": declared.value_type if declared else None,
        "required": declared.is_required if declared else False,
        "description": declared.description if declared else "",
        "marks": checked.config.marks(finding.key),
    }


@click.command()
@click.argument("old", type=RELEASE, required=False, metavar="[vN]")
@click.argument("new", type=RELEASE, required=False, metavar="[vM]")
@click.option("--with", "other", metavar="NAME", shell_complete=deploys, help="The deploy to compare with.")
@deploy_options
@json_option
def diff(old: int | None, new: int | None, other: str | None, app: str | None, deploy_name: str, as_json: bool) -> None:
    """Show which keys differ between two releases, or between two deploys.

    Names of keys only, never a value. Without a release, a deploy's current config is meant. `+` is a key that only the
    second has, `-` one that only the first has, `~` one whose values differ, and `*` one with other marks.

    \b
    Examples:
      trivet config diff v3 v4
      trivet config diff v3
      trivet config diff -d staging --with production
    """
    if old is None and other is None:
        raise click.UsageError("Nothing to compare with. Give a release, two, or --with DEPLOY.")
    place = installation()
    first = ConfigPlace(known_deploy(place, app, deploy_name), old)
    second = ConfigPlace(known_deploy(place, app, other or deploy_name), new)
    compared = diff_configs(place, first, second)
    if as_json:
        print_json(_diff_document(compared))
        return
    equal = f"{len(compared.equal)} of the same value" if compared.equal else ""
    print_facts((("config", f"{first} → {second}"), ("keys", config_lines(compared.change)), ("equal", equal)))


def _diff_document(compared: ConfigDiff) -> dict[str, object]:
    change = compared.change
    return {
        **{
            name: {"app": place.deploy.app, "deploy": place.deploy.name, "release": place.number}
            for name, place in (("old", compared.old), ("new", compared.new))
        },
        "added": change.added,
        "changed": change.changed,
        "removed": change.removed,
        "marks": change.marks,
        "equal": compared.equal,
    }
