"""Ctrl-C while the program still imports ends it at once, as it ends other programs: without a traceback.

Python itself would show where in NumPy's modules it was. `begin` is called when the program is ready to catch Ctrl-C,
`end` when it has nothing left that an interruption could harm. A program that only uses the package is left alone.

In   who was started, from sys.argv and sys.orig_argv: a process that another one spawned has the former alone.
Out  the handler of SIGINT.
"""

import os.path
import signal
import sys


def is_the_program() -> bool:
    """Was this process started as `gpuhomog` or `python -m gpuhomog`?"""
    started, words = (sys.argv or [""])[0], sys.orig_argv
    if started == "-m":  # as it is while the package is imported
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["gpuhomog"]
    return os.path.basename(started) == "gpuhomog" and started in words


IS_THE_PROGRAM = is_the_program()


def end() -> None:
    """From here on Ctrl-C ends the program; where it is ignored (nohup) it stays ignored."""
    if IS_THE_PROGRAM and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt."""
    if IS_THE_PROGRAM and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


end()
