r"""Tables of one kind from a TOML file: every [[kind]] of a file that holds nothing else.

In   path, the kind.
Out  the tables as dicts, in their order.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
...     _ = file.write("[[region]]\nbox = 1\n[[region]]\nbox = 2\n")
...     file.flush()
...     read_toml_tables(Path(file.name), "region", "regions", "corners")
[{'box': 1}, {'box': 2}]
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, InputError


def read_toml_tables(path: Path, kind: str, several: str, content: str) -> list[dict[str, Any]]:
    """The tables [[kind]] of a file; several and content say in messages what they are, and what they hold.

    Raises FileFormatError for a file that is not TOML, InputError where there are none, or anything else beside them.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: is not TOML ({error}).") from None
    tables = document.pop(kind, [])
    if document:
        name = next(iter(document))
        raise InputError(f'{path}: unknown key "{name}": write each {kind} under [[{kind}]].')
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: holds no {several}: write each under [[{kind}]], with its {content}.")
    return tables
