// engine: runs blocks of fibres, and serves launches over standard input and output until the input ends.
//
// A block's threads run one at a time, warp by warp; a thread runs until it waits at a barrier or for lanes of its
// warp. Nobody can run and nobody is done: an error that says where each thread waits. The order of threads, warps
// and blocks is the launch's choice, forward or backward: results that differ are a missing barrier.
//
// Compiled without sanitizers (kernels are compiled with them) and linked with their runtime: memory is allocated
// with its exact size, and the fibres' stacks are made known.
//
// request   magic, instance, grid[3], block[3], backward, n_buffers, n_arguments: uint32; shared, most_shared: uint64
//           buffers: size, place modulo 256, returned: uint64; then the bytes of all buffers
//           arguments: kind (0 scalar, 1 buffer, 2 null), then uint64 size and bytes, or uint64 buffer and offset
// answer    magic: uint32; the bytes of all returned buffers
#include "cuda_on_cpu.hpp"

#include <algorithm>
#include <cstdlib>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
#if !defined(__x86_64__) || defined(UCONTEXT_FIBRES)
#include <ucontext.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_on_cpu {

constexpr std::uint32_t MAGIC = 0x6b61434b;
constexpr std::size_t STACK_BYTES = 256 * 1024, GUARD_BYTES = 1024 * 1024; // nobody may use what guards a stack
constexpr int GARBAGE = 0xff;                                              // bytes of a NaN, and of -1

// ---- switching between stacks ----

#if defined(__x86_64__) && !defined(UCONTEXT_FIBRES)

using Context = void *;

extern "C" void cuda_on_cpu_switch(Context *from, Context to);
asm(R"(
.text
.globl cuda_on_cpu_switch
.type cuda_on_cpu_switch, @function
cuda_on_cpu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_on_cpu_switch, .-cuda_on_cpu_switch
)");

static void start_context(Context &context, char *stack, std::size_t size, void (*function)()) {
  void **top = reinterpret_cast<void **>(stack + size);
  *--top = nullptr; // a return address nobody returns to; the stack is then aligned as after a call
  *--top = reinterpret_cast<void *>(function);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  context = top;
}

static void switch_context(Context &from, Context &to) { cuda_on_cpu_switch(&from, to); }

#else

using Context = ucontext_t;

static void start_context(Context &context, char *stack, std::size_t size, void (*function)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = size;
  context.uc_link = nullptr;
  makecontext(&context, function, 0);
}

static void switch_context(Context &from, Context &to) { swapcontext(&from, &to); }

#endif

// ---- threads ----

// A copy on its way: where to, and what.
struct Copy {
  unsigned char *to, content[16];
  int bytes;
};

enum class State { ready, at_barrier, in_warp, left };

struct Thread {
  Context context;
  void *fake_stack = nullptr;
  char *stack = nullptr;
  uint3 index;
  State state;
  int line;
  const char *file;
  Collective kind;
  unsigned mask;
  int source;
  bool vote;
  alignas(8) unsigned char value[8], received[8];
  unsigned votes;
  int block_predicate;
  std::vector<std::vector<Copy>> copies = {{}}; // groups, the last one open
};

static Thread threads[1024];
static Context scheduler;
static void *scheduler_fake_stack;
static const void *scheduler_stack;
static std::size_t scheduler_stack_size;
static int current, n_threads;
static int block_votes[3];
static const Instance *running;
static void **running_arguments;

static std::string place(const char *file, int line) { return std::string(file) + ":" + std::to_string(line); }

// Where the kernel was: the last words of a program that a sanitizer or a rule ends.
static void say_where() {
  if (!running) return;
  const uint3 t = threads[current].index;
  std::fprintf(stderr, "kernel error in %s, block (%u, %u, %u), thread (%u, %u, %u)\n", running->name, blockIdx.x,
               blockIdx.y, blockIdx.z, t.x, t.y, t.z);
}

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "%s\n", what);
  __sanitizer_print_stack_trace();
  say_where();
  std::_Exit(97);
}

void check_bounds(long long most_threads, long long, long long) {
  if (n_threads > most_threads)
    fail(("a block of " + std::to_string(n_threads) + " threads breaks __launch_bounds__(" +
          std::to_string(most_threads) + ")")
             .c_str());
}

static void yield() {
  Thread &thread = threads[current];
  __sanitizer_start_switch_fiber(&thread.fake_stack, scheduler_stack, scheduler_stack_size);
  switch_context(thread.context, scheduler);
  __sanitizer_finish_switch_fiber(thread.fake_stack, &scheduler_stack, &scheduler_stack_size);
}

