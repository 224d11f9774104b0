"""The published ways to make two readers of HTTP see different requests, as data: what is sent, and what becomes of it.

Behind each, `AFTER` is sent. An outcome is the status that the door refuses with, before anything reached the app; or the
requests that reach it, as `METHOD target body`. From Watchfire's first paper (2005), Kettle's on desync (2019, 2021, 2022,
2025), h2c smuggling (Bishop Fox), T-Reqs, the HTTP Garden, and "Funky chunks" (2025).
"""

Outcome = int | tuple[bytes, ...]
Case = tuple[bytes, Outcome]

AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LAST = b"GET /after"
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def _post(fields: bytes, body: bytes = b"", line: bytes = b"POST / HTTP/1.1") -> bytes:
    return line + b"\r\nHost: a\r\n" + fields + b"\r\n" + body


def _get(fields: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked\r\n", body)


_ABC = b"3\r\nabc\r\n0\r\n\r\n"

LENGTHS: dict[str, Case] = {
    "CL.TE": (_post(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nG"), 400),
    "TE.CL": (_post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"5c\r\n" + _SMUGGLED + b"0\r\n\r\n"), 400),
    "CL.CL": (_post(b"Content-Length: 3\r\nContent-Length: 0\r\n", b"abc"), 400),
    "CL.CL, the same": (_post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), 400),
    "CL.CL, in other letters": (_post(b"Content-Length: 3\r\ncontent-LENGTH: 0\r\n", b"abc"), 400),
    "CL, a list": (_post(b"Content-Length: 3, 3\r\n", b"abc"), 400),
    "CL, a list with an empty member": (_post(b"Content-Length: 3,\r\n", b"abc"), 400),
    "CL with a plus": (_post(b"Content-Length: +3\r\n", b"abc"), 400),
    "CL with a minus": (_post(b"Content-Length: -3\r\n", b"abc"), 400),
    "CL of minus zero": (_post(b"Content-Length: -0\r\n"), 400),
    "CL in hex": (_post(b"Content-Length: 0x3\r\n", b"abc"), 400),
    "CL in octal, or not": (_post(b"Content-Length: 010\r\n", b"0123456789"), (b"POST / 0123456789", LAST)),
    "CL with a point": (_post(b"Content-Length: 3.0\r\n", b"abc"), 400),
    "CL with an exponent": (_post(b"Content-Length: 3e0\r\n", b"abc"), 400),
    "CL with an underscore": (_post(b"Content-Length: 1_0\r\n", b"0123456789"), 400),
    "CL with a space inside": (_post(b"Content-Length: 1 0\r\n", b"0123456789"), 400),
    "CL with letters behind": (_post(b"Content-Length: 3abc\r\n", b"abc"), 400),
    "CL in quotes": (_post(b'Content-Length: "3"\r\n', b"abc"), 400),
    "CL in other digits": (_post("Content-Length: ٣\r\n".encode(), b"abc"), 400),
    "CL, empty": (_post(b"Content-Length:\r\n", b"abc"), 400),
    "CL past 64 bits": (_post(b"Content-Length: 18446744073709551619\r\n", b"abc"), 400),
    "CL past 32 bits": (_post(b"Content-Length: 4294967299\r\n", b"abc"), ()),
    "CL with a tab before it": (_post(b"Content-Length:\t3\r\n", b"abc"), 400),
    "CL with a tab behind it": (_post(b"Content-Length: 3\t\r\n", b"abc"), 400),
    "CL with spaces around it": (_post(b"Content-Length:   3  \r\n", b"abc"), (b"POST / abc", LAST)),
    "CL with a vertical tab": (_post(b"Content-Length: \x0b3\r\n", b"abc"), 400),
    "CL with NUL": (_post(b"Content-Length: 3\0\r\n", b"abc"), 400),
    "CL, a space before the colon": (_post(b"Content-Length : 3\r\n", b"abc"), 400),
    "CL, a tab before the colon": (_post(b"Content-Length\t: 3\r\n", b"abc"), 400),
    "CL, a space before the name": (_post(b" Content-Length: 3\r\n", b"abc"), 400),
    "CL, folded": (_post(b"Content-Length:\r\n 3\r\n", b"abc"), 400),
    "CL, a fold behind": (_post(b"Content-Length: 3\r\n 0\r\n", b"abc"), 400),
    "CL behind a bare CR": (_post(b"X: y\rContent-Length: 3\r\n", b"abc"), 400),
    "CL behind a bare LF": (_post(b"X: y\nContent-Length: 3\r\n", b"abc"), 400),
    "CL with an underscore in its name": (_post(b"Content_Length: 3\r\n", b"abc"), 400),
    "CL with NUL in its name": (_post(b"Content-\0Length: 3\r\n", b"abc"), 400),
    "CL with a letter past ASCII in its name": (_post("Content-Lengt\u0068\u0301: 3\r\n".encode(), b"abc"), 400),
    "CL as a trailing part of a name": (_post(b"X-Content-Length: 3\r\n"), (b"POST /", LAST)),
    "CL.0, a body with GET": (
        _get(b"Content-Length: %d\r\n" % len(_SMUGGLED)) + _SMUGGLED,
        (b"GET / " + _SMUGGLED, LAST),
    ),
    "CL.0, a body with HEAD": (
        _post(b"Content-Length: 3\r\n", b"abc", b"HEAD / HTTP/1.1"),
        (b"HEAD / abc", LAST),
    ),
    "CL.0, a body with OPTIONS": (
        _post(b"Content-Length: 3\r\n", b"abc", b"OPTIONS / HTTP/1.1"),
        (b"OPTIONS / abc", LAST),
    ),
    "0.CL": (_get(b"Content-Length: %d\r\n" % len(AFTER)), (b"GET / " + AFTER,)),
    "0.CL with a name hidden": (_get(b"Content-Length \r\n: 3\r\n"), 400),
    "0.CL behind a Connection option": (_post(b"Content-Length: 3\r\nConnection: content-length\r\n", b"abc"), 400),
    "no length at all": (_post(b""), (b"POST /", LAST)),
    "CL in HTTP/1.0 without Host": (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", (b"POST / abc",)),
    "CL.TE in HTTP/1.0 without Host": (
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "CL in HTTP/1.0": (
        _post(b"Content-Length: 3\r\nConnection: keep-alive\r\n", b"abc", b"POST / HTTP/1.0"),
        (b"POST / abc",),
    ),
}

CODINGS: dict[str, Case] = {
    f"TE.TE, {name}": (_post(field, _ABC), 400)
    for name, field in {
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "chunkedx": b"Transfer-Encoding: chunkedx\r\n",
        "chunk": b"Transfer-Encoding: chunk\r\n",
        "a space before the colon": b"Transfer-Encoding : chunked\r\n",
        "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
        "a tab": b"Transfer-Encoding:\tchunked\r\n",
        "a tab behind": b"Transfer-Encoding: chunked\t\r\n",
        "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "a vertical tab behind": b"Transfer-Encoding: chunked\x0b\r\n",
        "a form feed": b"Transfer-Encoding: \x0cchunked\r\n",
        "NUL": b"Transfer-Encoding: chunked\0\r\n",
        "DEL": b"Transfer-Encoding: \x7fchunked\r\n",
        "no-break space": b"Transfer-Encoding: \xa0chunked\r\n",
        "next line": b"Transfer-Encoding: chunked\x85\r\n",
        "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "twice, the first odd": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        "twice, the second odd": b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
        "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
        "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
        "identity, chunked": b"Transfer-Encoding: identity, chunked\r\n",
        "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "gzip": b"Transfer-Encoding: gzip\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "empty": b"Transfer-Encoding:\r\n",
        "a comma before": b"Transfer-Encoding: ,chunked\r\n",
        "a comma behind": b"Transfer-Encoding: chunked,\r\n",
        "a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "quotes": b'Transfer-Encoding: "chunked"\r\n',
        "single quotes": b"Transfer-Encoding: 'chunked'\r\n",
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "folded with a tab": b"Transfer-Encoding:\r\n\tchunked\r\n",
        "a fold behind": b"Transfer-Encoding: chunked\r\n x\r\n",
        "a bare LF before": b"X: y\nTransfer-Encoding: chunked\r\n",
        "a bare CR before": b"X: y\rTransfer-Encoding: chunked\r\n",
        "a bare CR behind": b"Transfer-Encoding: chunked\r\r\n",
        "a bare LF behind": b"Transfer-Encoding: chunked\n",
        "CR behind the colon": b"Transfer-Encoding:\rchunked\r\n",
        "a space before the name": b" Transfer-Encoding: chunked\r\n",
        "a name that begins with a colon": b":Transfer-Encoding: chunked\r\n",
        "an underscore": b"Transfer_Encoding: chunked\r\n",
        "a dotless i": "Transfer-Encod\u0131ng: chunked\r\n".encode(),
        "a long s": "Tran\u017ffer-Encoding: chunked\r\n".encode(),
        "a Kelvin sign": "Transfer-Encoding: chun\u212aed\r\n".encode(),
        "no colon": b"Transfer-Encoding chunked\r\n",
        "taken away by Connection": b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
    }.items()
}
CODINGS |= {
    "chunked": (_chunked(_ABC), (b"POST / abc", LAST)),
    "chunked in capitals": (_post(b"TRANSFER-ENCODING: CHUNKED\r\n", _ABC), (b"POST / abc", LAST)),
    "chunked with spaces around": (_post(b"Transfer-Encoding:   chunked  \r\n", _ABC), (b"POST / abc", LAST)),
    "chunked without a space": (_post(b"Transfer-Encoding:chunked\r\n", _ABC), (b"POST / abc", LAST)),
    "chunked in HTTP/1.0": (_post(b"Transfer-Encoding: chunked\r\n", _ABC, b"POST / HTTP/1.0"), 400),
    "TE.0, chunks with GET": (_get(b"Transfer-Encoding: chunked\r\n") + _ABC, (b"GET / abc", LAST)),
    "TE.0, chunks with OPTIONS": (
        _post(b"Transfer-Encoding: chunked\r\n", _ABC, b"OPTIONS / HTTP/1.1"),
        (b"OPTIONS / abc", LAST),
    ),
    "a coding of the next hop": (_get(b"TE: trailers, chunked\r\nConnection: TE\r\n"), (b"GET /", LAST)),
}

CHUNKS: dict[str, Case] = {
    name: (_chunked(body), 400)
    for name, body in {
        "TERM.EXT: LF in an extension": b"2;\nxx\r\n10\r\n\r\nGET /smuggled\r\n0\r\n\r\n",
        "EXT.TERM: LF ends a size": b"2\nab\r\n0\r\n\r\n",
        "EXT.TERM: CR in an extension": b"2;a\rb\r\nab\r\n0\r\n\r\n",
        "TERM.EXT: CR ends a size": b"2\rab\r\n0\r\n\r\n",
        "ONE.TWO: LF behind the data": b"2\r\nab\n0\r\n\r\n",
        "ONE.TWO: CR behind the data": b"2\r\nab\r0\r\n\r\n",
        "TWO.ONE: other bytes behind the data": b"2\r\nabXX0\r\n\r\n",
        "ZERO.TWO: nothing behind the data": b"2\r\nab0\r\n\r\n",
        "SPILL: data longer than its size": b"2\r\nabc\r\n0\r\n\r\n",
        "SPILL: one byte of the line end is data": b"2\r\nab\rX\n0\r\n\r\n",
        "TERM.SPILL: LF ends the last chunk": b"0\n\r\n",
        "SPILL.TERM: LF ends the trailers": b"0\r\n\n",
        "CR ends the trailers": b"0\r\n\rX",
        "a space before a size": b" 3\r\nabc\r\n0\r\n\r\n",
        "a space behind a size": b"3 \r\nabc\r\n0\r\n\r\n",
        "a tab behind a size": b"3\t\r\nabc\r\n0\r\n\r\n",
        "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a size with a plus": b"+3\r\nabc\r\n0\r\n\r\n",
        "a size with a minus": b"-3\r\nabc\r\n0\r\n\r\n",
        "a size with an underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
        "a size with letters past f": b"3g\r\nabc\r\n0\r\n\r\n",
        "a size of no digits": b"\r\nabc\r\n0\r\n\r\n",
        "an extension alone": b";a=b\r\nabc\r\n0\r\n\r\n",
        "a size past 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        "a size with many zeros": b"0000000000000000000000003\r\nabc\r\n0\r\n\r\n",
        "NUL in an extension": b"3;\0\r\nabc\r\n0\r\n\r\n",
        "NUL behind a size": b"3\0\r\nabc\r\n0\r\n\r\n",
        "an extension longer than 4 KiB": b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
        "a last chunk of a minus": b"3\r\nabc\r\n-0\r\n\r\n",
        "a trailer that is a request": b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        "a trailer with a length": b"0\r\nContent-Length: 5\r\n\r\n",
        "a trailer with a coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "a trailer with a host": b"0\r\nHost: b\r\n\r\n",
        "a trailer with a forged address": b"0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
        "a trailer without a colon": b"0\r\nabc\r\n\r\n",
        "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
        "a trailer with a bare CR": b"0\r\nA: b\rc\r\n\r\n",
        "a trailer with a bare LF": b"0\r\nA: b\nX: y\r\n\r\n",
    }.items()
}
CHUNKS |= {
    "an extension": (_chunked(b"3;a=b\r\nabc\r\n0;c\r\n\r\n"), (b"POST / abc", LAST)),
    "an extension in quotes": (_chunked(b'3;a="b;c"\r\nabc\r\n0\r\n\r\n'), (b"POST / abc", LAST)),
    "a size with zeros": (_chunked(b"003\r\nabc\r\n000\r\n\r\n"), (b"POST / abc", LAST)),
    "a size in capitals": (_chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), (b"POST / 0123456789", LAST)),
    "line ends as data": (_chunked(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), (b"POST / \r\n\r\n", LAST)),
    "a request as data": (
        _chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(_SMUGGLED), _SMUGGLED)),
        (b"POST / " + _SMUGGLED, LAST),
    ),
    "a harmless trailer": (_chunked(b"3\r\nabc\r\n0\r\nDigest: x\r\n\r\n"), (b"POST / abc", LAST)),
}

