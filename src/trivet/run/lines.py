"""Where in the code something went wrong, for code that is kept without its lines: they are read again when asked for."""

import sys
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from types import CodeType, TracebackType

Load = Callable[[SourceFileLoader, str], CodeType | None]

_NAME = "whole"


def without(code: CodeType) -> CodeType:
    """The code, and all in it, without its lines and long names: an eighth of what it takes."""
    inner = tuple(without(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_linetable=b"", co_qualname=code.co_name, co_consts=inner)


class Lines:
    """Shows errors as Python does, as `sys.excepthook`. `load` loads code with its lines."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def show(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """It is told on standard error, and what led to it."""
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is not None:
            self.show(type(before), before, before.__traceback__)
            sys.stderr.write("\nwhich led to:\n\n")
        sys.stderr.write("Traceback (most recent call last):\n")
        while trace is not None:
            code = trace.tb_frame.f_code
            line = self._line(code, trace.tb_lasti) or trace.tb_lineno
            sys.stderr.write(f'  File "{code.co_filename}", line {line}, in {code.co_name}\n')
            trace = trace.tb_next
        sys.stderr.write(f"{kind.__name__}: {error}\n")

    def _line(self, code: CodeType, at: int) -> int | None:
        try:
            whole = self._load(SourceFileLoader(_NAME, code.co_filename), _NAME)
        except (OSError, ImportError, SyntaxError):
            return None
        found = (each for each in _all_of(whole) if _is_same(each, code)) if whole is not None else ()
        return next((list(each.co_positions())[at // 2][0] for each in found), None)


def _all_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _all_of(each)


def _is_same(whole: CodeType, bare: CodeType) -> bool:
    return (whole.co_name, whole.co_firstlineno, whole.co_code) == (bare.co_name, bare.co_firstlineno, bare.co_code)
