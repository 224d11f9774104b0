#!/usr/bin/env python3
"""Checks a proof that `trivet releases proof` wrote, with the public key that `trivet releases key` printed.

    python3 check_proof.py KEY PROOF

KEY is the key, or a file that holds it; PROOF is a file. Prints the entry and ends with 0 if the proof holds; says what is
wrong and ends with 1 otherwise. It needs Python 3.8 or newer and nothing else: no Trivet, no network, no other package. It is
meant to be read: its parts are the signature (RFC 8032), the note (c2sp.org/signed-note) and the tree (RFC 6962).
"""

import base64
import contextlib
import hashlib
import json
import sys
from pathlib import Path


def main(key_text, proof_file):
    with contextlib.suppress(OSError):  # it is the key itself
        key_text = Path(key_text).read_text()
    try:
        entry, size = check(key_text.strip(), Path(proof_file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"NOT PROVED: {error}")
    position, app, deploy, kind, number, at, body = entry
    print(f"proved: entry {position} of {size} of the ledger {key_text.split('+')[0]}")
    print(f"{app}/{deploy} v{number}: {kind}, {at}")
    print(json.dumps(json.loads(body), indent=2, ensure_ascii=False))


def check(key_text, proof):
    """The parts of the proved entry, and how many entries the ledger had. Raises ValueError if the proof does not hold."""
    head, blank, note = proof.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise ValueError("this is no proof")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise ValueError("the proof does not hold the entry")
    entry = base64.b64decode(lines[1][len("extra ") :], validate=True)
    index = int(lines[2][len("index ") :])
    path = [base64.b64decode(line, validate=True) for line in lines[3:]]
    size, root = read_checkpoint(key_text, note)
    if climb(leaf_hash(entry), index, size, path) != root:
        raise ValueError("the entry is not in the ledger that was signed")
    form, *parts = entry.decode().split("\n", 7)
    if form != "trivet-ledger-2" or len(parts) != 7 or parts[0] != str(index + 1):
        raise ValueError("what was proved is no entry of a ledger, or of another form")
    return parts, size


# The tree. https://www.rfc-editor.org/rfc/rfc6962#section-2.1


def leaf_hash(content):
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(leaf, index, size, path):
    """The root of the tree that the path leads to from the leaf."""
    if not 0 <= index < size:
        raise ValueError("there is no such entry in the ledger")
    if size == 1:
        if path:
            raise ValueError("the path is too long")
        return leaf
    split = 1 << (size - 1).bit_length() - 1  # the largest power of two below the size: where the definition splits
    if not path:
        raise ValueError("the path is too short")
    *below, sibling = path
    if index < split:
        return node_hash(climb(leaf, index, split, below), sibling)
    return node_hash(sibling, climb(leaf, index - split, size - split, below))


# The checkpoint: a signed note. https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint


def read_checkpoint(key_text, note):
    """Size and root, signed by the key."""
    name, key_id, public = read_key(key_text)
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.split("\n"):
        mark, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        if mark != "\u2014" or signer != name:
            continue
        signature = base64.b64decode(encoded, validate=True)
        if signature[:4] == key_id:
            if not is_signed(public, text.encode(), signature[4:]):
                raise ValueError("the signature of the checkpoint is wrong")
            origin, size, root = text.split("\n")[:3]
            if origin != name:
                raise ValueError("the checkpoint is of another ledger")
            return int(size), base64.b64decode(root, validate=True)
    raise ValueError("the checkpoint is not signed by this key")


def read_key(text):
    """Name, id and public key, of NAME+ID+BASE64."""
    name, key_id, encoded = text.split("+", 2)
    content = base64.b64decode(encoded, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + content).digest()[:4]
    if len(content) != 33 or content[0] != 1 or expected.hex() != key_id:
        raise ValueError("this is no key, or no Ed25519 key")
    return name, expected, content[1:]


# The signature: Ed25519. https://www.rfc-editor.org/rfc/rfc8032#section-5.1

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def is_signed(public, message, signature):
    if len(signature) != 64:
        return False
    key, commitment = read_point(public), read_point(signature[:32])
    factor = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or factor >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return is_same(times(factor, BASE), add(commitment, times(challenge, key)))


def read_point(content):
    """The point, as x, y, 1 and x * y; None if there is none."""
    y = int.from_bytes(content, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(one, other):
    """The sum of two points, by the formulas of section 5.1.4."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor, point):
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def is_same(one, other):
    return not (one[0] * other[2] - other[0] * one[2]) % P and not (one[1] * other[2] - other[1] * one[2]) % P


BASE = read_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
