"""Starts the front door: `python -I -S -OO .../run/door/__main__.py FOLDER` (`launch.argv`)."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # -I -S leaves nothing on the path but the standard library: the package is found from this file
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from trivet.run.door.server import main

    sys.exit(main(sys.argv[1:]))