LINES: dict[str, Case] = {
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/0.9 with a head behind": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": (b"GET / HTTP/2\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    "HTTP/1.": (b"GET / HTTP/1.\r\nHost: a\r\n\r\n", 400),
    "HTTP/01.1": (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400),
    "http/1.1": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP /1.1": (b"GET / HTTP /1.1\r\nHost: a\r\n\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "two versions": (b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tab for a space": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a vertical tab for a space": (b"GET\x0b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a bare CR for a space": (b"GET /\rHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a space before the method": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a space behind the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in the target": (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a letter past ASCII in the target": ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
    "a fragment in the target": (b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET /#x", LAST)),
    "no path": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an odd character in the method": (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method with a colon": (b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method in small letters": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", (b"get /", LAST)),
    "a method that nobody knows": (b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", (b"FROB /", LAST)),
    "empty lines before": (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET /", LAST)),
    "bare LFs before": (b"\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a bare CR before": (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare LFs throughout": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "one bare LF": (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    "LF CR": (b"GET / HTTP/1.1\n\rHost: a\n\r\n\r", 400),
    "CR CR LF": (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    "a head that ends with CR LF LF": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "a head that ends with LF CR LF": (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    "white space before the first field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "white space alone on a line": (_get(b" \r\n"), 400),
    "a name with a space": (_get(b"X Y: z\r\n"), 400),
    "a name with NUL": (_get(b"X\0: z\r\n"), 400),
    "no name": (_get(b": z\r\n"), 400),
    "no colon": (_get(b"GET /smuggled HTTP/1.1\r\n"), 400),
    "a value with NUL": (_get(b"X: \0\r\n"), 400),
    "a value with a bare CR": (_get(b"X: y\rz\r\n"), 400),
    "a value with a bell": (_get(b"X: \x07\r\n"), 400),
    "a value past ASCII": (_get(b"X: \xc3\xa4\xff\r\n"), (b"GET /", LAST)),
    "a head of 65 KiB": (_get(b"X: " + b"x" * 66560 + b"\r\n"), 431),
    "ten thousand fields": (_get(b"X: y\r\n" * 10000), (b"GET /", LAST)),
}

HOSTS: dict[str, Case] = {
    "no Host": (b"GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
    "two Hosts": (_get(b"Host: b\r\n"), 400),
    "the same Host twice": (_get(b"Host: a\r\n"), 400),
    "a space before Host's colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "Host with a tab": (b"GET / HTTP/1.1\r\nHost:\ta\r\n\r\n", 400),
    "Host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with a user": (b"GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", 400),
    "Host with a comma": (b"GET / HTTP/1.1\r\nHost: a, b/\r\n\r\n", 400),
    "Host, folded": (b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400),
    "a URL for a path": (b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET /b?c", LAST)),
    "a URL that contradicts Host": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET /", LAST)),
    "a URL and a Host that is none": (b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "a URL and a Host with a tab": (b"GET http://a/ HTTP/1.1\r\nHost:\ta\r\n\r\n", 400),
    "a URL without a path": (b"GET http://a?c HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET /?c", LAST)),
    "a URL with a user": (b"GET http://b@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a URL with a space": (b"GET http://a /b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a URL of another kind": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a URL and two Hosts": (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a URL and no Host": (b"GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n", 400),
    "an authority": (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a path that looks like a host": (b"GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", (b"GET //b/c", LAST)),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "CONNECT with a path": (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", (b"OPTIONS *", LAST)),
    "GET *": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
}

TURNS: dict[str, Case] = {
    "h2c": (
        _get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"),
        (b"GET /", LAST),
    ),
    "h2c in a list": (_get(b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"), (b"GET /", LAST)),
    "h2c without Connection": (_get(b"Upgrade: h2c\r\nHTTP2-Settings: x\r\n"), (b"GET /", LAST)),
    "an upgrade with a body": (
        _post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", b"abc"),
        (b"POST / abc", LAST),
    ),
    "an upgrade with a request behind": (_get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), (b"GET /", LAST)),
    "an upgrade in HTTP/1.0": (
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        (b"GET /",),
    ),
    "Expect with a body at once": (
        _post(b"Content-Length: 3\r\nExpect: 100-continue\r\n", b"abc"),
        (b"POST / abc", LAST),
    ),
    "Expect with chunks at once": (
        _post(b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", _ABC),
        (b"POST / abc", LAST),
    ),
    "Expect with no body": (_get(b"Expect: 100-continue\r\n"), (b"GET /", LAST)),
    "Expect with GET and a length": (
        _get(b"Expect: 100-continue\r\nContent-Length: 3\r\n") + b"abc",
        (b"GET / abc", LAST),
    ),
    "an Expect that nobody knows": (_post(b"Content-Length: 3\r\nExpect: y 100-continue\r\n", b"abc"), 417),
    "Expect with a tab": (_post(b"Content-Length: 3\r\nExpect:\t100-continue\r\n", b"abc"), 417),
    "Expect twice": (_post(b"Content-Length: 3\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", b"abc"), 400),
    "Expect with an option": (_post(b"Content-Length: 3\r\nExpect: 100-continue, x\r\n", b"abc"), 417),
    "Expect, in capitals": (_post(b"Content-Length: 3\r\nExpect: 100-Continue\r\n", b"abc"), (b"POST / abc", LAST)),
    "Expect, folded": (_post(b"Content-Length: 3\r\nExpect:\r\n 100-continue\r\n", b"abc"), 400),
    "a cookie taken away": (_get(b"Cookie: a=b\r\nConnection: close, Cookie\r\n"), 400),
    "a Host taken away": (_get(b"Connection: Host\r\n"), 400),
    "ten requests at once": (b"".join(_get(b"") for _ in range(9)), (*[b"GET /"] * 9, LAST)),
    "bodies and none, in turn": (
        _post(b"Content-Length: 3\r\n", b"abc") + _get(b"") + _chunked(_ABC) + _get(b""),
        (b"POST / abc", b"GET /", b"POST / abc", b"GET /", LAST),
    ),
    "an empty line behind a body": (_post(b"Content-Length: 3\r\n", b"abc\r\n"), (b"POST / abc", LAST)),
    "a body that is shorter than said": (_post(b"Content-Length: %d\r\n" % (len(AFTER) + 1)), ()),
    "chunks without an end": (_chunked(b"ffff\r\n"), ()),
    "something behind Connection: close": (_get(b"Connection: close\r\n"), (b"GET /",)),
    "something behind HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", (b"GET /",)),
    "a second head that breaks the rules": (_get(b"") + _get(b"X Y: z\r\n"), (b"GET /",)),
}

CASES = {
    f"{family}: {name}": case
    for family, cases in {
        "length": LENGTHS,
        "coding": CODINGS,
        "chunk": CHUNKS,
        "line": LINES,
        "host": HOSTS,
        "turn": TURNS,
    }.items()
    for name, case in cases.items()
}
