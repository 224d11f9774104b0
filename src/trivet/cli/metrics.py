"""`metrics`."""

import click

from trivet.cli.options import json_option
from trivet.cli.output import print_json, print_notes
from trivet.cli.place import installation
from trivet.flows import metrics as metrics_flow
from trivet.model.endpoint import parse_endpoint


@click.group(invoke_without_command=True)
@click.pass_context
def metrics(ctx: click.Context) -> None:
    """Print what can be measured, in the format of Prometheus.

    Of the supervisor, the front door, every deploy and every process; once, or served at a place of your choice.

    \b
    Examples:
      trivet metrics
      trivet metrics on 127.0.0.1:9180
    """
    if ctx.invoked_subcommand is None:
        click.echo(metrics_flow.read_metrics(installation()), nl=False)


@metrics.command()
@click.argument("place", metavar="HOST:PORT|unix:PATH")
def on(place: str) -> None:
    """Serve /metrics at a port or a Unix socket.

    Until `trivet metrics off`, also after a reboot. Whoever reaches it reads names and figures, and no config. The
    socket is open to your user and root alone.

    \b
    Examples:
      trivet metrics on 127.0.0.1:9180
      trivet metrics on unix:/run/trivet-metrics.sock
    """
    endpoint = parse_endpoint(place)
    metrics_flow.serve_metrics(installation(), endpoint)
    how = f"curl --unix-socket {endpoint.path} http://trivet/metrics" if endpoint.path else f"http://{endpoint}/metrics"
    click.echo(f"metrics are served: {how}")
    if endpoint.is_open_to_others:
        print_notes((f"{endpoint} may be reached from other machines, without a password.",))


@metrics.command()
def off() -> None:
    """Serve no metrics.

    \b
    Examples:
      trivet metrics off
    """
    was = metrics_flow.end_metrics(installation())
    click.echo("metrics were not served" if was is None else f"metrics are no longer served at {was}")


@metrics.command()
@json_option
def where(as_json: bool) -> None:
    """Say where metrics are served.

    \b
    Examples:
      trivet metrics where
    """
    place = metrics_flow.read_place(installation())
    if as_json:
        print_json(place)
    elif place.listen is None:
        click.echo("nowhere")
    else:
        click.echo(place.listen if place.served else f"{place.listen}, but not now: run/supervisor.log says why")


COMMANDS = (metrics,)
