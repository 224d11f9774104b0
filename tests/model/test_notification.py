"""Notifications: how they are signed, and which URLs can be told."""

import pytest

from trivet.errors import InputError
from trivet.model.notification import Subscriber, make_secret, parse_url, sign


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_a_signature_is_that_of_the_standards_own_example(prefix: str) -> None:
    # https://github.com/standard-webhooks/standard-webhooks has it in the tests of each of its libraries.
    secret, identity = f"{prefix}MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signature = sign(secret, identity, 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_base64_behind_a_prefix() -> None:
    assert make_secret(b"\0" * 24) == "whsec_" + "A" * 32


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org/T1/B2?token=3", "https://hooks.example.org/…"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/…"),
        ("https://[::1]:8443/x", "https://[::1]:8443/…"),
    ],
)
def test_of_a_url_only_its_host_is_shown(url: str, shown: str) -> None:
    subscriber = Subscriber(1, parse_url(f" {url}\n"), "whsec_AAAA")
    assert subscriber.url == url
    assert subscriber.shown == shown
    assert "T1" not in repr(subscriber)
    assert "whsec" not in repr(subscriber)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "That is no URL: it is empty, or holds blanks or characters that must be escaped."),
        (
            "https://a.example/s3cret key",
            "That is no URL: it is empty, or holds blanks or characters that must be escaped.",
        ),
        ("ftp://a.example/s3cret", "That is no URL of the web: it has to start with https:// or http:// and a host."),
        ("hooks.example.org/s3cret", "That is no URL of the web: it has to start with https:// or http:// and a host."),
        ("https:///s3cret", "That is no URL of the web: it has to start with https:// or http:// and a host."),
        ("https://a.example:port/s3cret", "That is no URL: its host or its port cannot be read."),
        ("https://ada:s3cret@a.example/", "A user or a password in the URL is not sent."),
    ],
)
def test_what_is_no_url_is_said_without_repeating_it(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_url(text)
    assert raised.value.message == message
