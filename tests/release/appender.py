"""A program that appends releases: `appender.py HOME DRAFT COUNT`.

Waits for a line on standard input, then prints each number once the ledger has it; a COUNT of 0 never ends.
"""

import itertools
import sys
from pathlib import Path

from trivet.model.config import Config
from trivet.model.document import read_document
from trivet.model.home import Home
from trivet.model.release import Draft, Outcome, State
from trivet.release import Ledger


def main() -> None:
    home, count = Home(Path(sys.argv[1])), int(sys.argv[3])
    draft = read_document(Draft, Path(sys.argv[2]).read_text(), name="draft")
    sys.stdin.readline()
    with Ledger(home) as ledger:
        for _ in itertools.count() if count == 0 else range(count):
            number = ledger.append(draft, Config()).number
            print(number, flush=True)
            ledger.conclude(draft.deploy, number, Outcome(State.SUCCEEDED))


main()
