"""The supervisor's own program: `python -I -S -OO .../run/__main__.py HOME [--allow-mutable] [--altered=APP/DEPLOY]...`."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from trivet.run import lean  # isolated: the package is found from here on only

if __name__ == "__main__":
    lean.leave_out()

    from trivet.run.supervisor.daemon import main

    sys.exit(main(sys.argv[1:]))
