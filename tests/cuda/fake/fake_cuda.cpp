// The CUDA runtime's entry points, as CuPy calls them: memory, devices, streams, events. fake_cuda.py puts them in the place of those in
// CuPy's wheel. Fresh memory is NaN; an address tells which GPU it lies on; what leaves its allocation is a problem.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "graphs.h"

// ---- memory
struct Block {
  size_t size;
  int device;
};  // device -1: the host's, pinned
static std::map<uintptr_t, Block> blocks;
static size_t used[16], pinned = 0;
static const Block* block_of(const void* p, uintptr_t* base = nullptr) {
  auto it = blocks.upper_bound((uintptr_t)p);
  if (it == blocks.begin()) return nullptr;
  --it;
  if ((uintptr_t)p >= it->first + it->second.size) return nullptr;
  if (base) *base = it->first;
  return &it->second;
}
// NaN everywhere. Large memory is mapped, piece by piece, to one that holds it, which is copied where somebody writes.
static void poison(char* p, size_t size) {
  const size_t piece = 1 << 20;
  static int nan = -1;
  if (nan < 0) {
    std::vector<char> ones(piece, -1);
    nan = memfd_create("nan", 0);
    if (write(nan, ones.data(), piece) != (ssize_t)piece) abort();
  }
  for (; size >= piece; p += piece, size -= piece)
    if (mmap(p, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, nan, 0) == MAP_FAILED) abort();
  memset(p, 0xff, size);
}
static void* fresh(size_t size) {
  void* p = mmap(nullptr, size + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  if (settings.policy != NEVER) poison((char*)p, size);
  return p;
}
static std::vector<std::pair<void*, size_t>> freed;  // but still mapped, until the next reset
API Status fake_cudaMalloc(void** p, size_t size) {
  LOCK;
  if (mine && mine->mode != cudaStreamCaptureModeRelaxed) return refused_while_capturing();
  if (used[current] + size > (size_t)settings.memory) return cudaErrorMemoryAllocation;
  *p = fresh(size);
  blocks[(uintptr_t)*p] = {size, current};
  used[current] += size;
  counts["cudaMalloc"]++;
  return 0;
}
API Status fake_cudaFree(void* p) {
  LOCK;
  if (!p) return 0;
  if (mine) return refused_while_capturing();  // it would wait for the GPU
  auto it = blocks.find((uintptr_t)p);
  if (it == blocks.end()) {
    problem("cudaFree of what was not allocated");
    return 1;
  }
  drain_all(-1);
  used[it->second.device] -= it->second.size;
  if (counts["captures"]) {  // a graph that still reads it finds NaN, so that a test fails and does not crash
    if (settings.policy != NEVER) poison((char*)p, it->second.size);
    freed.push_back({p, it->second.size});
  } else {
    munmap(p, it->second.size + 8192);
  }
  blocks.erase(it);
  counts["cudaFree"]++;
  return 0;
}
API Status fake_cudaHostAlloc(void** p, size_t size, unsigned) {
  LOCK;
  if ((pinned += size) > (size_t)settings.pinned) return pinned -= size, cudaErrorMemoryAllocation;
  *p = fresh(size);
  blocks[(uintptr_t)*p] = {size, -1};
  counts["cudaHostAlloc"]++;
  counts["bytes pinned"] += size;
  return 0;
}
API Status fake_cudaFreeHost(void* p) {
  LOCK;
  drain_all(-1);
  auto it = blocks.find((uintptr_t)p);
  pinned -= it->second.size;
  munmap(p, it->second.size + 8192);
  blocks.erase(it);
  return 0;
}
API Status fake_cudaMemGetInfo(size_t* f, size_t* t) {
  *t = (size_t)settings.memory;
  *f = (size_t)settings.memory - used[current];
  return 0;
}
API Status fake_cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  LOCK;
  memset(a, 0, sizeof *a);
  auto* b = block_of(p);
  if (!b) {
    a->type = cudaMemoryTypeUnregistered;
    a->device = -2;
    a->hostPointer = (void*)p;
    return 0;
  }
  a->type = b->device < 0 ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  a->device = b->device < 0 ? 0 : b->device;
  a->devicePointer = (void*)p;
  return 0;
}
// Whether work cannot be done, since it is of a graph, and the memory that it knows was freed meanwhile
static bool lost(bool of_graph, const std::string& name, std::vector<const void*> pointers) {
  if (of_graph)
    for (const void* p : pointers)
      if (!block_of(p)) return problem("%s of a graph: its memory was freed", name.c_str()), true;
  return false;
}
static const char* inside(const void* p, size_t n) {
  uintptr_t base;
  auto* b = block_of(p, &base);
  return b && (uintptr_t)p + n <= base + b->size ? nullptr : "outside its allocation";
}
API Status fake_cudaMemcpyAsync(void* d, const void* s, size_t n, int kind, void* h) {
  LOCK;
  auto* st = stream_of(h);
  if (mine && !st->nonblocking) return refused_while_capturing();
  auto *bd = block_of(d), *bs = block_of(s);
  int dd = bd ? bd->device : -2, ds = bs ? bs->device : -2;
  if ((dd >= 0 && inside(d, n)) || (ds >= 0 && inside(s, n))) problem("copy leaves its allocation");
  if (st->capture && (dd == -2 || ds == -2)) return refused_in_capture(st);  // memory that is not pinned
  if (kind == cudaMemcpyHostToDevice && (ds >= 0 || dd < 0)) problem("H2D copy of %d to %d", ds, dd);
  if (kind == cudaMemcpyDeviceToHost && (dd >= 0 || ds < 0)) problem("D2H copy of %d to %d", ds, dd);
  if (dd >= 0 && ds >= 0) {
    counts[dd == ds ? "copy D2D" : settings.peers ? "copy peer" : "copy through host"]++;
    counts[dd == ds ? "bytes D2D" : "bytes peer"] += n;
    const bool of_graph = st->capture != nullptr;
    push(st, {nullptr, nullptr, [=] { lost(of_graph, "copy", {d, s}) || memcpy(d, s, n); }, "copy D2D"});
  } else if (dd >= 0) {
    counts[ds == -1 ? "copy H2D pinned" : "copy H2D pageable"]++;
    counts["bytes H2D"] += n;
    if (ds == -1 || settings.policy == NEVER) push(st, {nullptr, nullptr, [=] { memcpy(d, s, n); }, "copy H2D"});
    else {
      auto staged = std::make_shared<std::vector<char>>((const char*)s, (const char*)s + n);
      push(st, {nullptr, nullptr, [=] { memcpy(d, staged->data(), n); }, "copy H2D staged"});
    }
  } else {
    counts[dd == -1 ? "copy D2H pinned" : "copy D2H pageable"]++;
    counts["bytes D2H"] += n;
    push(st, {nullptr, nullptr, [=] { memcpy(d, s, n); }, "copy D2H"});
    if (dd != -1) {
      counts["waits: pageable D2H"]++;
      drain(st);
    }
  }
  return 0;
}
API Status fake_cudaMemcpy(void* d, const void* s, size_t n, int kind) {
  LOCK;
  counts["cudaMemcpy (synchronous)"]++;
  if (mine) return refused_while_capturing();
  Status r = fake_cudaMemcpyAsync(d, s, n, kind, nullptr);
  drain(stream_of(nullptr));
  return r;
}
API Status fake_cudaMemsetAsync(void* d, int v, size_t n, void* h) {
  LOCK;
  counts["memset"]++;
  if (mine && !stream_of(h)->nonblocking) return refused_while_capturing();
  push(stream_of(h), {nullptr, nullptr, [=] { memset(d, v, n); }, "memset"});
  return 0;
}
API Status fake_cudaMemset(void* d, int v, size_t n) { return fake_cudaMemsetAsync(d, v, n, nullptr); }

