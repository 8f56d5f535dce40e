// What every kernel file shares. kernels.py puts this text in front of the file, since CuPy's kernel cache hashes the source that it
// is given and not what that includes: an edited header would go unnoticed.
//   REAL    float; double gives the same kernels for gradient checks
//   LANES   neighbouring elements (channels) that one thread handles: 4 where their number is a multiple of 4, else 1
typedef REAL real;

// LANES values that move as one memory access: 16 bytes of float, 4 of unsigned char
template <class T> struct alignas(LANES * sizeof(T) < 16 ? LANES * sizeof(T) : 16) Lanes { T v[LANES]; };
typedef Lanes<real> Reals;
typedef Lanes<unsigned char> Bytes;

// A grid-stride loop is right for any launch shape, also one block of one thread: so the tests run it on a CPU.
// n < 2^31 (CudaDevice.launch checks): a 64-bit division costs a GPU several times a 32-bit one.
#define LOOP(i, n) \
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < (unsigned)(n); i += blockDim.x * gridDim.x)
#define EACH_LANE(l) for (int l = 0; l < LANES; ++l)

// max(t, 0), where a kernel takes in the ReLU before it. Not fmax, which turns NaN into 0 and hides a run that diverges.
__device__ inline Reals rectified(Reals t) {
  EACH_LANE(l) t.v[l] = t.v[l] < 0 ? 0 : t.v[l];
  return t;
}
// g where t > 0, else 0: what comes back through it
__device__ inline Reals where_positive(Reals t, Reals g) {
  EACH_LANE(l) g.v[l] = t.v[l] > 0 ? g.v[l] : 0;
  return g;
}

// The windows o with o * stride <= p < o * stride + size are first_window .. p / stride.
__device__ inline int first_window(int p, int size, int stride) { return p < size ? 0 : (p - size) / stride + 1; }
