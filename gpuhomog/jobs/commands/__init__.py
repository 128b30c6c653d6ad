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

_FAMILIES = {
    "Files": (files,),
    "Averages and profiles": (averages,),
    "Scales and bulks": (macroscale, bulk),
    "Surfaces, interfaces, charges": (excess, charges),
    "Potentials": (potentials, poisson, cylinder, inner),
    "Currents": (currents,),
    "This installation, and the paper": (installation,),
}
COMMANDS: dict[str, Command] = {
    command.name: command for modules in _FAMILIES.values() for module in modules for command in module.COMMANDS
}
FAMILIES: dict[str, tuple[str, ...]] = {
    title: tuple(command.name for module in modules for command in module.COMMANDS)
    for title, modules in _FAMILIES.items()
}
"""Title → names of the commands under it."""

__all__ = ["COMMANDS", "FAMILIES"]