static void fibre() {
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
  for (;;) {
    running->call(*running, running_arguments);
    for (const auto &group : threads[current].copies)
      if (!group.empty()) fail("a thread leaves the kernel without waiting for a copy");
    threads[current].copies.assign(1, {});
    threads[current].state = State::left;
    yield();
  }
}

static void resume(int number) {
  Thread &thread = threads[number];
  current = number;
  threadIdx = thread.index;
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, thread.stack, STACK_BYTES);
  switch_context(scheduler, thread.context);
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

static void make_fibres() {
  for (int number = 0; number < n_threads; ++number) {
    Thread &thread = threads[number];
    if (thread.stack) continue;
    void *pages = mmap(nullptr, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages, GUARD_BYTES, PROT_NONE)) fail("no memory for the stacks of the threads");
    thread.stack = static_cast<char *>(pages) + GUARD_BYTES;
    start_context(thread.context, thread.stack, STACK_BYTES, fibre);
  }
}

// ---- barriers and warps ----

int lane() { return current % 32; }
unsigned votes() { return threads[current].votes; }
void set_vote(bool vote) { threads[current].vote = vote; }
void *own_value() { return threads[current].value; }
int &source_lane() { return threads[current].source; }
const void *received_value() { return threads[current].received; }

void block_barrier(int line, const char *file) {
  Thread &thread = threads[current];
  thread.state = State::at_barrier;
  thread.line = line;
  thread.file = file;
  yield();
}

int block_vote(int kind, int predicate, int line, const char *file) {
  threads[current].block_predicate = predicate != 0;
  block_barrier(line, file);
  return block_votes[kind];
}

// Whoever comes last does the work for all; the others become ready.
void warp_collective(Collective kind, unsigned mask, int line, const char *file) {
  Thread &thread = threads[current];
  const int first = current - lane(), lanes = std::min(32, n_threads - first);
  if (!(mask >> lane() & 1)) fail("a lane that is not in its own mask");
  thread.state = State::in_warp;
  thread.kind = kind;
  thread.mask = mask;
  thread.line = line;
  thread.file = file;

  unsigned together = 0;
  for (int l = 0; l < lanes; ++l) {
    const Thread &other = threads[first + l];
    if (!(mask >> l & 1)) continue;
    if (other.state != State::in_warp || other.mask != mask || other.kind != kind || other.line != line) {
      yield();
      return;
    }
    together |= 1u << l;
  }
  unsigned ballot = 0;
  for (int l = 0; l < lanes; ++l)
    if ((together >> l & 1) && threads[first + l].vote) ballot |= 1u << l;
  const int last = current;
  for (int l = 0; l < lanes; ++l) {
    if (!(together >> l & 1)) continue;
    Thread &other = threads[first + l];
    if (kind == Collective::shuffle) {
      if (!(together >> other.source & 1)) {
        current = first + l;
        fail(("a shuffle reads lane " + std::to_string(other.source) + ", which takes no part: undefined value")
                 .c_str());
      }
      std::memcpy(other.received, threads[first + other.source].value, sizeof other.value);
    }
    other.votes = ballot;
    other.state = State::ready;
  }
  current = last;
}

static std::string who_waits() {
  std::string text;
  int told = 0;
  for (int number = 0; number < n_threads;) {
    const Thread &first = threads[number];
    int end = number + 1;
    while (end < n_threads && threads[end].state == first.state &&
           (first.state == State::left || (threads[end].line == first.line && threads[end].mask == first.mask)))
      ++end;
    if (++told > 12) return text + "\n  ...";
    text += "\n  threads " + std::to_string(number) + " to " + std::to_string(end - 1) + " ";
    char mask[16];
    std::snprintf(mask, sizeof mask, "0x%08x", first.mask);
    if (first.state == State::left) text += "have left the kernel";
    if (first.state == State::at_barrier) text += "wait at the barrier " + place(first.file, first.line);
    if (first.state == State::in_warp)
      text += "wait for lanes " + std::string(mask) + " of their warp at " + place(first.file, first.line);
    number = end;
  }
  return text;
}

