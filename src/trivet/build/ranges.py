"""Ranges of versions as npm writes them. https://github.com/npm/node-semver#ranges"""

import re

_LOOSE = re.compile(r"(?P<operator>[<>]=?|[=~^])\s*v?(?=[\dxX*])")


def is_range(text: str) -> bool:
    """Whether the text can be read as a range."""
    from semantic_version import NpmSpec

    try:
        NpmSpec(_tight(text))
    except ValueError:
        return False
    return True


def suits(version: str, wanted: str) -> bool:
    """Whether the version is in the range; every version is in the range ""."""
    if not wanted:
        return True
    from semantic_version import NpmSpec, Version  # 15 ms that only a tool with a range needs

    return bool(NpmSpec(_tight(wanted)).match(Version.coerce(version)))


def _tight(text: str) -> str:
    """The range without the spaces and the letters v that npm overlooks and the library does not."""
    return _LOOSE.sub(r"\g<operator>", re.sub(r"\s*\|\|\s*", " || ", text.strip()))
