// Max-pooling over K x K windows.   x, dx (N, H, W, C)     y, dy, winner (N, OH, OW, C)
// winner[...] is the place of the maximum in its window, row by row: i K + j. A tie goes to the first; NaN wins.
// relu: whether it is max(x, 0) that is pooled; then a window without a positive number has no winner, 255, and passes nothing back.
struct Pool { int N, H, W, C, K, S, OH, OW, relu; };

// t, from that place in the window, beside the best so far.
__device__ inline void challenge(Reals& best, Bytes& at, Reals t, int place) {
  EACH_LANE(l) {
    const bool wins = t.v[l] > best.v[l] || (t.v[l] != t.v[l] && best.v[l] == best.v[l]);
    if (wins) { best.v[l] = t.v[l]; at.v[l] = place; }
  }
}

extern "C" __global__ void maxpool_forward(const real* __restrict__ x, real* __restrict__ y,
                                           unsigned char* __restrict__ winner, Pool d) {
  const int C = d.C / LANES;
  LOOP(u, d.N * d.OH * d.OW * C) {
    const int c = u % C, q = u / C % d.OW, r = u / C / d.OW % d.OH, n = u / C / d.OW / d.OH;
    const Reals* in = (const Reals*)x + (((size_t)n * d.H + r * d.S) * d.W + q * d.S) * C + c;
    Reals best = in[0];
    Bytes at = {};
    for (int i = 0; i < d.K; ++i)
      for (int j = 0; j < d.K; ++j) challenge(best, at, in[(i * d.W + j) * C], i * d.K + j);
    if (d.relu) {
      EACH_LANE(l) if (!(best.v[l] > 0)) at.v[l] = 255;
      best = rectified(best);
    }
    ((Reals*)y)[u] = best;
    ((Bytes*)winner)[u] = at;
  }
}

// The sum of dy over the windows which a pixel (counted on through all images) won in the lanes of group c.
__device__ inline Reals won(const real* dy, const unsigned char* winner, int pixel, int c, Pool d) {
  const int C = d.C / LANES, w = pixel % d.W, h = pixel / d.W % d.H, n = pixel / d.W / d.H;
  Reals sum = {};
  for (int r = first_window(h, d.K, d.S); r <= min(h / d.S, d.OH - 1); ++r)
    for (int q = first_window(w, d.K, d.S); q <= min(w / d.S, d.OW - 1); ++q) {
      const int here = (h - r * d.S) * d.K + w - q * d.S;
      const size_t o = (((size_t)n * d.OH + r) * d.OW + q) * C + c;
      const Bytes at = ((const Bytes*)winner)[o];
      const Reals g = ((const Reals*)dy)[o];
      EACH_LANE(l) if (at.v[l] == here) sum.v[l] += g.v[l];
    }
  return sum;
}

// dx[n, h, w, c]: a gather over at most ceil(K / S)^2 windows: no atomics, and every dx is written exactly once, so that nothing need be
// cleared before.
extern "C" __global__ void maxpool_backward(const real* __restrict__ dy, const unsigned char* __restrict__ winner,
                                            real* __restrict__ dx, Pool d) {
  const int C = d.C / LANES;
  LOOP(u, d.N * d.H * d.W * C) ((Reals*)dx)[u] = won(dy, winner, u / C, u % C, d);
}
