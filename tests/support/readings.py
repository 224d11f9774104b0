"""What the door makes of bytes, held against what h11 makes of what the door passes on: raises AssertionError if they differ.

For whichever fuzzer brings the bytes: `scripts/fuzz-door` (atheris), or hypothesis.
"""

import h11

from trivet.run.door.body import Body
from trivet.run.door.fields import Fields
from trivet.run.door.refusal import Refusal
from trivet.run.door.request import Peer, Request, parse_request
from trivet.run.door.response import Response, parse_response
from trivet.run.door.upload import Upload

_PEER = Peer("10.0.0.1")
_OLD, _NEW = Fields(is_http10=True), Fields(is_http10=False)
_ASKED = (Request(b"GET", _NEW), Request(b"HEAD", _NEW), Request(b"GET", _OLD))
Reading = tuple[bytes, bytes, bytes]  # what the message says, its body, what is behind it


def check_request(data: bytes) -> None:
    """A request that the door passes on is the same to h11: method, target, body, and where the next one begins."""
    end = data.find(b"\r\n\r\n") + 4
    if end == 3:
        return
    try:
        request, head = parse_request(data[:end], _PEER)
        upload = Upload(request)
        passed, left = _in_two(upload, data[end:])
    except Refusal as refusal:
        _check_status(refusal, (400, 417, 501, 505))
        return
    method, target, _ = head.split(b" ", 2)
    assert method == request.method
    theirs = _read(h11.Connection(h11.SERVER), head + passed)
    if not upload.is_done:
        assert theirs is None, "the door waits for more of a request that is whole"
        return
    assert theirs is not None, "the door takes a request for whole that is not"
    assert theirs[0] == method + b" " + target
    assert theirs[2] == b"", "the door passes on more than the request"
    assert data.endswith(left)


def check_answer(data: bytes) -> None:
    """An answer that the door passes on is the same to h11: status, body, and where it ends."""
    end = data.find(b"\r\n\r\n") + 4
    if end == 3:
        return
    for asked in _ASKED:
        try:
            response = parse_response(data[:end], asked)
            body = response.make_body()
            passed, _ = body.take(data[end:])
        except Refusal as refusal:
            _check_status(refusal, (400, 502))
            continue
        if not response.is_interim and not response.switches:
            _compare(asked, response, (body, passed))


def _compare(asked: Request, response: Response, taken: tuple[Body, bytes]) -> None:
    body, passed = taken
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=asked.method, target="/", headers=[("Host", "a")]))
    reader.send(h11.EndOfMessage())
    theirs = _read(reader, response.head + passed)
    if not body.done:
        assert theirs is None, "the door waits for more of an answer that is whole"
        return
    assert theirs is not None, "the door takes an answer for whole that is not"
    assert theirs[0] == b"%d" % response.status
    assert theirs[2] == b"", "the door passes on more than the answer"


def _check_status(refusal: Refusal, known: tuple[int, ...]) -> None:
    assert refusal.status in known, f"refused with {refusal.status}"


def _in_two(upload: Upload, body: bytes) -> tuple[bytes, bytes]:
    """The body in two pieces: what passes, and what is left, do not depend on how it comes."""
    half = len(body) // 2
    first, left = upload.take(body[:half])
    if upload.is_done:
        return first, left + body[half:]
    assert left == b""
    second, left = upload.take(body[half:])
    return first + second, left


def _read(reader: h11.Connection, data: bytes) -> Reading | None:
    """The one message in the data; None: it is not whole. Raises: h11.RemoteProtocolError."""
    reader.receive_data(data)
    said, body = b"", b""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Request):
            said = event.method + b" " + event.target
        elif isinstance(event, h11.Response):
            said = b"%d" % event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return said, body, bytes(reader.trailing_data[0])
        else:
            return None
