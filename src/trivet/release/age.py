"""age (https://age-encryption.org/v1): text sealed for a key, and opened with it. The `age` command opens it, too.

Keys are text, as age writes them: an identity, which opens, is `AGE-SECRET-KEY-1…`; its recipient, for which one seals, is
`age1…`. pyrage is imported when it is needed: most commands neither seal nor open.
"""


def make_identity() -> str:
    """A new identity."""
    import pyrage

    return str(pyrage.x25519.Identity.generate())


def recipient_of(identity: str) -> str:
    """The recipient that goes with the identity. Raises: ValueError, if it is none."""
    import pyrage

    try:
        return str(pyrage.x25519.Identity.from_str(identity).to_public())
    except pyrage.IdentityError as error:
        raise ValueError("it is no age identity") from error


def seal(text: str, recipient: str) -> str:
    """The text, for whoever has the recipient's identity: lines of ASCII. Raises: ValueError, if it is no recipient."""
    import pyrage

    try:
        whom = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise ValueError("it is no age recipient") from error
    sealed: bytes = pyrage.encrypt(text.encode(), [whom], armored=True)
    return sealed.decode("ascii")


def unseal(sealed: str, identities: tuple[str, ...]) -> str:
    """The text. Raises: ValueError, if it was sealed for none of the identities, or is not what was sealed."""
    import pyrage

    try:
        opened: bytes = pyrage.decrypt(
            sealed.encode(), [pyrage.x25519.Identity.from_str(identity) for identity in identities]
        )
    except pyrage.DecryptError as error:
        raise ValueError("it cannot be opened") from error
    return opened.decode()
