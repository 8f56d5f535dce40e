// The queues of a CUDA without a GPU. A stream is a queue of work; the work runs when the host waits for something, in an order that a seed
// decides within what streams and events demand. What a program does not order comes in another order in some of the runs.
#pragma once
#include <cuda_runtime_api.h>
#include <driver_types.h>
#include <time.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
#define LOCK std::lock_guard<std::recursive_mutex> lock(mutex)
typedef int Status;  // CUDA's, its driver's, NVRTC's and cuBLAS's: 0 is success everywhere
enum Policy { AT_ONCE, LATE, RANDOM, STREAMS, NEVER };  // see fake_cuda.py

static struct Settings {
  long long devices = 0, peers = 1, policy = RANDOM, memory = 139LL << 30, pinned = 1LL << 40, cublas = 0, headers = 1;
} settings;
static std::recursive_mutex mutex;
static std::mt19937 rng(1);
static std::map<std::string, long> counts;

static double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

// A rule of CUDA that was broken: said, and counted for the test.
static void problem(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "fake CUDA: ");
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  counts["problems"]++;
}

// An event as it was recorded once
struct Record {
  bool done = false;
  double time = 0;
};
// A piece of work of a stream: it may wait for an event first, and may be one itself
struct Op {
  std::shared_ptr<Record> record, wait;
  std::function<void()> work;
  std::string name;
};
struct Capture;
struct Stream {
  int device;
  bool nonblocking;
  int id;
  std::deque<Op> q;
  unsigned priority = 0;
  bool branch = false;  // of a graph at work, see graphs.h
  std::shared_ptr<Capture> capture = nullptr;  // what is being recorded, in place of being done
  int column = 0;                              // which of its streams this one is
};
struct Event {
  int device;
  bool timing;
  std::shared_ptr<Record> last;
  std::shared_ptr<Capture> capture = nullptr;  // where it was recorded last, if in one
  int number = 0;                              // of its records
};
static std::vector<Stream*> streams;
static thread_local int current = 0;
static Stream* nulls[16];
static Stream* make(int device, bool nonblocking) {
  auto* s = new Stream{device, nonblocking, (int)streams.size()};
  streams.push_back(s);
  return s;
}
static Stream* stream_of(void* h) {
  if ((uintptr_t)h <= 2) {
    if (!nulls[current]) nulls[current] = make(current, false);
    return nulls[current];
  }
  return (Stream*)h;
}
static bool runnable(Stream* s) { return !s->q.empty() && (!s->q.front().wait || s->q.front().wait->done); }
static void step(Stream* s) {
  Op op = std::move(s->q.front());
  s->q.pop_front();
  if (op.work && settings.policy != NEVER) op.work();
  if (op.record) {
    op.record->done = true;
    op.record->time = now();
  }
}
static Stream* owner_of(Record* r) {
  for (auto* s : streams)
    for (auto& op : s->q)
      if (op.record.get() == r) return s;
  return nullptr;
}
static void run_until(const std::function<bool()>& done, Stream* wanted) {
  if (settings.policy == STREAMS)
    for (auto* s : streams) s->priority = rng();
  while (!done()) {
    Stream* pick = nullptr;
    if (settings.policy <= LATE || settings.policy == NEVER) {  // only what the host waits for
      pick = wanted;
      while (!runnable(pick)) {
        if (pick->q.empty()) {
          problem("deadlock: nothing left on s%d", pick->id);
          abort();
        }
        pick = owner_of(pick->q.front().wait.get());
        if (!pick) {
          problem("deadlock: an event that nobody records");
          abort();
        }
      }
    } else {
      std::vector<Stream*> can;
      for (auto* s : streams)
        if (runnable(s)) can.push_back(s);
      if (can.empty()) {
        problem("deadlock");
        abort();
      }
      if (settings.policy == RANDOM) pick = can[rng() % can.size()];
      else
        for (auto* s : can)
          if (!pick || s->priority > pick->priority) pick = s;
    }
    step(pick);
  }
}
static void drain(Stream* s) {
  run_until([s] { return s->q.empty(); }, s);
}
static void drain_all(int device) {
  for (auto* s : std::vector<Stream*>(streams))
    if (device < 0 || s->device == device) drain(s);
}
static void wait_for(std::shared_ptr<Record> r) {
  if (r && !r->done) {
    auto* s = owner_of(r.get());
    run_until([&r] { return r->done; }, s);
  }
}
static void spurious() {  // a GPU makes progress whenever it likes
  if (settings.policy < RANDOM || settings.policy == NEVER) return;
  unsigned n = rng() % 8 ? 0 : rng() % 12;
  while (n--) {
    std::vector<Stream*> can;
    for (auto* s : streams)
      if (runnable(s)) can.push_back(s);
    if (can.empty()) return;
    step(can[rng() % can.size()]);
  }
}
static void capture(Stream* s, Op op);
static void push(Stream* s, Op op) {
  if (s->capture) return capture(s, std::move(op));
  s->q.push_back(std::move(op));
  if (settings.policy == AT_ONCE) {
    while (!s->q.empty()) {
      if (!runnable(s)) {
        problem("in order of issue, and yet blocked");
        abort();
      }
      step(s);
    }
  } else if (settings.policy == NEVER) {
    while (!s->q.empty()) step(s);
  } else spurious();
}
