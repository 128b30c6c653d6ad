"""Commands: what each does with its options, as calls of the package; the table that all others are made from.

One module per family. Each has its options, its functions, from Inputs and checked option values to an Outcome, and
COMMANDS, the entries of the table. No physics lives here.

>>> list(COMMANDS)[:3]
['info', 'convert', 'average']
"""

from ..task import Command
from . import (
    averages,
    bulk,
    charges,
    currents,
    cylinder,
    excess,
    files,
    inner,
    installation,
    macroscale,
    poisson,
    potentials,
)

_FAMILIES = (
    files,
    averages,
    macroscale,
    bulk,
    excess,
    charges,
    potentials,
    poisson,
    cylinder,
    inner,
    currents,
    installation,
)
COMMANDS: dict[str, Command] = {command.name: command for family in _FAMILIES for command in family.COMMANDS}

__all__ = ["COMMANDS"]
