// What g++ needs beside host_cuda.h to compile CuPy's own kernels, and how the fake CUDA calls a kernel.
#pragma once
#include <assert.h>
#include <stdint.h>

#include <limits>

#include "host_cuda.h"
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
template <class T, int N, bool C, bool I> class CArray;  // CuPy's arrays in its elementwise kernels; they begin with their address

namespace fake {
template <class T> struct IsPointer { static const int value = std::is_pointer<T>::value; };
template <class T, int N, bool C, bool I> struct IsPointer<CArray<T, N, C, I>> { static const int value = 1; };

// A kernel's arguments: how many there are, their sizes, and which begin with an address
template <class... A> constexpr int count(void (*)(A...)) { return sizeof...(A); }
template <class... A> const size_t* sizes(void (*)(A...)) {
  static const size_t table[] = {sizeof(A)..., 0};
  return table;
}
template <class... A> const int* kinds(void (*)(A...)) {
  static const int table[] = {IsPointer<std::remove_const_t<A>>::value..., 0};
  return table;
}
template <class... A> void run(void (*kernel)(A...), unsigned grid, unsigned block, bool barriers, void** arguments) {
  host::run(kernel, grid, block, barriers, arguments, std::index_sequence_for<A...>{});
}
}  // namespace fake

#define FAKE_EXPORT(kernel, barriers)                                                    \
  extern "C" int count_##kernel = fake::count(::kernel);                                 \
  extern "C" const size_t* get_sizes_##kernel() { return fake::sizes(::kernel); }        \
  extern "C" const int* get_kinds_##kernel() { return fake::kinds(::kernel); }           \
  extern "C" void launch_##kernel(unsigned grid, unsigned block, void** arguments) {     \
    fake::run(::kernel, grid, block, barriers, arguments);                               \
  }
