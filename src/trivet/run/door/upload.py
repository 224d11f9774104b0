"""A request's body on its way to a backend, and as much of it as is kept to send the request again."""

from trivet.run.door.body import Body, Chunked, Fixed
from trivet.run.door.fields import Fields
from trivet.run.door.request import Request
from trivet.run.door.stream import READ_BYTES


class Upload:
    """The body of one request, if it is not `is_empty`. Until a backend has taken the request, all of it that came is kept."""

    __slots__ = ("_body", "_is_repeatable", "_kept", "is_empty")

    def __init__(self, request: Request) -> None:
        self._body: Body | None = None
        if request.has_body:
            self._body = Chunked() if request.fields.chunked else Fixed(request.fields.length)
        self.is_empty = self._body is None
        self._is_repeatable = request.is_repeatable
        self._kept: bytes | None = b""

    @property
    def is_done(self) -> bool:
        return self._body is None or self._body.done

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that a client should pause."""
        return self._kept is not None and len(self._kept) > READ_BYTES

    @property
    def kept(self) -> bytes:
        """The body from its beginning, as far as it has come."""
        return self._kept or b""

    @property
    def may_repeat(self) -> bool:
        """Whether the request may be sent again after a backend had taken it."""
        return self._is_repeatable and self._kept is not None

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """(what belongs to the body, what comes after it). Raises: Refusal."""
        if self._body is None:
            return b"", data
        passed, left = self._body.take(data)
        if self._kept is not None:
            self._kept += passed
        return passed, left

    def forget(self) -> None:
        """A backend has taken what came: it is kept only if it is small and the request may be sent again."""
        if not self._is_repeatable or self.is_full:
            self._kept = None


# For most requests: nothing of it changes, so it is not made for each of them. By whether the request may be repeated.
NO_UPLOAD = tuple(Upload(Request(method, Fields(is_http10=False))) for method in (b"POST", b"GET"))