static void run_block(bool backward) {
  const int warps = (n_threads + 31) / 32;
  for (int number = 0; number < n_threads; ++number) {
    Thread &thread = threads[number];
    thread.state = State::ready;
    thread.mask = 0;
    thread.line = 0;
    thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
  }
  for (;;) {
    for (int w = 0; w < warps; ++w) {
      const int warp = backward ? warps - 1 - w : w, first = 32 * warp, lanes = std::min(32, n_threads - first);
      for (bool ran = true; ran;) {
        ran = false;
        for (int l = 0; l < lanes; ++l) {
          const int number = first + (backward ? lanes - 1 - l : l);
          if (threads[number].state != State::ready) continue;
          resume(number);
          ran = true;
        }
      }
    }
    int waiting = 0, left = 0;
    bool same = true;
    for (int number = 0; number < n_threads; ++number) {
      waiting += threads[number].state == State::at_barrier;
      left += threads[number].state == State::left;
      same = same && threads[number].line == threads[0].line;
    }
    if (left == n_threads) return;
    if (waiting != n_threads || !same)
      fail(
          ((waiting ? "threads of a block part at __syncthreads" : "lanes wait for each other") + who_waits()).c_str());
    block_votes[0] = 0;
    for (int number = 0; number < n_threads; ++number) block_votes[0] += threads[number].block_predicate;
    block_votes[1] = block_votes[0] == n_threads;
    block_votes[2] = block_votes[0] > 0;
    for (int number = 0; number < n_threads; ++number) threads[number].state = State::ready;
  }
}

// ---- copies ----

void open_copy(void *to, const void *content, int bytes) {
  Copy copy{static_cast<unsigned char *>(to), {}, bytes};
  std::memcpy(copy.content, content, bytes);
  threads[current].copies.back().push_back(copy);
  if (bytes >= 8) __asan_poison_memory_region(to, bytes); // of less, ASan may take the neighbours for it
}

void close_copies() { threads[current].copies.emplace_back(); }

void wait_copies(int open) {
  auto &groups = threads[current].copies;
  for (; int(groups.size()) > open + 1; groups.erase(groups.begin()))
    for (const Copy &copy : groups.front()) {
      __asan_unpoison_memory_region(copy.to, copy.bytes);
      std::memcpy(copy.to, copy.content, copy.bytes);
    }
}

// ---- memory ----

// Exactly `size` bytes that no access may leave, at an address aligned to `alignment` and no better.
struct Guarded {
  char *pages, *bytes;
  std::size_t before;

  Guarded(std::size_t size, std::size_t alignment, std::size_t past) {
    before = past;
    const std::size_t whole = before + size;
    if (posix_memalign(reinterpret_cast<void **>(&pages), alignment, whole ? whole : 1)) std::_Exit(98);
    if (!whole) __asan_poison_memory_region(pages, 1);
    bytes = pages + before;
    __asan_poison_memory_region(pages, before);
  }
  void release() {
    __asan_unpoison_memory_region(pages, before);
    std::free(pages);
  }
};

static Guarded shared_memory(std::size_t size, std::size_t alignment) {
  alignment = std::max<std::size_t>(alignment, 8);
  const Guarded memory(size, 2 * alignment, alignment);
  std::memset(memory.bytes, GARBAGE, size);
  return memory;
}

struct SharedArray {
  const char *function;
  int declaration;
  Guarded memory;
};

static std::vector<SharedArray> shared_arrays;
static std::vector<Guarded> dynamic_memory; // none or one
static std::size_t dynamic_size, shared_used, most_shared;

static void use_shared(std::size_t size) {
  shared_used += size;
  if (shared_used > most_shared)
    fail(("a block uses " + std::to_string(shared_used) + " bytes of shared memory, more than " +
          std::to_string(most_shared))
             .c_str());
}

static void check_in_kernel() {
  if (!running) fail("declare __shared__ memory inside a function");
}

void *shared_bytes(const char *function, int declaration, std::size_t size, std::size_t alignment) {
  for (const SharedArray &known : shared_arrays)
    if (known.declaration == declaration && known.function == function) return known.memory.bytes;
  check_in_kernel();
  use_shared(size);
  shared_arrays.push_back({function, declaration, shared_memory(size, alignment)});
  return shared_arrays.back().memory.bytes;
}

void *dynamic_shared_bytes(std::size_t alignment) {
  check_in_kernel();
  if (dynamic_memory.empty()) dynamic_memory.push_back(shared_memory(dynamic_size, alignment));
  return dynamic_memory[0].bytes;
}

static void free_shared() {
  for (SharedArray &array : shared_arrays) array.memory.release();
  for (Guarded &memory : dynamic_memory) memory.release();
  shared_arrays.clear();
  dynamic_memory.clear();
}

// CuPy compiles so that floats below the smallest normal number are zeros. Here doubles of kernels for floats are, too.
struct FloatsFlushed {
#if defined(__x86_64__)
  static constexpr unsigned RESULTS = 0x8000, OPERANDS = 0x0040;
  unsigned before = _mm_getcsr();
  explicit FloatsFlushed(bool flushed) {
    _mm_setcsr(flushed ? before | RESULTS | OPERANDS : before & ~(RESULTS | OPERANDS));
  }
  ~FloatsFlushed() { _mm_setcsr(before); }
#else
  explicit FloatsFlushed(bool) {}
#endif
};

