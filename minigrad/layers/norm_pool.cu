// Local response normalisation over five channels and max-pooling in one: what lies between them is computed and not stored.
//   x, dx (N, H, W, C)     y, dy, winner (N, OH, OW, C)
#include "lrn.cu"
#include "pool.cu"

extern "C" __global__ void norm_pool_forward(const real* __restrict__ x, real* __restrict__ y, unsigned char* __restrict__ winner,
                                             Lrn norm, Pool d) {
  const int C = d.C / LANES;
  LOOP(u, d.N * d.OH * d.OW * C) {
    const int c = u % C * LANES, q = u / C % d.OW, r = u / C / d.OW % d.OH, n = u / C / d.OW / d.OH;
    Reals best;
    Bytes at = {};
    for (int i = 0; i < d.K; ++i)
      for (int j = 0; j < d.K; ++j) {
        const real* row = x + (((size_t)n * d.H + r * d.S + i) * d.W + q * d.S + j) * d.C;
        const Reals t = near_forward(row, c, norm);
        if (i + j == 0) best = t;
        challenge(best, at, t, i * d.K + j);
      }
    ((Reals*)y)[u] = best;
    ((Bytes*)winner)[u] = at;
  }
}

extern "C" __global__ void norm_pool_backward(const real* __restrict__ x, const real* __restrict__ dy,
                                              const unsigned char* __restrict__ winner, real* __restrict__ dx, Lrn norm, Pool d) {
  const int C = d.C / LANES;
  LOOP(u, d.N * d.H * d.W * C) {
    const int group = u % C, pixel = u / C;
    Near back;  // what comes back through the pooling
    for (int g = 0; g < GROUPS; ++g) {
      const int c = group + g - OWN / LANES;
      const Reals t = c >= 0 && c < C ? won(dy, winner, pixel, c, d) : Reals{};
      EACH_LANE(l) back.v[g * LANES + l] = t.v[l];
    }
    ((Reals*)dx)[u] = near_backward(x + (size_t)pixel * d.C, back, group * LANES, norm);
  }
}
