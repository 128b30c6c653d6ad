"""Wording: messages that name Python's calls and arguments, in terms of the command line.

    name=value         of any option's name → --name value
    a call, a word     → what the options and commands say stands for it (their attribute `python`)

The operators and readers speak to scripts; this is the one place where they are translated.

>>> as_typed('read it with dtype=np.float32, or say quantity="charge_density".')
'read it with --dtype float32, or say --quantity charge_density.'
>>> as_typed('the file states no charges: give charges={"Na": 1, ...}.')
'the file states no charges: give --charges Na=1,….'
>>> as_typed("then use gh.charge_density(field, ion_charges={…}, width=…).")
'then use --ion-charges Na=1,Cl=7.'
"""

from __future__ import annotations

import re
from functools import cache

from .commands import COMMANDS
from .options import as_option

VALUE = r'"[^"]*"|\([^)]*\)|\{[^}]*\}|[\w.…-]*[\w…]'


@cache
def calls() -> dict[str, str]:
    """Calls and words of Python → what is typed instead."""
    found: dict[str, str] = {}
    for command in COMMANDS.values():
        found |= {call: f'"gpuhomog {command.name}"' for call in command.python}
        for option in command.options:
            found |= {call: f"--{option.name} {value}".strip() for call, value in option.python.items()}
    return found


@cache
def pattern() -> re.Pattern[str]:
    """A call to its closing bracket, a word that stands alone, or an argument with its value."""
    words = sorted(calls(), key=len, reverse=True)
    whole = [
        re.escape(word) + (r"[^)]*\)" if "(" in word and not word.endswith(":") else r"(?!\w|=)") for word in words
    ]
    names = "|".join(sorted({option.key for command in COMMANDS.values() for option in command.options}))
    return re.compile(rf"(?<![\w.])(?:(?P<call>{'|'.join(whole)})|(?P<name>{names})=(?P<value>{VALUE}))")


def as_typed(sentence: str) -> str:
    """A message with the options of the command line where it names those of the Python functions."""

    def typed(found: re.Match[str]) -> str:
        if found["call"]:
            return next(text for word, text in sorted(calls().items(), reverse=True) if found["call"].startswith(word))
        value = found["value"].strip('"').removeprefix("np.")
        if value.startswith("("):
            value = value.strip("()").replace(" ", "")
        if value.startswith("{"):
            value = value.strip("{}").replace('"', "").replace(": ", "=").replace(", ", ",").replace("...", "…")
        return f"{as_option(found['name'])} {value}"

    return pattern().sub(typed, sentence)