// cvt.rn.f32.f64, which keeps floats below the smallest normal number.
float unflushed(double value) {
  const FloatsFlushed not_flushed(false);
  const volatile double read = value; // volatile: here, neither before nor after
  const volatile float rounded = static_cast<float>(read);
  return rounded;
}

static void run_grid(bool backward) {
  const long long blocks = (long long)gridDim.x * gridDim.y * gridDim.z;
  const FloatsFlushed flushed(std::strstr(running->name, "float") != nullptr);
  make_fibres();
  for (long long b = 0; b < blocks; ++b) {
    const long long block = backward ? blocks - 1 - b : b;
    blockIdx = {unsigned(block % gridDim.x), unsigned(block / gridDim.x % gridDim.y),
                unsigned(block / gridDim.x / gridDim.y)};
    shared_used = 0;
    use_shared(dynamic_size);
    run_block(backward);
    free_shared();
  }
}

// ---- the server ----

static void read_exactly(void *to, std::size_t size) {
  for (char *at = static_cast<char *>(to); size;) {
    const ssize_t n = read(0, at, size);
    if (n <= 0) std::_Exit(0);
    at += n;
    size -= std::size_t(n);
  }
}

static void write_exactly(int file, const void *from, std::size_t size) {
  for (const char *at = static_cast<const char *>(from); size;) {
    const ssize_t n = write(file, at, size);
    if (n <= 0) std::_Exit(0);
    at += n;
    size -= std::size_t(n);
  }
}

template <typename T> static T take() {
  T value;
  read_exactly(&value, sizeof value);
  return value;
}

struct Buffer {
  std::uint64_t size, place, returned;
};

static void serve_one(int answers) {
  struct {
    std::uint32_t magic, instance, grid[3], block[3], backward, n_buffers, n_arguments, unused;
    std::uint64_t shared, most_shared;
  } request;
  read_exactly(&request, sizeof request);
  if (request.magic != MAGIC || request.instance >= std::uint32_t(n_instances)) std::_Exit(96);
  running = &instances[request.instance];
  gridDim = {request.grid[0], request.grid[1], request.grid[2]};
  blockDim = {request.block[0], request.block[1], request.block[2]};
  n_threads = int(blockDim.x * blockDim.y * blockDim.z);
  dynamic_size = request.shared;
  most_shared = request.most_shared;

  std::vector<Buffer> buffers(request.n_buffers);
  read_exactly(buffers.data(), buffers.size() * sizeof(Buffer));
  std::vector<Guarded> memory;
  for (const Buffer &buffer : buffers) {
    memory.emplace_back(buffer.size, 256, buffer.place);
    read_exactly(memory.back().bytes, buffer.size);
  }
  std::vector<std::vector<std::uint64_t>> values(request.n_arguments); // aligned storage of what pointers point to
  std::vector<void *> arguments(request.n_arguments);
  for (std::uint32_t i = 0; i < request.n_arguments; ++i) {
    const std::uint64_t kind = take<std::uint64_t>(), first = take<std::uint64_t>();
    values[i].resize(kind == 0 ? (first + 7) / 8 : 1);
    if (kind == 0) read_exactly(values[i].data(), first);
    if (kind == 1)
      values[i][0] = std::uint64_t(reinterpret_cast<std::uintptr_t>(memory[first].bytes)) + take<std::uint64_t>();
    arguments[i] = values[i].data();
  }
  running_arguments = arguments.data();
  run_grid(request.backward);

  write_exactly(answers, &MAGIC, sizeof MAGIC);
  for (std::size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].returned) write_exactly(answers, memory[i].bytes, buffers[i].size);
  for (Guarded &one : memory) one.release();
}

static void say_instances(int answers) {
  std::string text;
  for (int i = 0; i < n_instances; ++i) {
    text += instances[i].name;
    for (int p = 0; p < instances[i].n_parameters; ++p) {
      const Parameter &q = instances[i].parameters[p];
      text += std::string("\t") + (q.pointer ? "pointer " : "value ") + (q.constant ? "const " : "written ") + q.kind +
              " " + std::to_string(q.item) + " " + std::to_string(q.size);
    }
    text += "\n";
  }
  const std::uint64_t size = text.size();
  write_exactly(answers, &size, sizeof size);
  write_exactly(answers, text.data(), size);
}

} // namespace cuda_on_cpu

int main() {
  __sanitizer_set_death_callback(cuda_on_cpu::say_where);
  const int answers = dup(1);
  dup2(2, 1); // a kernel's printf must not become part of an answer
  cuda_on_cpu::say_instances(answers);
  for (;;) cuda_on_cpu::serve_one(answers);
}
