"""`completion`: what a shell needs to complete `trivet`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(trivet completion bash)"            # in ~/.bashrc
      eval "$(trivet completion zsh)"             # in ~/.zshrc
      trivet completion fish > ~/.config/fish/completions/trivet.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell}.")
    root = ctx.find_root().command
    click.echo(kind(root, {}, "trivet", "_TRIVET_COMPLETE").source())


COMMANDS = (completion,)
