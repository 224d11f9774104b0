"""Domains: names, and Caddy's config with what is ours in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivet.errors import InvalidName
from trivet.model.domain import Certificate, Domain, arrange, parse_domain
from trivet.model.names import AppName, DeployName
from trivet.model.run import Address

SHOP = (AppName("shop"), DeployName("production"))
ADDRESS = Address("0.0.0.0", 8000)
FOREIGN: dict[str, Any] = {
    "admin": {"listen": "unix//run/caddy/admin.sock"},
    "apps": {
        "http": {"servers": {"srv0": {"listen": [":443"], "routes": [{"@id": "blog", "handle": []}]}}},
        "tls": {"automation": {"policies": [{"subjects": ["blog.test"]}]}},
    },
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        ("*.example.org", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_is_as_in_the_dns(text: str, name: str) -> None:
    assert parse_domain(text) == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", "-a.org", "a.org/x", "http://a.org", "a b.org", "a.org:80", "127.0.0.1", "*.*.a.org", "a" * 64],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_domain(text)


def test_an_empty_caddy_gets_a_server_of_ours_and_loses_it_again() -> None:
    arranged = arrange(None, [(Domain("a.test", *SHOP), ADDRESS)])
    (route,) = arranged["apps"]["http"]["servers"]["trivet"]["routes"]
    assert route["match"] == [{"host": ["a.test"]}]
    assert route["handle"][0]["upstreams"] == [{"dial": "127.0.0.1:8000"}]
    assert arranged["apps"]["http"]["servers"]["trivet"]["listen"] == [":443"]
    assert arrange(arranged, []) == {"apps": {"http": {"servers": {}}}}


def test_ipv6_addresses_stand_in_brackets() -> None:
    arranged = arrange(None, [(Domain("a.test", *SHOP), Address("::1", 8000))])
    (route,) = arranged["apps"]["http"]["servers"]["trivet"]["routes"]
    assert route["handle"][0]["upstreams"] == [{"dial": "[::1]:8000"}]


NAMES = st.sampled_from(["a.test", "b.test", "c.test"])
WANTED = st.lists(
    st.builds(
        lambda name, certificate, port: (Domain(name, *SHOP, certificate), Address("127.0.0.1", port)),
        NAMES,
        st.sampled_from(Certificate),
        st.integers(1, 65535),
    ),
    unique_by=lambda each: each[0].name,
)


@given(WANTED, WANTED)
def test_what_is_not_ours_stays_and_the_order_of_changes_does_not_matter(
    first: list[tuple[Domain, Address]], second: list[tuple[Domain, Address]]
) -> None:
    arranged = arrange(arrange(FOREIGN, first), second)
    assert arranged["apps"]["http"] == arrange(FOREIGN, second)["apps"]["http"]
    assert arranged["apps"]["tls"] == arrange(FOREIGN, second)["apps"]["tls"]
    assert arrange(arranged, second) == arranged
    assert arrange(arranged, [])["apps"]["http"] == FOREIGN["apps"]["http"]
    assert arrange(arranged, [])["apps"]["tls"] == FOREIGN["apps"]["tls"]
