"""Where metrics can be served, as people write it."""

import pytest

from trivet.errors import InputError
from trivet.model.endpoint import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint", "is_open"),
    [
        ("127.0.0.1:9180", Endpoint("127.0.0.1", 9180), False),
        ("localhost:9180", Endpoint("127.0.0.1", 9180), False),
        ("0.0.0.0:1", Endpoint("0.0.0.0", 1), True),
        ("[::1]:65535", Endpoint("::1", 65535), False),
        ("[::]:9180", Endpoint("::", 9180), True),
        ("unix:/run/trivet metrics.sock", Endpoint(path="/run/trivet metrics.sock"), False),
    ],
)
def test_a_place_is_an_address_with_a_port_or_a_path(text: str, endpoint: Endpoint, is_open: bool) -> None:
    assert parse_endpoint(text) == endpoint
    assert endpoint.is_open_to_others == is_open
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is neither HOST:PORT nor unix:PATH"),
        ("9180", "it is neither HOST:PORT nor unix:PATH"),
        (":9180", "it is neither HOST:PORT nor unix:PATH"),
        ("::1:9180", "it is neither HOST:PORT nor unix:PATH"),
        ("example.org:9180", "'example.org' is no IP address"),
        ("127.0.0.256:9180", "'127.0.0.256' is no IP address"),
        ("[127.0.0.1]:9180", "'127.0.0.1' is no IP address"),
        ("127.0.0.1:0", "ports are 1 to 65535"),
        ("127.0.0.1:65536", "ports are 1 to 65535"),
        ("unix:metrics.sock", "the path of a socket is absolute"),
        ("unix:/run/", "the path of a socket is absolute"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_endpoint(text)
    assert refused.value.message == f"{text!r} is not where metrics can be served: {why}."
    assert refused.value.hint == "Write 127.0.0.1:9180, [::1]:9180 or unix:/run/trivet-metrics.sock."
