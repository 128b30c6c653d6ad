"""CUDA's compilers without a GPU: nvcc, or NVRTC as CuPy uses it; what each instance of a source takes of a GPU."""

from __future__ import annotations

import ctypes
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from gpuhomog.device.gpu.runtime import OPTIONS

from .build import cache_folder, closing, without_comments

EVERYWHERE = 90  # compiled every time, beside the oldest and the newest that the compiler knows
AS_CUPY = (*OPTIONS, "-ftz=true")  # what it adds to anybody's options: floats below the smallest normal one are zeros


class CompileError(AssertionError):
    """A compiler's own words about a source."""


@dataclass(frozen=True)
class Resources:
    """What one kernel takes of a multiprocessor; bytes but for the registers."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int

    @property
    def spills(self) -> bool:
        return self.spill_stores + self.spill_loads > 0


class Compiler(Protocol):
    """One compiler: its version, its options, the architectures it knows (90 for sm_90), and its log of a source."""

    version: str
    options: tuple[str, ...]
    architectures: list[int]

    def log(self, file: str, text: str, instances: Sequence[str], architecture: int) -> tuple[str, dict[str, str]]:
        """What ptxas says with -v, and names by symbol; CompileError for errors and for warnings."""
        ...


class Nvcc:
    """nvcc on PATH."""

    options = OPTIONS

    @staticmethod
    def why_not() -> str | None:
        if shutil.which("nvcc") is None:
            return "nvcc is not on PATH"
        return (
            None if shutil.which("c++filt") or shutil.which("cu++filt") else "neither c++filt nor cu++filt is on PATH"
        )

    @cached_property
    def version(self) -> str:
        return _output("nvcc", "--version")

    @cached_property
    def architectures(self) -> list[int]:
        return sorted(int(number) for number in re.findall(r"sm_(\d+)$", _output("nvcc", "--list-gpu-code"), re.M))

    def log(self, file: str, text: str, instances: Sequence[str], architecture: int) -> tuple[str, dict[str, str]]:
        all_instances = ",\n".join(f"  (const void *)&{name}" for name in instances)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "kernels.cu").write_text(
                f'#line 1 "{file}"\n{text}\n#line 0 "instances of {file}"\n'
                f"const void *gpuhomog_instances[] = {{\n{all_instances}\n}};\n"
            )
            same = [option for option in OPTIONS if option != "-default-device"]  # nvcc knows the host's functions
            options = [*same, f"-arch=sm_{architecture}", "-Xptxas", "-v", "-Werror", "all-warnings"]
            done = subprocess.run(
                ["nvcc", "-cubin", *options, "-o", "kernels.cubin", "kernels.cu"],
                cwd=folder,
                capture_output=True,
                text=True,
            )
        log = done.stdout + done.stderr
        if done.returncode:
            raise CompileError(f"nvcc refuses {file} for sm_{architecture}:\n{log[:6000]}")
        symbols = _symbols(log)
        filt = shutil.which("c++filt") or shutil.which("cu++filt")
        assert filt is not None
        plain = subprocess.run([filt, *symbols], capture_output=True, text=True, check=True).stdout.splitlines()
        return log, {symbol: _short(name) for symbol, name in zip(symbols, plain, strict=True)}


class Nvrtc:
    """NVRTC of the toolkit or of NVIDIA's Python package, asked as CuPy asks it."""

    options = AS_CUPY

    @classmethod
    def why_not(cls) -> str | None:
        return None if cls._found() else "NVRTC is not installed: pip install nvidia-cuda-nvrtc"

    @staticmethod
    def _found() -> list[str]:
        folders = [os.path.join(entry, "nvidia", "*", "lib") for entry in sys.path]
        if nvcc := shutil.which("nvcc"):
            folders.append(str(Path(nvcc).resolve().parents[1] / "lib64"))
        return [path for folder in folders for path in sorted(glob.glob(os.path.join(folder, "libnvrtc.so.*[0-9]")))]

    @cached_property
    def _library(self) -> ctypes.CDLL:
        return ctypes.CDLL(self._found()[0])

    @cached_property
    def version(self) -> str:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"NVRTC {major.value}.{minor.value} {self._found()[0]}"

    @cached_property
    def architectures(self) -> list[int]:
        number = ctypes.c_int()
        self._library.nvrtcGetNumSupportedArchs(ctypes.byref(number))
        known = (ctypes.c_int * number.value)()
        self._library.nvrtcGetSupportedArchs(known)
        return sorted(known)

    def log(self, file: str, text: str, instances: Sequence[str], architecture: int) -> tuple[str, dict[str, str]]:
        library, program = self._library, ctypes.c_void_p()
        library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), file.encode(), 0, None, None)
        for name in instances:
            library.nvrtcAddNameExpression(program, name.encode())
        options = [o.encode() for o in (*self.options, f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v")]
        failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        content = ctypes.create_string_buffer(max(1, size.value))
        library.nvrtcGetProgramLog(program, content)
        log = content.value.decode(errors="replace")
        names = {}
        for name in () if failed else instances:
            symbol = ctypes.c_char_p()
            if library.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(symbol)) == 0 and symbol.value:
                names[symbol.value.decode()] = name
        library.nvrtcDestroyProgram(ctypes.byref(program))
        if failed or re.search(r"\bwarning\b", log, re.IGNORECASE):
            raise CompileError(f"NVRTC refuses {file} for sm_{architecture}:\n{log[:6000]}")
        return log, names


COMPILERS: dict[str, type[Nvcc] | type[Nvrtc]] = {"nvcc": Nvcc, "nvrtc": Nvrtc}


def chosen() -> Compiler | str:
    """The compiler that GPUHOMOG_COMPILER names, or the first there is; otherwise the reasons against each."""
    wanted = os.environ.get("GPUHOMOG_COMPILER")
    if wanted and wanted not in COMPILERS:
        raise ValueError(f"GPUHOMOG_COMPILER is {wanted!r}: choose one of {', '.join(COMPILERS)}.")
    reasons = []
    for kind in (COMPILERS[wanted],) if wanted else COMPILERS.values():
        reason = kind.why_not()
        if reason is None:
            return kind()
        reasons.append(reason)
    return "; ".join(reasons)


def usual(architectures: Sequence[int]) -> list[int]:
    """The oldest and the newest architecture, and sm_90 between them."""
    return sorted({min(architectures), max(architectures)} | {EVERYWHERE} & set(architectures))


def resources(
    compiler: Compiler, file: str, text: str, instances: Sequence[str], architecture: int
) -> dict[str, Resources]:
    """What each instance takes, and each function that stayed a function; kept by content.

    CompileError for errors and warnings of the compiler, and where instances and compiled kernels differ.
    """
    log, names = _kept_log(compiler, file, text, instances, architecture)
    found = {names.get(symbol, symbol): numbers for symbol, numbers in parsed(log).items()}
    kernels = {names.get(symbol, symbol) for symbol in _symbols(log)}
    plain = {_spaceless(name): name for name in kernels}
    absent = [name for name in instances if _spaceless(name) not in plain]
    extra = sorted(kernels - {plain.get(_spaceless(name)) for name in instances})
    if absent or extra:
        raise CompileError(
            f"{file} for sm_{architecture}: declared, but not compiled as kernels: {absent or 'none'}; compiled, but "
            f"not declared: {extra or 'none'}. List every kernel with its arguments in full (float, 128, true)."
        )
    declared = {plain[_spaceless(name)]: name for name in instances}
    return {declared.get(name, name): numbers for name, numbers in found.items()}


def _kept_log(
    compiler: Compiler, file: str, text: str, instances: Sequence[str], architecture: int
) -> tuple[str, dict[str, str]]:
    """The compiler's log and its names by symbol, from the cache where nothing has changed."""
    content = "\0".join([compiler.version, str(architecture), file, text, *compiler.options, *instances])
    kept = cache_folder() / f"ptxas-{hashlib.sha256(content.encode()).hexdigest()[:20]}.json"
    if not kept.exists():
        said = compiler.log(file, text, instances, architecture)
        with tempfile.NamedTemporaryFile("w", dir=cache_folder(), delete=False) as beside:
            json.dump(said, beside)
        os.replace(beside.name, kept)
    log, names = json.loads(kept.read_text())
    return log, names


def parsed(log: str) -> dict[str, Resources]:
    """Resources by symbol, from what ptxas says with -v."""
    numbers: dict[str, dict[str, int]] = {}
    entry = about = ""
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            entry = match[1]
        elif match := re.search(r"Function properties for (\S+)", line):
            about = match[1]
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stack, stores, loads = map(int, match.groups())
            numbers.setdefault(about, {}).update(stack=stack, spill_stores=stores, spill_loads=loads)
        elif match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+)(?:\+\d+)? bytes smem", line)
            numbers.setdefault(entry, {}).update(registers=int(match[1]), shared=int(shared[1]) if shared else 0)
    nothing = {"registers": 0, "stack": 0, "spill_stores": 0, "spill_loads": 0, "shared": 0}
    return {name: Resources(**{**nothing, **own}) for name, own in numbers.items()}


