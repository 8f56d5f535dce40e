// CUDA graphs. What a stream that captures is told is recorded, with kernels' arguments as they are then; events carry the capture on to other
// streams, and are its edges. A graph at work has a queue for each stream of its capture: so its nodes come in any order that its edges allow.
// What CUDA forbids in a capture is refused as CUDA refuses it, and spoils the capture.
#pragma once
#include <set>

#include "streams.h"

struct Item {  // of a captured stream: some work, a record of an event (its number), or a wait for one
  Op op;
  int record = -1, wait = -1;
};
struct Capture {
  std::vector<std::vector<Item>> columns;  // one for each stream, the first is the origin
  std::vector<Stream*> streams;
  std::vector<std::pair<int, int>> records;  // of each: its column and place
  bool active = true, spoiled = false;
  int mode = 0;
};
struct Graph {
  std::shared_ptr<Capture> of;
};
static thread_local Capture* mine = nullptr;  // the capture that this thread has begun

static void spoil(Capture* c) {
  if (c) c->spoiled = true;
}
// What a capture forbids, where this stream is in one: 900, cudaErrorStreamCaptureUnsupported
static Status refused_in_capture(Stream* s) {
  if (!s->capture) return 0;
  counts["refused in a capture"]++;
  spoil(s->capture.get());
  return cudaErrorStreamCaptureUnsupported;
}
// The same for what concerns all of a thread's work: 0 unless this thread captures
static Status refused_while_capturing() {
  if (!mine) return 0;
  counts["refused in a capture"]++;
  spoil(mine);
  return cudaErrorStreamCaptureUnsupported;
}
static void capture(Stream* s, Op op) {
  counts["nodes"]++;
  s->capture->columns[s->column].push_back({std::move(op)});
}
static void join(Stream* s, std::shared_ptr<Capture> c) {
  s->capture = c;
  s->column = (int)c->streams.size();
  c->streams.push_back(s);
  c->columns.emplace_back();
}
static void record(Stream* s, Event* e) {
  auto& c = *s->capture;
  e->capture = s->capture;
  e->number = (int)c.records.size();
  c.records.push_back({s->column, (int)c.columns[s->column].size()});
  c.columns[s->column].push_back({Op(), e->number, -1});
}
// A stream waits for an event, of which either may be part of a capture
static Status wait_in_capture(Stream* s, Event* e) {
  if (e->capture && e->capture->active) {
    if (s->capture && s->capture != e->capture) {
      spoil(s->capture.get());
      spoil(e->capture.get());
      return cudaErrorStreamCaptureMerge;
    }
    if (!s->nonblocking) return cudaErrorStreamCaptureImplicit;
    if (!s->capture) join(s, e->capture);
    s->capture->columns[s->column].push_back({Op(), -1, e->number});
    return 0;
  }
  if (e->capture) return cudaErrorCapturedEvent;  // of one that has ended
  spoil(s->capture.get());
  return cudaErrorStreamCaptureIsolation;
}
// Whether the origin's end comes after all work of all streams
static bool joined(const Capture& c) {
  std::vector<size_t> reached(c.columns.size(), 0);
  std::vector<std::pair<int, size_t>> open{{0, c.columns[0].size()}};
  while (!open.empty()) {
    auto [column, end] = open.back();
    open.pop_back();
    for (size_t i = reached[column]; i < end; ++i)
      if (int w = c.columns[column][i].wait; w >= 0) open.push_back({c.records[w].first, (size_t)c.records[w].second + 1});
    reached[column] = std::max(reached[column], end);
  }
  for (size_t column = 0; column < c.columns.size(); ++column)
    for (size_t i = reached[column]; i < c.columns[column].size(); ++i)
      if (c.columns[column][i].record < 0) return false;
  return true;
}

API Status fake_cudaStreamBeginCapture(void* h, int mode) {
  LOCK;
  auto* s = stream_of(h);
  if (!s->nonblocking || s->capture) return refused_in_capture(s), cudaErrorStreamCaptureUnsupported;
  auto c = std::make_shared<Capture>();
  c->mode = mode;
  join(s, c);
  mine = c.get();
  counts["captures"]++;
  return 0;
}
API Status fake_cudaStreamEndCapture(void* h, void** g) {
  LOCK;
  auto* s = stream_of(h);
  auto c = s->capture;
  *g = nullptr;
  if (!c) return cudaErrorIllegalState;
  if (c->streams[0] != s) return cudaErrorStreamCaptureUnmatched;
  for (auto* one : c->streams) one->capture = nullptr;
  c->active = false;
  mine = nullptr;
  if (c->spoiled) return cudaErrorStreamCaptureInvalidated;
  if (!joined(*c)) return cudaErrorStreamCaptureUnjoined;
  *g = new Graph{c};
  return 0;
}
API Status fake_cudaStreamIsCapturing(void* h, int* status) {
  LOCK;
  auto* s = stream_of(h);
  *status = !s->capture ? 0 : s->capture->spoiled ? 2 : 1;
  counts["cudaStreamIsCapturing"]++;
  return 0;
}
API Status fake_cudaGraphInstantiate(void** x, void* g, unsigned long long) {
  *x = new Graph(*(Graph*)g);
  return 0;
}
API Status fake_cudaGraphDestroy(void* g) {
  delete (Graph*)g;
  return 0;
}
API Status fake_cudaGraphExecDestroy(void* x) {
  LOCK;
  drain_all(-1);  // CUDA would wait to free it, too
  delete (Graph*)x;
  return 0;
}
API Status fake_cudaGraphUpload(void*, void*) { return 0; }
API Status fake_cudaGraphLaunch(void* x, void* h) {
  LOCK;
  auto* s = stream_of(h);
  auto& c = *((Graph*)x)->of;
  counts["graph launches"]++;
  if (settings.policy == NEVER) return 0;
  if (s->capture) return refused_in_capture(s);  // a graph in a graph: not modelled
  auto done = [](Stream* one) { return one->branch && one->q.empty() && (delete one, true); };
  streams.erase(std::remove_if(streams.begin(), streams.end(), done), streams.end());
  std::vector<std::shared_ptr<Record>> records;
  for (size_t i = 0; i < c.records.size(); ++i) records.push_back(std::make_shared<Record>());
  auto begin = std::make_shared<Record>(), end = std::make_shared<Record>();
  push(s, {begin, nullptr, nullptr, "graph"});
  std::vector<Stream*> branches;
  for (size_t column = 0; column < c.columns.size(); ++column) {
    auto* branch = make(c.streams[column]->device, true);
    branch->branch = true;
    branch->q.push_back({nullptr, begin, nullptr, "graph"});
    for (auto& item : c.columns[column]) {
      Op op = item.op;
      if (item.record >= 0) op.record = records[item.record];
      if (item.wait >= 0) op.wait = records[item.wait];
      branch->q.push_back(std::move(op));
    }
    if (column == 0) branch->q.push_back({end, nullptr, nullptr, "graph"});
    branches.push_back(branch);
  }
  if (settings.policy == AT_ONCE)
    while (!end->done)
      for (auto* branch : branches)
        while (runnable(branch)) step(branch);
  push(s, {nullptr, end, nullptr, "graph"});
  return 0;
}
