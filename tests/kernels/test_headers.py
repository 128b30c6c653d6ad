"""Every kernel file keeps its contract: what it computes, how it is launched, who checks it, what it is measured by."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpuhomog
from gpuhomog.device.gpu.sources import instances, kernel_files, kernel_folder, source

ROOT = Path(__file__).parents[2]
FILES = kernel_files()


def header(name):
    lines = (kernel_folder() / name).read_text().splitlines()
    return [line.removeprefix("//").removeprefix(" ") for line in lines[: lines.index("// instances")]]


def problems(name, text, root=ROOT):
    """What a header lacks; a slower rung may refer to the contract of the file in use."""
    stem = name.removeprefix("ladder/").removesuffix(".cu")
    if not re.match(rf"{stem}(, v\d+|, first rung)?: \S", text[0]):
        yield f'{name}: the first line is not "{stem}: what it computes"'
    if not (name.startswith("ladder/") and f"../{stem}.cu" in "\n".join(text)):
        words = {line.split()[0] for line in text if line.strip()}
        yield from (f"{name}: no line for {w}" for w in ("launch", "order", "oracle", "ladder") if w not in words)
    for test in re.findall(r"tests/\S+\.py", "\n".join(text)):
        if not (root / test).is_file():
            yield f"{name}: {test} does not exist"
    for oracle in re.findall(r"\bdevice/cpu/\w+\.py", "\n".join(text)):
        if not (root / "gpuhomog" / oracle).is_file():
            yield f"{name}: {oracle} does not exist"


@pytest.mark.parametrize("name", FILES)
def test_the_header_is_a_contract(name):
    assert list(problems(name, header(name))) == []
    assert len(instances(name)) == len(set(instances(name)))


def test_a_header_without_contract_is_found():
    text = ["planar_moments: sums", "launch  <<<1, 1>>>", "oracle  device/cpu/nothing.py; test tests/nothing.py"]
    found = list(problems("planar_moments.cu", text))
    assert len(found) == 4
    assert next(iter(problems("other.cu", text))).startswith("other.cu: the first line")


def test_every_kernel_has_a_slower_rung():
    """In ladder/ under its name, or another file in use that its ladder names."""

    def rungs(name):
        (ladder,) = [line for line in header(name) if line.startswith("ladder ")]
        return {f"ladder/{name}", *re.findall(r"[\w/]+\.cu\b", ladder)} - {name}

    in_use = [name for name in FILES if not name.startswith("ladder/")]
    assert [name for name in in_use if not rungs(name) & set(FILES)] == []


def test_the_index_names_every_file():
    index = (kernel_folder() / "README.md").read_text()
    missing = [name for name in FILES if not name.startswith("ladder/") and f"`{name}`" not in index]
    assert missing == []


def test_sources_are_self_contained():
    for name in FILES:
        assert '#include "' not in source(name)
        assert f'#line 1 "{name}"' in source(name)


def test_sources_are_read_and_handed_on_in_any_locale():
    """CUDA 12.4's compiler leaves ASCII behind, and CuPy writes what it compiles in that encoding."""
    code = """
import locale
from gpuhomog.device.gpu.sources import instances, kernel_files, source
assert locale.getencoding() != "UTF-8", locale.getencoding()
for file in kernel_files():
    assert instances(file)
    source(file).encode(locale.getencoding())
"""
    package = str(Path(gpuhomog.__file__).parents[1])
    plain = {**os.environ, "PYTHONPATH": package, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert all(source(file).isascii() for file in FILES)
