"""Every declared instance of every source compiles for GPUs old and new, without warnings and without spills."""

import pytest
from harness.build import cache_folder
from harness.compilers import (
    AS_CUPY,
    COMPILERS,
    EVERYWHERE,
    CompileError,
    Nvcc,
    Nvrtc,
    chosen,
    kernels,
    parsed,
    resources,
    table,
    usual,
)
from requirements import needed

from gpuhomog.device.gpu.runtime import MOST_DECLARED, OPTIONS
from gpuhomog.device.gpu.sources import instances, kernel_files, source

COMPILER = chosen()
ARCHITECTURES = [] if isinstance(COMPILER, str) else COMPILER.architectures
# What compiles them on a GPU is NVRTC, which refuses some things that nvcc takes: for sm_90 it is asked, too.
SECOND = Nvrtc() if isinstance(COMPILER, Nvcc) and Nvrtc.why_not() is None else None


def cases():
    everyday = usual(ARCHITECTURES) if ARCHITECTURES else []
    for file in kernel_files():
        for a in ARCHITECTURES:
            marks = [] if a in everyday else pytest.mark.all_architectures
            yield pytest.param(COMPILER, file, a, id=f"{file}-sm_{a}", marks=marks)
        if SECOND:
            yield pytest.param(SECOND, file, EVERYWHERE, id=f"{file}-sm_{EVERYWHERE}-nvrtc")


def assert_no_spills(file, architecture, found):
    spilled = [f"{name}: {r.spill_stores} + {r.spill_loads} bytes" for name, r in found.items() if r.spills]
    assert not spilled, (
        f"{file} for sm_{architecture} spills registers (stores + loads): {'; '.join(spilled)}. Hold fewer values at a "
        "time, or fewer threads in __launch_bounds__."
    )


def test_a_compiler_is_there():
    needed("compiler", COMPILER if isinstance(COMPILER, str) else None)
    assert len(ARCHITECTURES) > 3


@pytest.mark.parametrize("compiler, file, architecture", list(cases()))
def test_instances_compile_without_warnings_or_spills(compiler, file, architecture):
    found = resources(compiler, file, source(file), instances(file), architecture)
    text = table(file, architecture, found)
    print(text)
    folder = cache_folder() / "registers"
    folder.mkdir(exist_ok=True)
    by = "" if compiler is COMPILER else ".nvrtc"
    (folder / f"{file.replace('/', '-')}.sm_{architecture}{by}.txt").write_text(text + "\n")
    assert_no_spills(file, architecture, found)
    assert max(r.shared for r in found.values()) <= MOST_DECLARED


def test_options_are_those_of_cupy(monkeypatch):
    compiler = pytest.importorskip("cupy.cuda.compiler")
    asked = []

    def compile_(source, options, arch, name, expressions, *others):
        asked.append((options, expressions))
        raise compiler.CompileException("", "", "", ())

    monkeypatch.setenv("CUPY_CACHE_IN_MEMORY", "1")
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: (f"-arch=sm_{arch}", "cubin"))
    monkeypatch.setattr(compiler, "_compile_using_nvrtc_no_warning", compile_)
    monkeypatch.setattr(compiler, "_preprocess", lambda *_: "")
    monkeypatch.setattr(compiler.function, "Module", lambda: None)
    with pytest.raises(compiler.CompileException):
        compiler._compile_module_with_cache("", OPTIONS, arch="90", name_expressions=["one<float, 2>"])
    assert asked == [(AS_CUPY, ["one<float, 2>"])]


@pytest.mark.parametrize("file", kernel_files())
def test_every_kernel_has_a_declared_instance(file):
    declared = {name.partition("<")[0] for name in instances(file)}
    assert set(kernels(source(file))) == declared


# ---- the test itself, on small sources with one fault each ----

RIGHT = """
template <typename T, int N> __global__ void __launch_bounds__(N * (2 - 1)) scale(const T* in, T* out, T by) {
  __shared__ T kept[N];
  kept[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = by * kept[N - 1 - threadIdx.x];
}
__global__ void plain(unsigned* out) { out[0] = 1; }
__device__ __noinline__ float helper(float x) { return x * x; }
__global__ void calls(float* out) { out[0] = helper(out[1]); }
"""
RIGHT_INSTANCES = ["scale<float, 64>", "scale<unsigned, 32>", "scale<unsigned long long, 32>", "plain", "calls"]
SPILLS = """
__global__ void __launch_bounds__(1024) spills(const double* in, double* out) {
  double v[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) v[i] = in[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int round = 0; round < 3; ++round)
#pragma unroll
    for (int i = 0; i < 96; ++i) v[i] = fma(v[i], v[(i * 37 + 11) % 96], v[(i * 53 + 29) % 96]);
#pragma unroll
  for (int i = 0; i < 96; ++i) out[i * 1024 + threadIdx.x] = v[i];
}
"""


