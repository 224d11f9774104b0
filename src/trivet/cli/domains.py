"""`domains`."""

import click

from trivet.cli.options import deploy_options, json_option
from trivet.cli.output import print_json, print_table
from trivet.cli.place import installation, known_deploy
from trivet.flows.domains import Listed, add_domain, list_domains, remove_domain, sync_domains
from trivet.model.domain import Certificate


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def domains(ctx: click.Context, as_json: bool) -> None:
    """List the domains that lead to deploys, through Caddy.

    A Caddy that runs on this machine takes the requests, with certificates by itself, and hands them to the deploy's address.
    A release never touches it. TRIVET_CADDY says where its admin API listens, if not at 127.0.0.1:2019.

    \b
    Examples:
      trivet domains
      trivet domains add example.org
      trivet domains remove example.org
    """
    if ctx.invoked_subcommand is not None:
        return
    found = list_domains(installation())
    if as_json:
        print_json([_document(each) for each in found])
        return
    print_table(
        ("DOMAIN", "DEPLOY", "LEADS TO", "CERTIFICATE"),
        [
            (
                each.domain.name,
                str(each.domain.deploy),
                each.address.url if each.address else "",
                each.domain.certificate,
            )
            for each in found
        ],
        nothing="No domain leads to a deploy. `trivet domains add example.org` makes one do so.",
    )


@domains.command("add")
@click.argument("domain")
@deploy_options
@click.option(
    "--certificate",
    type=click.Choice([each.value for each in Certificate]),
    default=Certificate.AUTO.value,
    show_default=True,
    help="auto: from a public authority, by itself; internal: from Caddy's own, for a machine that nobody else reaches.",
)
def add(domain: str, app: str | None, deploy_name: str, certificate: str) -> None:
    """Have a domain lead to a deploy.

    The name must lead to this machine in the DNS, and its ports 80 and 443 be open: so the certificate is proven.

    \b
    Examples:
      trivet domains add example.org
      trivet domains add '*.shop.test' -d staging --certificate internal
    """
    place = installation()
    added = add_domain(place, domain, known_deploy(place, app, deploy_name), Certificate(certificate))
    click.echo(f"https://{added.name} leads to {added.deploy}")


@domains.command("remove")
@click.argument("domain")
@click.option("--without-caddy", is_flag=True, help="Only here: for a Caddy that is gone.")
def remove(domain: str, without_caddy: bool) -> None:
    """Have a domain lead nowhere any more.

    \b
    Examples:
      trivet domains remove example.org
      trivet domains remove example.org --without-caddy
    """
    removed = remove_domain(installation(), domain, without_caddy=without_caddy)
    click.echo(f"{removed.name} does not lead to {removed.deploy} any more")


@domains.command("sync")
def sync() -> None:
    """Tell Caddy of all domains again.

    For a Caddy that was started anew without what it knew.

    \b
    Examples:
      trivet domains sync
    """
    click.echo("Caddy knows all domains again" if sync_domains(installation()) else "Caddy knew all domains already")


def _document(listed: Listed) -> dict[str, str | None]:
    return {
        "domain": listed.domain.name,
        "app": listed.domain.app,
        "deploy": listed.domain.deploy_name,
        "address": listed.address.url if listed.address else None,
        "certificate": listed.domain.certificate,
    }


COMMANDS = (domains,)
