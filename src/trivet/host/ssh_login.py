"""The SSH key that a person logged in with, as sshd tells it to their session.

With `ExposeAuthInfo yes` sshd names a file in $SSH_USER_AUTH; a line of it tells what was shown, for a key
`publickey ssh-ed25519 AAAA…`. https://man.openbsd.org/sshd_config.5#ExposeAuthInfo
The file belongs to the person, so this is as true as they are.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

_CERTIFICATE = "-cert-v01@openssh.com"
_KEY_FIELDS = {"ssh-rsa": 2, "ssh-ed25519": 1, "ecdsa-sha2": 2, "sk-ssh-ed25519": 2, "sk-ecdsa-sha2": 3}


def login_key(environment: Mapping[str, str]) -> str | None:
    """The fingerprint of the key, `SHA256:…`, as `ssh-keygen -l` shows it; None if sshd told of none."""
    path = environment.get("SSH_USER_AUTH")
    if not path:
        return None
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((_fingerprint(*words[1:3]) for line in lines if _is_key(words := line.split())), None)


def _is_key(words: list[str]) -> bool:
    return len(words) >= 3 and words[0] == "publickey"


def _fingerprint(kind: str, encoded: str) -> str | None:
    # Loaded here: few have the file, and every command starts by this.
    import base64
    import hashlib

    try:
        key = base64.b64decode(encoded, validate=True)
        key = _without_certificate(kind, key) if kind.endswith(_CERTIFICATE) else key
    except (ValueError, KeyError, StopIteration, struct.error):
        return None
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def _without_certificate(kind: str, certificate: bytes) -> bytes:
    """The key that the certificate is of: its fields come behind a nonce.

    https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.certkeys
    """
    plain = kind.removesuffix(_CERTIFICATE)
    count = next(count for name, count in _KEY_FIELDS.items() if plain.startswith(name))
    fields = _fields(certificate)
    next(fields), next(fields)
    name = f"{plain}@openssh.com" if plain.startswith("sk-") else plain
    return b"".join(
        struct.pack(">I", len(part)) + part for part in (name.encode(), *(next(fields) for _ in range(count)))
    )


def _fields(blob: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(blob):
        (length,) = struct.unpack_from(">I", blob, start)
        yield blob[start + 4 : start + 4 + length]
        start += 4 + length
