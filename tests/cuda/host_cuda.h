// Enough of CUDA C++ for g++ to compile our kernels and run them on a CPU, where there is no GPU.
// Kernels without barriers run as loops over blocks and threads. With __syncthreads every thread of a block is a fiber (ucontext), and
// from barrier to barrier the fibers take turns in another order, so that a missing barrier gives wrong numbers.
// Not modelled: warp intrinsics, atomics, tensor cores, races between blocks, denormals flushed to zero.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __shared__ static thread_local
struct dim3 { unsigned x = 1, y = 1, z = 1; };
static thread_local dim3 blockIdx{0, 0, 0}, threadIdx{0, 0, 0}, blockDim, gridDim;
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
static inline float rsqrt(float v) { return 1.f / sqrtf(v); }
static inline double rsqrt(double v) { return 1. / sqrt(v); }
static inline unsigned __float_as_uint(float v) { unsigned bits; __builtin_memcpy(&bits, &v, sizeof v); return bits; }
static inline float __uint_as_float(unsigned bits) { float v; __builtin_memcpy(&v, &bits, sizeof v); return v; }

namespace host {
struct Fiber { ucontext_t context; char* stack; bool done; };
static const size_t STACK = 1 << 16;
static thread_local ucontext_t scheduler;
static thread_local Fiber* current = nullptr;  // null: this kernel has no barriers
static thread_local void (*call)(void*) = nullptr;
static thread_local void* argument = nullptr;

static void fiber_main() {
  call(argument);
  current->done = true;
  swapcontext(&current->context, &scheduler);
}

static void run_block_in_fibers(unsigned threads, unsigned seed) {
  Fiber* fibers = (Fiber*)calloc(threads, sizeof(Fiber));
  unsigned* order = (unsigned*)calloc(threads, sizeof(unsigned));
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& f = fibers[t];
    order[t] = t;
    f.stack = (char*)malloc(STACK);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = &scheduler;
    makecontext(&f.context, fiber_main, 0);
  }
  unsigned random = seed * 2654435761u + 1;
  for (unsigned alive = threads; alive;) {
    for (unsigned i = threads - 1; i > 0; --i) {
      random = random * 1664525u + 1013904223u;
      const unsigned j = (random >> 8) % (i + 1), other = order[i];
      order[i] = order[j];
      order[j] = other;
    }
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& f = fibers[order[i]];
      if (f.done) continue;
      current = &f;
      threadIdx.x = order[i];
      swapcontext(&scheduler, &f.context);  // until its next barrier, or its end
      alive -= f.done;
    }
  }
  current = nullptr;
  for (unsigned t = 0; t < threads; ++t) free(fibers[t].stack);
  free(order);
  free(fibers);
}

template <class... A, size_t... I>
static void run(void (*kernel)(A...), unsigned grid, unsigned block, bool barriers, void** arguments, std::index_sequence<I...>) {
  struct Pack { void (*kernel)(A...); void** arguments; } pack{kernel, arguments};
  call = [](void* p) { Pack& q = *(Pack*)p; q.kernel(*(std::remove_const_t<A>*)q.arguments[I]...); };
  argument = &pack;
  gridDim.x = grid;
  blockDim.x = block;
  for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
    if (barriers) run_block_in_fibers(block, blockIdx.x);
    else for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x) call(argument);
  }
}

// 0, or 1 + the place of an argument whose size is not what the kernel takes, or -1: a wrong number of arguments
template <class... A>
static int launch(void (*kernel)(A...), unsigned grid, unsigned block, int barriers, int n, const size_t* sizes, void** arguments) {
  const size_t wanted[] = {sizeof(A)...};
  if (n != (int)sizeof...(A)) return -1;
  for (int i = 0; i < n; ++i) if (sizes[i] != wanted[i]) return i + 1;
  run(kernel, grid, block, barriers, arguments, std::index_sequence_for<A...>{});
  return 0;
}
}  // namespace host
static inline void __syncthreads() { if (host::current) swapcontext(&host::current->context, &host::scheduler); }
