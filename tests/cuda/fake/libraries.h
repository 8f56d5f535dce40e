// The entry points of CUDA's driver, of NVRTC and of cuBLAS, as CuPy calls them, and what tests ask of the fake.
// A "compiled" kernel is the path of a library that g++ made (fake_cuda.py); a launch copies its arguments, checks which GPU its pointers
// lie on, and is a piece of work of its stream.
#pragma once
#include <dlfcn.h>
#include <unistd.h>

struct Module {
  void* library;
  int device;
};
struct Function {
  std::string name;
  int device;
  int n;
  const size_t* sizes;
  const int* kinds;
  void (*launch)(unsigned grid, unsigned block, void** arguments);
};
API Status cuInit(unsigned) { return 0; }
API Status cuGetErrorName(int e, const char** s) {
  *s = fake_cudaGetErrorName(e);
  return 0;
}
API Status cuGetErrorString(int e, const char** s) { return cuGetErrorName(e, s); }
API Status cuCtxGetCurrent(void** c) {
  *c = (void*)(uintptr_t)(current + 1);
  return 0;
}
API Status cuCtxSetCurrent(void*) { return 0; }
API Status cuCtxGetDevice(int* d) {
  *d = current;
  return 0;
}
API Status cuDevicePrimaryCtxRetain(void** c, int d) {
  *c = (void*)(uintptr_t)(d + 1);
  return 0;
}
API Status cuStreamGetCtx(void* s, void** c) {
  *c = (void*)(uintptr_t)(stream_of(s)->device + 1);
  return 0;
}
API Status cuModuleLoadData(void** m, const void* image) {
  LOCK;
  if (strncmp((const char*)image, "FAKE:", 5)) return 200;
  void* library = dlopen((const char*)image + 5, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    problem("%s", dlerror());
    return 200;
  }
  *m = new Module{library, current};
  counts["module load"]++;
  return 0;
}
API Status cuModuleUnload(void*) { return 0; }
API Status cuModuleGetFunction(void** f, void* module, const char* name) {
  LOCK;
  std::string n = name;
  void* m = ((Module*)module)->library;
  auto* launch = dlsym(m, ("launch_" + n).c_str());
  if (!launch) {
    problem("no kernel %s", name);
    return 500;
  }
  auto* fn = new Function{n, ((Module*)module)->device, *(int*)dlsym(m, ("count_" + n).c_str()), ((const size_t* (*)())dlsym(m, ("get_sizes_" + n).c_str()))(),
                          ((const int* (*)())dlsym(m, ("get_kinds_" + n).c_str()))()};
  memcpy(&fn->launch, &launch, sizeof launch);
  *f = fn;
  return 0;
}
API Status cuFuncGetAttribute(int* v, int, void*) {
  *v = 0;
  return 0;
}
API Status cuLaunchKernel(void* h, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* sh,
                          void** params, void**) {
  LOCK;
  auto* f = (Function*)h;
  auto* s = stream_of(sh);
  counts["kernels"]++;
  if (mine && !s->nonblocking) return refused_while_capturing();
  if (settings.policy == NEVER) return 0;
  counts["kernel " + f->name]++;
  if (f->device != current) {
    problem("kernel %s, loaded onto GPU %d, while GPU %d is current", f->name.c_str(), f->device, current);
    return 400;
  }
  if (s->device != current) {
    problem("kernel %s on a stream of GPU %d while GPU %d is current", f->name.c_str(), s->device, current);
    return 400;
  }
  if (bx > 1024 || gx > 2147483647u || gy * gz * by * bz != 1) {  // neither CuPy nor minigrad uses more than one dimension
    problem("launch shape of %s", f->name.c_str());
    return 1;
  }
  auto values = std::make_shared<std::vector<std::vector<char>>>();
  for (int i = 0; i < f->n; ++i) {
    values->emplace_back((char*)params[i], (char*)params[i] + f->sizes[i]);
    if (f->kinds[i]) {
      void* p;
      memcpy(&p, params[i], 8);
      auto* b = block_of(p);
      if (!b) problem("%s: argument %d points nowhere", f->name.c_str(), i);
      else if (b->device != s->device && !(b->device >= 0 && peers_on[s->device][b->device]))
        problem("%s: argument %d lies on GPU %d, not %d", f->name.c_str(), i, b->device, s->device);
      else if (b->device != s->device) problem("%s: argument %d is read through peer access", f->name.c_str(), i);
    }
  }
  const bool of_graph = s->capture != nullptr;
  push(s, {nullptr, nullptr,
           [=] {
             std::vector<void*> a;
             std::vector<const void*> pointers;
             for (auto& v : *values) {
               a.push_back(v.data());
               if (of_graph && f->kinds[a.size() - 1]) pointers.push_back(*(void**)v.data());
             }
             if (lost(of_graph, f->name, pointers)) return;
             f->launch(gx, bx, a.data());
           },
           f->name});
  return 0;
}

