"""The metrics that the supervisor can be asked for, and where it serves them: nowhere, until somebody wants it to.

What gathers and serves them is loaded then, and costs nothing before.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivet.errors import MachineError, RunError, TrivetError
from trivet.host import files
from trivet.model.document import write_document
from trivet.model.endpoint import Endpoint, parse_endpoint
from trivet.model.frozen import frozen
from trivet.model.names import Deploy
from trivet.run import documents
from trivet.run.supervisor.control import Client
from trivet.run.supervisor.keeper import Keeper
from trivet.run.supervisor.yard import Yard

if TYPE_CHECKING:
    from trivet.run.supervisor.scraping import Scraping

_AGAIN_S = 5.0  # somebody else may listen there yet, for one a supervisor that is about to end
_FRESH_S = 0.5

Request = Mapping[str, Any]
Tell = Callable[[bytes | None], None]


@frozen
class Kept:
    """run/metrics.json: where metrics are served, as `str` makes text of an endpoint."""

    listen: str


class Metrics:
    """Who asks while a gathering is under way, or right after it, is told what that one found."""

    def __init__(self, yard: Yard, keepers: Mapping[Deploy, Keeper]) -> None:
        self._yard = yard
        self._keepers = keepers
        self._since = time.time()
        self._kept: Path = yard.home.supervisor / "metrics.json"
        self._wanted: Endpoint | None = None
        self._scraping: Scraping | None = None
        self._is_gathering = False
        self._waiting: list[Tell] = []
        self._text: bytes | None = None

    def begin(self) -> None:
        """They are served again where they were before, if they were; trouble is told on standard error."""
        try:
            kept = documents.read(Kept, self._kept, name="run/metrics.json")
            self._wanted = parse_endpoint(kept.listen) if kept is not None else None
        except TrivetError as error:
            sys.stderr.write(f"trivet: no metrics are served: {error}\n")
            return
        self._serve_again()

    def close(self) -> None:
        """Nobody is served."""
        if self._scraping is not None:
            self._scraping.close()
            self._scraping = None

    def tell(self, client: Client, _: Request) -> None:
        """The client is told the text."""
        self._gather(lambda text: client.done(text.decode()) if text is not None else client.refused(_stumbled()))

    def place(self, client: Client, _: Request) -> None:
        """The client is told where metrics are to be served, and whether they are."""
        client.done({"listen": str(self._wanted) if self._wanted else None, "served": self._scraping is not None})

    def turn_on(self, client: Client, request: Request) -> None:
        """They are served at this place alone, also by the next supervisor. Raises: InputError, PortTaken, MachineError."""
        endpoint = parse_endpoint(str(request["listen"]))
        if self._scraping is None or self._scraping.endpoint != endpoint:
            self._move(self._listen(endpoint))
        self._wanted = endpoint
        client.done(None)

    def turn_off(self, client: Client, _: Request) -> None:
        """They are served nowhere. Raises: MachineError."""
        files.remove(self._kept)
        was, self._wanted = self._wanted, None
        self.close()
        client.done(str(was) if was is not None else None)

    def _serve_again(self) -> None:
        if self._wanted is None or self._scraping is not None:
            return
        try:
            self._scraping = self._listen(self._wanted)
        except TrivetError as error:
            sys.stderr.write(f"trivet: no metrics are served for now: {error}\n")
            self._yard.loop.after(_AGAIN_S, self._serve_again)

    def _listen(self, endpoint: Endpoint) -> "Scraping":
        from trivet.run.supervisor.scraping import Scraping

        return Scraping(self._yard.loop, endpoint, self._gather)

    def _move(self, scraping: "Scraping") -> None:
        try:
            files.replace(self._kept, write_document(Kept(str(scraping.endpoint))).encode(), mode=0o600)
        except MachineError:
            scraping.close()
            raise
        self.close()
        self._scraping = scraping

    def _gather(self, tell: Tell) -> None:
        if self._text is not None:
            tell(self._text)
            return
        self._waiting.append(tell)
        if not self._is_gathering:
            from trivet.run.supervisor.gathering import Gathering, Subject

            self._is_gathering = True
            yard = self._yard
            subject = Subject(yard.home, yard.journal, tuple(self._keepers.values()), self._since)
            Gathering(yard.loop, subject, self._on_gathered)

    def _on_gathered(self, text: bytes | None) -> None:
        self._is_gathering = False
        self._text = text
        if text is not None:
            self._yard.loop.after(_FRESH_S, self._forget)
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell(text)

    def _forget(self) -> None:
        self._text = None


def _stumbled() -> RunError:
    return RunError(
        "The supervisor stumbled over its metrics.",
        hint="This is a defect of Trivet; run/supervisor.log holds what a report needs. What runs goes on running.",
    )
