"""The CUDA sources: where they are, what they include, and which instances each declares.

A source declares the instances that may be launched in a comment of its own, one a line:

    // instances
    //   planar_moments<float, 4, true, true>
    //   planar_moments<double, 4, true, true>

Compilers get one text: includes of this folder are put in place, with #line marks, so that their errors name the
real file and the text alone is the key of every cache. It is ASCII: CuPy writes it to a file in the encoding of the
locale, and the compiler of CUDA 12.4 leaves that at ASCII in the thread that has called it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ...errors import GpuhomogError

_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)  # always of the folder itself
_INSTANCES = re.compile(r"^// instances\n((?://   .+\n)+)", re.MULTILINE)


@cache
def kernel_folder() -> Path:
    """Where the sources are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    for folder in (package / "_kernels", package.parent / "kernels"):
        if (folder / "common.cuh").is_file():
            return folder
    raise GpuhomogError(
        f"No CUDA sources in {package / '_kernels'}: the installation is not complete. Install it again."
    )


def kernel_files() -> list[str]:
    """Names of all sources with kernels: the ones in use, then their slower rungs in ladder/."""
    folder = kernel_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.cu"))


@cache
def source(name: str) -> str:
    """One self-contained text of a source."""
    return _expanded(name, set()).encode("ascii", "replace").decode()


def _expanded(name: str, seen: set[str]) -> str:
    seen.add(name)
    text = (kernel_folder() / name).read_text(encoding="utf-8")

    def included(match: re.Match[str]) -> str:
        if match[1] in seen:
            return ""
        after = text.count("\n", 0, match.end()) + 2
        return f'{_expanded(match[1], seen)}\n#line {after} "{name}"'

    return f'#line 1 "{name}"\n{_INCLUDE.sub(included, text)}'


@cache
def instances(name: str) -> tuple[str, ...]:
    """The instances that a source declares.

    >>> instances("planar_moments.cu")[0]
    'planar_moments<float, 1, false, false>'
    """
    declared = _INSTANCES.search((kernel_folder() / name).read_text(encoding="utf-8"))
    if declared is None:
        raise GpuhomogError(f"{name}: no instances declared.")
    return tuple(line.removeprefix("//").strip() for line in declared[1].splitlines())