// ---- devices
API Status fake_cudaGetDeviceCount(int* n) {
  *n = settings.devices;
  return 0;
}
API Status fake_cudaGetDevice(int* d) {
  *d = current;
  return 0;
}
API Status fake_cudaSetDevice(int d) {
  if (d < 0 || d >= settings.devices) return cudaErrorInvalidDevice;
  current = d;
  return 0;
}
API Status fake_cudaDriverGetVersion(int* v) {
  *v = 13000;
  return 0;
}
API Status fake_cudaRuntimeGetVersion(int* v) {
  *v = 13000;
  return 0;
}
API Status fake_cudaDeviceGetAttribute(int* v, int a, int) {
  *v = a == cudaDevAttrComputeCapabilityMajor        ? 9
       : a == cudaDevAttrComputeCapabilityMinor      ? 0
       : a == cudaDevAttrMultiProcessorCount         ? 132
       : a == cudaDevAttrMaxThreadsPerBlock          ? 1024
       : a == cudaDevAttrMaxSharedMemoryPerBlock     ? 49152
       : a == cudaDevAttrMaxGridDimX                 ? 2147483647
       : a == cudaDevAttrWarpSize                    ? 32
       : a == cudaDevAttrMaxThreadsPerMultiProcessor ? 2048
                                                     : 0;
  return 0;
}
API Status fake_cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  memset(p, 0, sizeof *p);
  strcpy(p->name, "Fake H200");
  p->totalGlobalMem = (size_t)settings.memory;
  p->multiProcessorCount = 132;
  p->major = 9;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  return 0;
}
API Status fake_cudaDeviceSynchronize() {
  LOCK;
  counts["waits: device"]++;
  if (mine) return refused_while_capturing();
  drain_all(current);
  return 0;
}
API Status fake_cudaDeviceCanAccessPeer(int* v, int, int) {
  *v = settings.peers;
  return 0;
}
static bool peers_on[16][16];
API Status fake_cudaDeviceEnablePeerAccess(int p, unsigned) {
  LOCK;
  counts["cudaDeviceEnablePeerAccess"]++;
  if (!settings.peers) return 217;
  if (peers_on[current][p]) return cudaErrorPeerAccessAlreadyEnabled;
  peers_on[current][p] = true;
  return 0;
}
API Status fake_cudaDeviceGetPCIBusId(char* s, int, int d) {
  sprintf(s, "0000:0%d:00.0", d);
  return 0;
}
API Status fake_cudaGetLastError() { return 0; }
API Status fake_cudaPeekAtLastError() { return 0; }
API const char* fake_cudaGetErrorName(int e) {
  static thread_local char b[32];
  sprintf(b, "cudaError%d", e);
  return b;
}
API const char* fake_cudaGetErrorString(int e) { return fake_cudaGetErrorName(e); }

