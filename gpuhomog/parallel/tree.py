"""Tree: partial results of planes put together so that the bits do not depend on how the planes are split.

Planes 2k and 2k + 1 are joined, then such pairs, and so on: node (level, k) stands for the planes
k 2^level … (k + 1) 2^level - 1. Whoever holds some planes joins what nodes they fill, at most two a level, and passes
those on; in the order of the planes the nodes of all grow together into the one tree.

In   partial results of single planes, in order, or nodes of those before; how two of them are joined.
Out  the result of all planes.

>>> first, second = PlaneTree(lambda a, b: a + b), PlaneTree(lambda a, b: a + b)
>>> for plane in range(6):
...     (first if plane < 3 else second).add(0, plane, "abcdef"[plane])
>>> first.nodes, second.nodes
([(1, 0, 'ab'), (0, 2, 'c')], [(0, 3, 'd'), (1, 2, 'ef')])
>>> for node in second.nodes:
...     first.add(*node)
>>> first.nodes, first.total()
([(2, 0, 'abcd'), (1, 2, 'ef')], 'abcdef')
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PlaneTree(Generic[T]):
    """The nodes of consecutive planes so far, no two of them a pair."""

    def __init__(self, join: Callable[[T, T], T]) -> None:
        self._join = join
        self.nodes: list[tuple[int, int, T]] = []

    def add(self, level: int, k: int, part: T) -> None:
        """The next node; as long as it completes a pair, the pair becomes one."""
        while k % 2 == 1 and self.nodes and self.nodes[-1][:2] == (level, k - 1):
            part = self._join(self.nodes.pop()[2], part)
            level, k = level + 1, k // 2
        self.nodes.append((level, k, part))

    def total(self) -> T:
        """All nodes joined, from the last, which has the fewest planes, on."""
        total = self.nodes[-1][2]
        for _, _, part in reversed(self.nodes[:-1]):
            total = self._join(part, total)
        return total
