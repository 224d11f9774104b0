"""Notifications: what a URL is told of a release, and the signature by which its owner knows that we said it. Pure.

The form is that of https://www.standardwebhooks.com, so that there are libraries to check it with.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import field
from urllib.parse import urlsplit

from trivet.errors import InputError
from trivet.model.frozen import frozen
from trivet.model.names import AppName, Deploy, DeployName

SECRET_PREFIX = "whsec_"


@frozen
class Subscriber:
    """A URL that is told of releases: of a deploy, of an app's deploys, or of all (`app` and `deploy` are None).

    `secret` is what its messages are signed with. Both may let somebody in: neither is ever shown unasked.
    """

    number: int
    url: str = field(repr=False)
    secret: str = field(repr=False)
    app: AppName | None = None
    deploy: DeployName | None = None

    def wants(self, deploy: Deploy) -> bool:
        return self.app in (None, deploy.app) and self.deploy in (None, deploy.name)

    @property
    def shown(self) -> str:
        """The URL up to where a secret may stand in it."""
        parts = urlsplit(self.url)
        place = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{f'[{place}]' if ':' in place else place}{port}/…"

    @property
    def scope(self) -> str:
        """Whose releases it is told of, in words."""
        if self.app is None:
            return "every deploy"
        return f"{self.app}/{self.deploy}" if self.deploy is not None else f"every deploy of {self.app}"


@frozen
class Message:
    """A message to one subscriber. `id` stays the same however often it is sent; `failure` says what the last try met."""

    id: str
    kind: str
    queued_at: str
    body: str
    attempts: int = 0
    failure: str = ""


def sign(secret: str, message_id: str, at: int, body: bytes) -> str:
    """The value of the header `webhook-signature`; `at` is when it is sent, in seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    content = b".".join((message_id.encode(), str(at).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"


def make_secret(random: bytes) -> str:
    """A secret of these random bytes, 24 to 64 of them, as the receiving side's libraries take it."""
    return f"{SECRET_PREFIX}{base64.b64encode(random).decode()}"


def parse_url(text: str) -> str:
    """The URL, which can be told of releases. Raises: InputError; what is wrong is said without repeating it."""
    url = text.strip()
    hint = "Write it like https://hooks.example.org/trivet."
    if not re.fullmatch(r"[!-~]+", url):
        raise InputError("That is no URL: it is empty, or holds blanks or characters that must be escaped.", hint=hint)
    try:
        parts = urlsplit(url)
        place, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError("That is no URL: its host or its port cannot be read.", hint=hint) from error
    if parts.scheme not in ("http", "https") or not place:
        raise InputError("That is no URL of the web: it has to start with https:// or http:// and a host.", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "A user or a password in the URL is not sent.", hint="Have the other side check the signature instead."
        )
    return url