@pytest.fixture(scope="module", params=list(COMPILERS))
def compiler(request):
    reason = COMPILERS[request.param].why_not()
    if reason:
        pytest.skip(reason)
    return COMPILERS[request.param]()


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def compiled(compiler, text, names):
    return resources(compiler, "small.cu", text, names, usual(compiler.architectures)[0])


def test_resources_are_read_and_kept(compiler, empty_cache, monkeypatch):
    assert usual([75, 80, 90, 120]) == [75, 90, 120] and usual([75, 80]) == [75, 80]
    found = compiled(compiler, RIGHT, RIGHT_INSTANCES)
    assert set(RIGHT_INSTANCES) <= set(found)
    assert found["scale<float, 64>"].shared == 64 * 4 and found["scale<unsigned long long, 32>"].shared == 32 * 8
    assert 0 < found["plain"].registers < 32 and not any(r.spills for r in found.values())
    assert "scale<unsigned, 32>" in table("small.cu", 75, found)
    monkeypatch.setattr(type(compiler), "log", None)  # from here on nothing can be compiled
    assert compiled(compiler, RIGHT, RIGHT_INSTANCES) == found
    with pytest.raises(TypeError):
        compiled(compiler, RIGHT + "\n", RIGHT_INSTANCES)


def test_a_spill_is_named_with_its_bytes(compiler, empty_cache):
    found = compiled(compiler, SPILLS, ["spills"])
    assert found["spills"].spill_stores > 0 and found["spills"].spill_loads > 0
    with pytest.raises(AssertionError, match=r"small\.cu for sm_75 spills .* spills: \d+ \+ \d+ bytes"):
        assert_no_spills("small.cu", 75, found)


def test_a_warning_is_refused(compiler, empty_cache):
    text = "__global__ void f(int* out) {\n  int unused = 3;\n  out[0] = 1;\n}\n"
    with pytest.raises(CompileError, match=r"(?s)refuses small\.cu .*unused"):
        compiled(compiler, text, ["f"])


@pytest.mark.parametrize("names, message", [
    ([*RIGHT_INSTANCES, "scale<float>"], "scale"),
    ([*RIGHT_INSTANCES, "nothing<float>"], "nothing"),
    ([*RIGHT_INSTANCES, "helper"], "helper"),
    (RIGHT_INSTANCES[:-1], r"compiled, but not declared: \['.*calls"),
])  # fmt: skip
def test_a_wrong_list_of_instances_is_refused(compiler, empty_cache, names, message):
    with pytest.raises(CompileError, match=message):
        compiled(compiler, RIGHT, names)


def test_a_declared_kernel_that_ptxas_does_not_list_is_noticed(compiler, empty_cache, monkeypatch):
    whole = type(compiler).log

    def shortened(self, *source):
        log, names = whole(self, *source)
        return log.replace("Compiling entry function '_Z5plainPj'", ""), names

    monkeypatch.setattr(type(compiler), "log", shortened)
    with pytest.raises(CompileError, match=r"not compiled as kernels: \['plain'\]"):
        compiled(compiler, RIGHT, RIGHT_INSTANCES)


def test_kernels_are_found_in_a_source():
    assert kernels(RIGHT) == ["scale", "plain", "calls"]
    assert kernels("// __global__ void a()\n__global__ __launch_bounds__(f(2), 1)\n    void b(int x) {}") == ["b"]
    with pytest.raises(CompileError, match="cannot be read"):
        kernels("__global__ auto odd = 1;")


def test_spills_of_functions_that_stayed_functions_are_read():
    log = """ptxas info    : Compiling entry function '_Z1kv' for 'sm_90'
ptxas info    : Function properties for _Z1kv
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 8 bytes cumulative stack size, 2048 bytes smem, 8 bytes cmem[2]
ptxas info    : Function properties for _Z6helperf
ptxas         .     0 bytes stack frame, 16 bytes spill stores, 0 bytes spill loads
"""
    found = parsed(log)
    kernel, helper = found["_Z1kv"], found["_Z6helperf"]
    assert (kernel.registers, kernel.stack, kernel.spill_stores, kernel.spill_loads, kernel.shared) == (
        *(255, 8, 4, 12, 2048),
    )
    assert helper.spills
