"""`trivet`, and `python -m trivet`: interrupted while it is still being loaded, it ends in a sentence as well."""

import sys

_TOLD = "error: Interrupted; nothing was changed.\nhint:  Run the command again when you are ready.\n"
_INTERRUPTED = 130


def main() -> None:
    """The process ends with the status of the command."""
    try:
        from trivet.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write(_TOLD)
        sys.exit(_INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
