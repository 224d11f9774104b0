"""Memory: what was found out once about things that do not change, kept in the database, where no build can write.

Asking uv for the components and hashing the tools (uv and node are 40 to 100 MB) took 200 ms of each build.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from trivet.errors import MachineError
from trivet.host import database
from trivet.host.tree import hash_file
from trivet.model.build import Program
from trivet.model.document import canonical
from trivet.model.home import Home

_MOST = 500  # answers; one of uv about 50 packages is 60 kB
_TABLE = (
    "CREATE TABLE IF NOT EXISTS remembered (number INTEGER PRIMARY KEY, key TEXT UNIQUE, answer TEXT NOT NULL) STRICT"
)


class Memory:
    """The answers of one home; made by `opened`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(_TABLE)

    def recall(self, question: object, find: Callable[[], str]) -> str:
        """The answer, found only if it was not before. The question holds all that decides it; "" is not remembered."""
        key = hashlib.sha256(canonical(question).encode()).hexdigest()
        for (answer,) in self._connection.execute("SELECT answer FROM remembered WHERE key = ?", (key,)):
            return str(answer)
        answer = find()
        if answer:
            self._keep(key, answer)
        return answer

    def hash_program(self, program: Program) -> str:
        """The sha256 of the program's file. Its ctime, which no program can set, tells whether it changed. Raises: OSError."""
        path = Path(program.path)
        status = path.stat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        question = ["program", program.path, status.st_dev, status.st_ino, status.st_size, times]
        return self.recall(question, lambda: hash_file(path))

    def _keep(self, key: str, answer: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO remembered (key, answer) VALUES (?, ?)", (key, answer))
        self._connection.execute(
            "DELETE FROM remembered WHERE number <= (SELECT max(number) - ? FROM remembered)", (_MOST,)
        )


@contextlib.contextmanager
def opened(home: Home) -> Iterator[Memory]:
    """The home's memory inside the block. Raises: MachineError, Busy."""
    try:
        with contextlib.closing(database.connect(home.database)) as connection:
            yield Memory(connection)
    except sqlite3.Error as error:
        raise database.refusal(error, home.database) or MachineError(
            f"Cannot read or write what earlier builds found out: {error}.",
            hint="`trivet doctor` checks the home's files.",
        ) from error