// ---- streams and events
API Status fake_cudaStreamCreateWithPriority(void** s, unsigned flags, int) {
  LOCK;
  *s = make(current, flags & 1);
  if (!(flags & 1)) problem("a blocking stream: not modelled");
  return 0;
}
API Status fake_cudaStreamCreateWithFlags(void** s, unsigned f) { return fake_cudaStreamCreateWithPriority(s, f, 0); }
API Status fake_cudaStreamCreate(void** s) { return fake_cudaStreamCreateWithPriority(s, 0, 0); }
API Status fake_cudaStreamDestroy(void* h) {
  LOCK;
  drain((Stream*)h);
  streams.erase(std::find(streams.begin(), streams.end(), (Stream*)h));
  delete (Stream*)h;
  return 0;
}
API Status fake_cudaStreamSynchronize(void* h) {
  LOCK;
  counts["waits: stream"]++;
  if (stream_of(h)->capture) return refused_in_capture(stream_of(h));
  drain(stream_of(h));
  return 0;
}
API Status fake_cudaStreamQuery(void* h) {
  LOCK;
  if (stream_of(h)->capture) return refused_in_capture(stream_of(h));
  return stream_of(h)->q.empty() ? 0 : cudaErrorNotReady;
}
API Status fake_cudaStreamGetFlags(void* h, unsigned* f) {
  *f = stream_of(h)->nonblocking;
  return 0;
}
API Status fake_cudaStreamGetPriority(void*, int* p) {
  *p = 0;
  return 0;
}
API Status fake_cudaEventCreateWithFlags(void** e, unsigned flags) {
  LOCK;
  *e = new Event{current, !(flags & 2), nullptr};
  counts["event create"]++;
  return 0;
}
API Status fake_cudaEventCreate(void** e) { return fake_cudaEventCreateWithFlags(e, 0); }
API Status fake_cudaEventDestroy(void* e) {
  LOCK;
  delete (Event*)e;
  return 0;
}
API Status fake_cudaEventRecord(void* h, void* sh) {
  LOCK;
  auto* e = (Event*)h;
  auto* s = stream_of(sh);
  counts["event record"]++;
  if (e->device != s->device) {
    problem("event of GPU %d recorded on a stream of GPU %d", e->device, s->device);
    return cudaErrorInvalidResourceHandle;
  }
  if (s->capture) return record(s, e), 0;
  e->capture = nullptr;
  e->last = std::make_shared<Record>();
  push(s, {e->last, nullptr, nullptr, "event"});
  return 0;
}
API Status fake_cudaStreamWaitEvent(void* sh, void* h, unsigned) {
  LOCK;
  counts["stream wait"]++;
  auto* e = (Event*)h;
  if (e->capture || stream_of(sh)->capture) return wait_in_capture(stream_of(sh), e);
  if (e->last && !(e->last->done)) push(stream_of(sh), {nullptr, e->last, nullptr, "event"});
  return 0;
}
API Status fake_cudaEventSynchronize(void* h) {
  LOCK;
  counts["waits: event"]++;
  if (auto c = ((Event*)h)->capture) return spoil(c.get()), cudaErrorCapturedEvent;
  wait_for(((Event*)h)->last);
  return 0;
}
API Status fake_cudaEventQuery(void* h) {
  LOCK;
  spurious();
  auto* e = (Event*)h;
  counts["event query"]++;
  if (e->capture) return spoil(e->capture.get()), cudaErrorCapturedEvent;
  return !e->last || e->last->done ? 0 : cudaErrorNotReady;
}
API Status fake_cudaEventElapsedTime(float* ms, void* a, void* b) {
  LOCK;
  auto *x = (Event*)a, *y = (Event*)b;
  if (!x->timing || !y->timing || x->device != y->device) {
    problem("elapsed time between events without timing, or of two GPUs");
    return cudaErrorInvalidResourceHandle;
  }
  if (!x->last || !y->last || !x->last->done || !y->last->done) return cudaErrorNotReady;
  *ms = 1e3 * (y->last->time - x->last->time);
  return 0;
}

#include "libraries.h"