def table(file: str, architecture: int, found: dict[str, Resources]) -> str:
    """Rows of what each instance takes, in bytes but for the registers."""
    width = max(len(name) for name in found)
    head = f"{file} for sm_{architecture}".ljust(width) + "  registers  stack  spilled  shared"
    rows = [
        f"{name:{width}}  {r.registers:9}  {r.stack:5}  {r.spill_stores + r.spill_loads:7}  {r.shared:6}"
        for name, r in found.items()
    ]
    return "\n".join([head, *rows])


def kernels(text: str) -> list[str]:
    """Names of the kernels that a source defines."""
    text, names = without_comments(text), []
    for word in re.finditer(r"\b__global__\b", text):
        at = word.end()
        while match := re.compile(r"\s*(?:void\b|(__launch_bounds__)\s*(?=\())").match(text, at):
            at = closing(text, match.end()) if match[1] else match.end()
        name = re.compile(r"\s*(\w+)\s*\(").match(text, at)
        if name is None:
            raise CompileError(f"A kernel that cannot be read: {text[word.start() : word.start() + 80]!r}")
        names.append(name[1])
    return names


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _symbols(log: str) -> list[str]:
    return re.findall(r"Compiling entry function '(\S+)'", log)


def _short(name: str) -> str:
    """A demangled kernel without its result and its parameters."""
    depth = 0
    for place, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0 and place:
            name = name[:place]
            break
    return name.removeprefix("void ")


def _spaceless(name: str) -> str:
    return re.sub(r"\s", "", re.sub(r"\bunsigned\b(?!\s+(int|char|short|long))", "unsigned int", name))
