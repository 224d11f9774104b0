"""A Procfile's command line, made into argv so that signals reach the program and not a shell in between.

A simple command replaces its shell (`exec`). A line with `&&`, `|`, `;` and the like keeps its shell, which would take a
SIGTERM for itself and leave its children running: then the whole group is signalled. docs/decisions/0005-signals.md
"""

import re
from collections.abc import Mapping
from functools import partial

_SHELL = "/bin/sh"
_SHELL_WORDS = 3
_ASSIGNMENTS = re.compile(r"""\s*(?:[A-Za-z_]\w*=(?:[^\s'"\\;&|<>()`$#]|\$\w+|\$\{\w+\}|'[^']*'|"[^"`$\\]*")*\s+)*""")
_EXEC = re.compile(r"exec\s+(?!-)")
# Quoted text, escapes and redirections such as 2>&1 are no operators.
_NEUTRAL = re.compile(
    r"""'[^']*'|"(?:[^"\\`$]|\\.|\$(?!\())*"|\\.|\$\{\w+\}|[0-9]*[<>]&[0-9-]|[0-9]*>>?|<""", re.DOTALL
)
_OPERATOR = re.compile(r"""[;&|()`\n#"']|\$\(""")
# Reserved words, and commands that exist inside the shell only.
_PLAIN_SCRIPT = re.compile(r"exec (?!-)[\w@%+,./:$-][\w@%+,./:=${} -]*", re.ASCII)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)
_PLAIN_VALUE = re.compile(r"[\w@%+,./:=-]+", re.ASCII)
_SHELL_WORD = re.compile(
    r"(?:!|\.|:|\[\[|\{|\}|alias|bg|break|case|cd|continue|do|done|elif|else|esac|eval|exec|exit|export|fg|fi|for|function"
    r"|getopts|hash|if|jobs|local|read|readonly|return|set|shift|source|then|time|times|trap|type|ulimit|umask|unalias"
    r"|unset|until|wait|while)(?:\s|$)"
)


def shell_argv(line: str) -> tuple[tuple[str, ...], bool]:
    """The argv of the command line, and whether the program takes the shell's place."""
    assignments, command = split_assignments(line)
    if _EXEC.match(command) and is_simple(_EXEC.sub("", command)):
        return (_SHELL, "-c", line), True
    if not is_simple(command):
        return (_SHELL, "-c", line), False
    return (_SHELL, "-c", f"{assignments}exec {command}"), True


def words_of(argv: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The words that the shell of `shell_argv` would run a program with and do nothing else; none where it does more.

    A shell takes 1 ms to start. In doubt, it is left to it: an empty or unknown variable, or a value that it would split.
    """
    script = argv[-1]
    if len(argv) != _SHELL_WORDS or argv[0] != _SHELL or _PLAIN_SCRIPT.fullmatch(script) is None:
        return ()
    words = tuple(_VARIABLE.sub(partial(_value, environment), word) for word in script.split(" ")[1:] if word)
    plain = "=" not in words[0] and all(map(_PLAIN_VALUE.fullmatch, words))
    return words if plain else ()


def _value(environment: Mapping[str, str], variable: re.Match[str]) -> str:
    return environment.get(variable[1] or variable[2]) or "$"  # which is not plain


def split_assignments(line: str) -> tuple[str, str]:
    """The leading `NAME=value ` words of a line, and the rest."""
    match = _ASSIGNMENTS.match(line)
    end = match.end() if match else 0
    return line[:end].lstrip(), line[end:]


def is_simple(command: str) -> bool:
    """Whether this is one program with its arguments: nothing that needs the shell to stay. In doubt, no."""
    if not command or _SHELL_WORD.match(command):
        return False
    return _OPERATOR.search(_NEUTRAL.sub(" ", command)) is None
