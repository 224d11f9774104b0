"""A Dockerfile as far as it tells what an image starts. https://docs.docker.com/reference/dockerfile/"""

import json
import re
import shlex


def default_command(text: str) -> str | None:
    """What the last stage's ENTRYPOINT and CMD start, as a shell command; None if it names neither.

    A base image may have its own, which the text does not tell.
    """
    entrypoint: str | None = None
    command: str | None = None
    is_shell = False
    for word, rest in _instructions(text):
        if word == "FROM":
            entrypoint = command = None
        elif word == "ENTRYPOINT":
            entrypoint, command = _as_command(rest), None  # which resets a CMD before it
            is_shell = not rest.startswith("[")
        elif word == "CMD":
            command = _as_command(rest)
    parts = (entrypoint,) if is_shell else (entrypoint, command)  # a shell takes no arguments from CMD
    return " ".join(part for part in (parts if entrypoint else (command,)) if part) or None


def _instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction, its word in capitals, with its lines joined; a comment among them is left out."""
    directive = re.match(r"\s*#\s*escape\s*=\s*(\S)", text)
    escape = re.escape(directive[1] if directive else "\\")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(rf"{escape}[ \t]*\n", " ", lines)
    found = re.findall(r"^\s*([A-Za-z]+)\s+(.+?)\s*$", joined, re.M)
    return [(word.upper(), rest) for word, rest in found]


def _as_command(rest: str) -> str:
    """A list of words is what is run, each of them as it is; else the text is a shell's command."""
    try:
        words = json.loads(rest)
    except ValueError:
        return rest
    return shlex.join(map(str, words)) if isinstance(words, list) else rest
