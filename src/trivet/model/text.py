"""Text of others: commit messages, names, what a command writes. It may hold what a terminal would obey."""

import re

# Whole escape sequences (ECMA-48: control sequences, control strings, two-character escapes), so that a colour goes
# without a trace; then the rest: C0 but tab, DEL, C1, line and bidi controls, and what stands for undecodable bytes.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]*[0-~]"
)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """The text on one line, without colours, escape sequences and control characters; it can be written as UTF-8."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", _SEQUENCE.sub("", encodable(text)))


def encodable(text: str) -> str:
    """The text with U+FFFD for every byte that was no UTF-8, so that it can be written."""
    return _SURROGATE.sub("\ufffd", text)


def size(size_bytes: int | None) -> str:
    """A size in decimal units, "12.3 MB"; "-" for None."""
    if size_bytes is None:
        return "-"
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= length:
            return f"{size_bytes / length:.1f} {unit}"
    return f"{size_bytes} B"