// ---- NVRTC
struct Program {
  std::string source, name, log, image;
};
API Status nvrtcVersion(int* a, int* b) {
  *a = 13;
  *b = 0;
  return 0;
}
API const char* nvrtcGetErrorString(int) { return "fake NVRTC error"; }
API Status nvrtcCreateProgram(void** p, const char* src, const char* name, int, const char**, const char**) {
  *p = new Program{src, name ? name : ""};
  return 0;
}
API Status nvrtcDestroyProgram(void** p) {
  delete (Program*)*p;
  *p = nullptr;
  return 0;
}
API Status nvrtcCompileProgram(void* h, int n, const char** o) {
  LOCK;
  auto* p = (Program*)h;
  counts["compile"]++;
  if (p->source.empty()) {
    p->image = "// fake NVRTC\n";
    return 0;
  }
  if (!settings.headers && p->source.find("cuda_fp16.h") != std::string::npos) {
    p->log = "catastrophic error: cannot open source file \"cuda_fp16.h\"";
    return 6;
  }
  std::string home = getenv("FAKE_CUDA_HOME"), name_in = home + "/sourceXXXXXX";
  char* in = &name_in[0];
  int fd = mkstemp(in);
  if (write(fd, p->source.data(), p->source.size()) < 0) return 1;
  close(fd);
  std::string cmd = std::string(getenv("FAKE_CUDA_COMPILER")) + " " + in;
  for (int i = 0; i < n; ++i) cmd += std::string(" '") + o[i] + "'";
  FILE* f = popen((cmd + " 2>&1").c_str(), "r");
  char b[4096];
  std::string out;
  while (size_t k = fread(b, 1, sizeof b, f)) out.append(b, k);
  int rc = pclose(f);
  unlink(in);
  if (rc) {
    p->log = out;
    fprintf(stderr, "%s\n", out.c_str());
    return 6;
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  p->image = "FAKE:" + out;
  p->image.push_back('\0');
  return 0;
}
API Status nvrtcGetCUBINSize(void* p, size_t* n) {
  *n = ((Program*)p)->image.size();
  return 0;
}
API Status nvrtcGetCUBIN(void* p, char* s) {
  auto& i = ((Program*)p)->image;
  memcpy(s, i.data(), i.size());
  return 0;
}
API Status nvrtcGetPTXSize(void* p, size_t* n) {
  *n = ((Program*)p)->image.size() + 1;
  return 0;
}
API Status nvrtcGetPTX(void* p, char* s) {
  strcpy(s, ((Program*)p)->image.c_str());
  return 0;
}
API Status nvrtcGetProgramLogSize(void* p, size_t* n) {
  *n = ((Program*)p)->log.size() + 1;
  return 0;
}
API Status nvrtcGetProgramLog(void* p, char* s) {
  strcpy(s, ((Program*)p)->log.c_str());
  return 0;
}
API Status nvrtcAddNameExpression(void*, const char*) { return 0; }
API Status nvrtcGetLoweredName(void*, const char* n, const char** o) {
  *o = n;
  return 0;
}

// ---- cuBLAS
struct Handle {
  Stream* stream;
  int device;
  bool workspace = false;
};
API Status cublasCreate_v2(void** h) {
  LOCK;
  if (settings.cublas) return (Status)settings.cublas;
  *h = new Handle{nullptr, current};
  counts["cublasCreate"]++;
  if (!getenv("CUBLAS_WORKSPACE_CONFIG")) counts["cublasCreate without a workspace for each stream"]++;
  return 0;
}
API Status cublasDestroy_v2(void* h) {
  LOCK;
  counts["cublasDestroy"]++;
  drain_all(((Handle*)h)->device);
  delete (Handle*)h;
  return 0;
}
API Status cublasSetStream_v2(void* h, void* s) {
  LOCK;
  ((Handle*)h)->stream = stream_of(s);
  ((Handle*)h)->workspace = false;  // cuBLAS goes back to its own
  return 0;
}
API Status cublasSetWorkspace_v2(void* h, void* p, size_t n) {
  LOCK;
  ((Handle*)h)->workspace = true;
  auto* b = block_of(p);
  if (!b || b->device != ((Handle*)h)->device || inside(p, n) || (uintptr_t)p % 256) problem("a workspace of cuBLAS that is none");
  return 0;
}
API Status cublasGetVersion_v2(void*, int* v) {
  *v = 130000;
  return 0;
}
template <class T>
static void gemm(bool ta, bool tb, int m, int n, int k, const T* A, int lda, const T* B, int ldb, bool add, T* C, int ldc) {
  for (int j = 0; j < n; ++j) {
    std::vector<T> c(m, 0);
    for (int l = 0; l < k; ++l) {
      const T b = tb ? B[(size_t)l * ldb + j] : B[(size_t)j * ldb + l];
      if (!ta) {
        const T* a = A + (size_t)l * lda;
        for (int i = 0; i < m; ++i) c[i] += a[i] * b;
      }
    }
    if (ta)
      for (int i = 0; i < m; ++i) {
        const T* a = A + (size_t)i * lda;
        T s = 0;
        if (tb)
          for (int l = 0; l < k; ++l) s += a[l] * B[(size_t)l * ldb + j];
        else {
          const T* b = B + (size_t)j * ldb;
          for (int l = 0; l < k; ++l) s += a[l] * b[l];
        }
        c[i] = s;
      }
    T* column = C + (size_t)j * ldc;
    for (int i = 0; i < m; ++i) column[i] = add ? column[i] + c[i] : c[i];
  }
}
// CUDA_R_16BF: the upper half of a float
static const int BFLOAT16 = 14;
static std::vector<float> widened(const void* numbers, int rows, int columns, int ld) {
  std::vector<float> wide((size_t)ld * (columns - 1) + rows);
  for (size_t i = 0; i < wide.size(); ++i) {
    const uint32_t bits = (uint32_t)((const uint16_t*)numbers)[i] << 16;
    memcpy(&wide[i], &bits, 4);
  }
  return wide;
}
static uint16_t narrowed(float number) {  // the nearest, of two the even one
  if (number != number) return 0x7fff;
  uint32_t bits;
  memcpy(&bits, &number, 4);
  const uint32_t half = bits & 0xffff, above = bits >> 16;
  return above + (half > 0x8000 || (half == 0x8000 && above % 2));
}
static void gemm_of_bfloat16(bool ta, bool tb, int m, int n, int k, const void* A, int lda, const void* B, int ldb, bool add, void* C, int type,
                             int ldc) {
  const auto a = widened(A, ta ? k : m, ta ? m : k, lda), b = widened(B, tb ? n : k, tb ? k : n, ldb);
  if (type == 0) return gemm<float>(ta, tb, m, n, k, a.data(), lda, b.data(), ldb, add, (float*)C, ldc);
  std::vector<float> c((size_t)m * n);
  gemm<float>(ta, tb, m, n, k, a.data(), lda, b.data(), ldb, false, c.data(), m);
  for (int j = 0; j < n; ++j)
    for (int i = 0; i < m; ++i) ((uint16_t*)C)[(size_t)j * ldc + i] = narrowed(c[(size_t)j * m + i]);
}
API Status cublasGemmEx(void* h, int ta, int tb, int m, int n, int k, const void* alpha, const void* A, int of, int lda, const void* B, int of_b, int ldb,
                        const void* beta, void* C, int type, int ldc, int compute, int) {
  LOCK;
  auto* handle = (Handle*)h;
  auto* s = handle->stream;
  counts["gemm"]++;
  if (s->capture && !handle->workspace) problem("a product that is captured with memory that cuBLAS gives to others");
  if (settings.policy == NEVER) return 0;
  counts["gemm compute type " + std::to_string(compute)]++;
  if (s->device != current || handle->device != current) {
    problem("gemm on a stream of GPU %d while GPU %d is current", s->device, current);
    return 7;
  }
  const bool half = of == BFLOAT16;
  if (of_b != of || !(of == type || (half && type == 0)) || (half && compute != 68)) {  // 68: CUBLAS_COMPUTE_32F
    problem("gemm of types %d and %d that gives %d, computed in %d: not modelled", of, of_b, type, compute);
    return 15;
  }
  auto number = [&](const void* p) { return type == 0 || half ? *(const float*)p : *(const double*)p; };  // read now, as cuBLAS does
  const bool add = number(beta) == 1;
  if (number(alpha) != 1 || (!add && number(beta) != 0)) problem("gemm with alpha %g, beta %g: not modelled", number(alpha), number(beta));
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) {
    problem("gemm (%d, %d, %d) with leading dimensions %d, %d, %d", m, n, k, lda, ldb, ldc);
    return 7;
  }
  for (const void* p : {A, B, (const void*)C}) {
    auto* b = block_of(p);
    if (!b || b->device != s->device) problem("gemm with memory of GPU %d on GPU %d", b ? b->device : -2, s->device);
  }
  if (half) counts["gemm of bfloat16"]++;
  const int row = half ? 8 : 4;
  if ((uintptr_t)A % 16 || (uintptr_t)B % 16 || (uintptr_t)C % 16 || lda % row || ldb % row || ldc % 4) { counts["gemm unaligned for TF32"]++; }
  if (half && type == BFLOAT16 && add) problem("gemm that adds to bfloat16: not modelled");
  const bool of_graph = s->capture != nullptr;
  push(s, {nullptr, nullptr,
           [=] {
             if (lost(of_graph, "gemm", {A, B, C})) return;
             if (half) gemm_of_bfloat16(ta, tb, m, n, k, A, lda, B, ldb, add, C, type, ldc);
             else if (type == 0) gemm<float>(ta, tb, m, n, k, (const float*)A, lda, (const float*)B, ldb, add, (float*)C, ldc);
             else gemm<double>(ta, tb, m, n, k, (const double*)A, lda, (const double*)B, ldb, add, (double*)C, ldc);
           },
           "gemm"});
  return 0;
}
// ---- what tests ask and set

API long fake_count(const char* what) {
  LOCK;
  return counts[what];
}
// Everything as if the process had just begun, but for what is allocated.
API void fake_reset(unsigned seed) {
  LOCK;
  for (auto* stream : streams) stream->capture = nullptr;
  mine = nullptr;
  drain_all(-1);
  for (auto& [p, size] : freed) munmap(p, size + 8192);
  freed.clear();
  settings = Settings();
  rng.seed(seed);
  counts.clear();
}
API void fake_set(const char* name, long long value) {
  LOCK;
  drain_all(-1);
  std::map<std::string, long long*> all{{"devices", &settings.devices}, {"peers", &settings.peers}, {"policy", &settings.policy},
                                        {"memory", &settings.memory}, {"pinned", &settings.pinned}, {"cublas", &settings.cublas},
                                        {"headers", &settings.headers}};
  *all.at(name) = value;
}
