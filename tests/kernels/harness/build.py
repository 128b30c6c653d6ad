"""Programs that run kernels on the host, built from the kernels' sources and kept by their content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
KEPT_DAYS = 7

COMMON = ["-std=c++17", "-w", "-g1", "-ffp-contract=off"]
KERNEL = [
    *["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
    "-fno-sanitize=null,object-size,pointer-overflow,vptr,return,nonnull-attribute,returns-nonnull-attribute",  # ASan's
    "-ftrivial-auto-var-init=pattern",  # what a thread reads before writing is the same large number every time
]
ENGINE = ["-O2"]

_SHARED = re.compile(
    r"(?P<extern>\bextern\s+)?\b__shared__\s+"
    r"(?:(?:__align__|alignas)\s*\((?P<alignment>[^()]+)\)\s*)?"
    r"(?P<type>[^;=(){}]+?)\s*\b(?P<name>\w+)\s*(?P<extents>(?:\[[^\[\];]*\]\s*)*);"
)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<.*>", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class BuildError(AssertionError):
    """The compiler's own words about a source."""


def cache_folder() -> Path:
    """Where programs and results are kept between runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuhomog-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def why_not() -> str | None:
    """Why kernels cannot be built for the host here; None where they can."""
    if shutil.which("g++") is None:
        return "g++ is not on PATH"
    for library in ("libasan.so", "libubsan.so"):
        found = subprocess.run(["g++", f"-print-file-name={library}"], capture_output=True, text=True).stdout.strip()
        if not os.path.isabs(found):
            return f"g++ has no {library}: install the sanitizers' runtime (libasan, libubsan)"
    return None


def without_comments(text: str) -> str:
    """A source without comments, its lines where they were."""
    return _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)


def translated(file: str, text: str, instances: Sequence[str]) -> str:
    """A kernel source in words g++ knows, with a table of its instances.

    Comments go (lines stay where they are); shared memory becomes calls of the harness, and launch bounds become
    checks; everything stands in a namespace without a name, apart from the harness's names.
    """
    text = without_comments(text)
    number = 0

    def declaration(match: re.Match[str]) -> str:
        nonlocal number
        number += 1
        element, name = match["type"].strip(), match["name"]
        extents = match["extents"].replace("\n", " ").strip()
        if "," in re.sub(r"<[^;]*>", "", element):
            raise BuildError(f"Declare one __shared__ variable at a time: {match[0]}")
        alignment = f", ({match['alignment']})" if match["alignment"] else ""
        lines = "\n" * match[0].count("\n")
        if match["extern"]:
            inner = extents.partition("]")[2]
            return f"auto *{name} = ::cuda_on_cpu::dynamic_shared<{element} {inner}{alignment}>();{lines}"
        return (
            f"auto &{name} = ::cuda_on_cpu::shared_array<{element} {extents}{alignment}>"
            f"(__PRETTY_FUNCTION__, {number});{lines}"
        )

    text = _with_bounds(_SHARED.sub(declaration, text))
    includes = "\n".join(match[0] for match in _INCLUDE.finditer(text))
    table = ",\n".join(f'  ::cuda_on_cpu::instance("{name}", &::{name})' for name in instances)
    return (
        f'#include "{HERE / "cuda_on_cpu.hpp"}"\n{includes}\n'
        f'namespace {{\n#line 1 "{file}"\n{_INCLUDE.sub("", text)}\n}}\n'
        f'#line 1 "instances"\nconst ::cuda_on_cpu::Instance cuda_on_cpu::instances[] = {{\n{table}\n}};\n'
        f"const int cuda_on_cpu::n_instances = {len(instances)};\n"
    )


def _with_bounds(text: str) -> str:
    """Each kernel with launch bounds begins with a check of them."""
    pieces, at = [], 0
    for bounds in re.finditer(r"\b__launch_bounds__\s*(?=\()", text):
        after_bounds = closing(text, bounds.end())
        body = text.index("{", closing(text, text.index("(", after_bounds))) + 1
        inside = text[bounds.end() : after_bounds].replace("\n", " ")
        pieces += [text[at:body], f" ::cuda_on_cpu::check_bounds{inside};"]
        at = body
    return "".join([*pieces, text[at:]])


def closing(text: str, opening: int) -> int:
    """Where the text goes on after the parenthesis that opens here has closed."""
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place + 1
    raise BuildError(f"A parenthesis that does not close: {text[opening : opening + 80]}")


def program(file: str, text: str, instances: Sequence[str], flags: Sequence[str] = ()) -> Path:
    """The program of one source, built where the cache has none of the same content."""
    engine = _engine(tuple(flags))
    source = translated(file, text, instances)

    def build(folder: Path, target: Path) -> None:
        (folder / "kernels.cpp").write_text(source)
        _compile(
            [*COMMON, *KERNEL, *flags, f"-ffile-prefix-map={folder}=kernels", "-c", "kernels.cpp", "-o", "kernels.o"],
            folder,
            file,
        )
        _compile(["-fsanitize=address,undefined", "kernels.o", str(engine), "-o", str(target)], folder, file)

    return _kept(Path(file).stem, "", [source, engine.name, *COMMON, *KERNEL, *flags], build)


def _engine(flags: tuple[str, ...]) -> Path:
    options = [*COMMON, *ENGINE, *flags]
    if platform.machine() == "x86_64":
        options.append("-fcf-protection=none")  # its switch of stacks returns to where no call came from

    def build(folder: Path, target: Path) -> None:
        _compile([*options, "-c", str(HERE / "engine.cpp"), "-o", str(target)], folder, "engine.cpp")

    return _kept("engine", ".o", options, build)


@cache
def _base() -> str:
    """What every key contains: the compiler and the harness."""
    version = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    return version + "".join((HERE / name).read_text() for name in ("cuda_on_cpu.hpp", "engine.cpp"))


def _kept(stem: str, suffix: str, content: Sequence[str], build: Callable[[Path, Path], None]) -> Path:
    """The file of this content in the cache; built beside it, by one process at a time, then renamed."""
    key = hashlib.sha256("\0".join([_base(), *content]).encode()).hexdigest()[:20]
    target = cache_folder() / f"{stem}-{key}{suffix}"
    if not target.exists():
        with open(cache_folder() / f"{stem}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
                    build(Path(folder), Path(folder) / "built")
                    os.replace(Path(folder) / "built", target)
                _forget_old(stem, suffix)
    return target


def _forget_old(stem: str, suffix: str) -> None:
    for path in cache_folder().glob(f"{stem}-*{suffix}"):
        if path.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
            path.unlink(missing_ok=True)


def _compile(arguments: Sequence[str], folder: Path, file: str) -> None:
    done = subprocess.run(["g++", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"g++ refuses {file}:\n{done.stderr[:6000]}")
