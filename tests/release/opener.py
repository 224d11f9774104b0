"""A program in which eight processes open one new ledger at the same moment, in one new home after another.

`opener.py FOLDER HOMES` ends with how many of them failed.
"""

import os
import sys
import traceback
from pathlib import Path

from trivet.model.home import Home
from trivet.release import Ledger


def main() -> int:
    return sum(_open_together(Home(Path(sys.argv[1]) / str(index))) for index in range(int(sys.argv[2])))


def _open_together(home: Home) -> int:
    waiting, begin = os.pipe()
    processes = [os.fork() or _open(home, waiting, begin) for _ in range(8)]
    os.close(begin)
    os.close(waiting)
    return sum(os.waitpid(process, 0)[1] != 0 for process in processes)


def _open(home: Home, waiting: int, begin: int) -> int:
    os.close(begin)
    os.read(waiting, 1)
    try:
        with Ledger(home):
            os._exit(0)
    finally:
        traceback.print_exc()
        os._exit(1)


sys.exit(main())
