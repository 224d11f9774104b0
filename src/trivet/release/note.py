"""Signed notes: a text and the signatures below it, as https://c2sp.org/signed-note has them, by Ed25519 keys.

Keys are written as Go's golang.org/x/mod/sumdb/note writes them, which is what other programs read.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import field

from trivet.model.frozen import frozen

_ED25519 = b"\x01"
_ID_BYTES, _KEY_BYTES = 4, 32
_PRIVATE = "PRIVATE+KEY+"
_KEY = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/=]+)")
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/=]+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@frozen
class Signature:
    """Made by the key of this name and id, if it fits."""

    name: str
    id: bytes
    content: bytes = field(repr=False)


@frozen
class Note:
    """What was signed, the final line break included, and by whom."""

    text: str
    signatures: tuple[Signature, ...]


@frozen
class PublicKey:
    """Checks signatures."""

    name: str
    content: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that a signature names its key by."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.content).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_encoded(_ED25519 + self.content)}"

    def claims(self, note: Note) -> bool:
        """Whether a signature says that it is this key's."""
        return any((each.name, each.id) == (self.name, self.id) for each in note.signatures)

    def signed(self, note: Note) -> bool:
        """Whether this key signed the note. Every signature that says so must fit."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = Ed25519PublicKey.from_public_bytes(self.content)
        own = [each.content for each in note.signatures if (each.name, each.id) == (self.name, self.id)]
        try:
            for signature in own:
                key.verify(signature, note.text.encode())
        except InvalidSignature:
            return False
        return bool(own)


@frozen
class PrivateKey:
    """Signs."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return PublicKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def written(self) -> str:
        """The key itself, for its file alone."""
        return f"{_PRIVATE}{self.name}+{self.public.id.hex()}+{_encoded(_ED25519 + self.seed)}"

    def sign(self, text: str) -> str:
        """The note: the text, which ends in a line break, and the signature below it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n— {self.name} {_encoded(self.public.id + signature)}\n"


def parse_note(content: bytes) -> Note | None:
    """The note, whoever signed it; None if it is none."""
    try:
        whole = content.decode()
    except UnicodeDecodeError:
        return None
    text, line, rest = whole.rpartition("\n\n")
    matches = [_SIGNATURE.fullmatch(each) for each in rest.split("\n")[:-1]]
    if not line or not rest.endswith("\n") or _CONTROL.search(whole):
        return None
    signatures = tuple(_signature(match) for match in matches if match)
    if not signatures or len(signatures) != len(matches):
        return None
    found = tuple(each for each in signatures if each is not None)
    return Note(f"{text}\n", found) if len(found) == len(signatures) else None


def parse_public_key(text: str) -> PublicKey | None:
    """The key that `str` makes this text of; None if it is none."""
    match = _KEY.fullmatch(text)
    content = _decoded(match["key"]) if match else None
    if match is None or content is None or len(content) != 1 + _KEY_BYTES or content[:1] != _ED25519:
        return None
    key = PublicKey(match["name"], content[1:])
    return key if key.id.hex() == match["id"] else None


def parse_private_key(text: str) -> PrivateKey | None:
    """The key that `written` makes this text of; None if it is none."""
    match = _KEY.fullmatch(text.removeprefix(_PRIVATE)) if text.startswith(_PRIVATE) else None
    content = _decoded(match["key"]) if match else None
    if match is None or content is None or len(content) != 1 + _KEY_BYTES or content[:1] != _ED25519:
        return None
    key = PrivateKey(match["name"], content[1:])
    return key if key.public.id.hex() == match["id"] else None


def _signature(match: re.Match[str]) -> Signature | None:
    content = _decoded(match["signature"])
    if content is None or len(content) <= _ID_BYTES:
        return None
    return Signature(match["name"], content[:_ID_BYTES], content[_ID_BYTES:])


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
