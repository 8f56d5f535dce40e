// Convolution is a matrix product over patches. These kernels are all it needs beside the product: they lay the patches of a chunk
// of images out as a matrix, sum such a matrix back into images, and put the bias below the weights. Each stores what is multiplied as it is
// or, by the name of ..._bf16, in bfloat16.
//   x, dx (N, H, W, C)     patches, dpatches (N * OH * OW, columns)     columns >= K * K * C + ones, a multiple of 4
// relu: whether it is max(x, 0) that the convolution sees
struct Conv { int N, H, W, C, K, S, top, left, OH, OW, columns, ones, relu; };

// bfloat16 is the upper half of a float: the nearest one, of two equally near the even one; a NaN stays one. Written out, since CUDA's own
// header of it may be missing where programs only run.
__device__ inline unsigned short bfloat16(float t) {
  const unsigned bits = __float_as_uint(t);
  return t != t ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
__device__ inline real number(unsigned short t) { return __uint_as_float((unsigned)t << 16); }
__device__ inline real number(real t) { return t; }
__device__ inline void store(unsigned short& to, real t) { to = bfloat16(t); }
__device__ inline void store(real& to, real t) { to = t; }
template <class T> __device__ inline void store(Lanes<T>& to, Reals t) {
  Lanes<T> stored;
  EACH_LANE(l) store(stored.v[l], t.v[l]);
  to = stored;
}

// patches[(n, r, q), (i, j, c)] = x[n, r S + i - top, q S + j - left, c], or 0 outside the image.
// Further columns hold 1 so many times as `ones` says, then 0: a 1 meets the bias.
// A thread follows one column (LANES of them) along a line of outputs: its divisions are paid once for OW patches, and
// neighbouring threads touch neighbouring addresses on both sides, because (j, c) is one run of memory in x.
template <class T> __device__ inline void unfold(const real* __restrict__ x, T* __restrict__ patches, Conv d) {
  const int C = d.C / LANES, columns = d.columns / LANES, filled = d.K * d.K * C;
  LOOP(u, d.N * d.OH * columns) {
    const int column = u % columns, line = u / columns;
    Lanes<T>* out = (Lanes<T>*)patches + (size_t)line * d.OW * columns + column;
    if (column >= filled) {
      Reals fill;
      EACH_LANE(l) fill.v[l] = (column - filled) * LANES + l < d.ones ? 1 : 0;
      for (int q = 0; q < d.OW; ++q) store(out[(size_t)q * columns], fill);
      continue;
    }
    const int c = column % C, j = column / C % d.K, i = column / C / d.K;
    const int n = line / d.OH, h = line % d.OH * d.S + i - d.top;
    const Reals* in = (const Reals*)x + (((ptrdiff_t)n * d.H + h) * d.W) * C + c;
    for (int q = 0; q < d.OW; ++q) {
      const int w = q * d.S + j - d.left;
      const bool inside = h >= 0 && h < d.H && w >= 0 && w < d.W;
      const Reals t = inside ? in[(ptrdiff_t)w * C] : Reals{};
      store(out[(size_t)q * columns], d.relu ? rectified(t) : t);
    }
  }
}
extern "C" __global__ void im2col(const real* __restrict__ x, real* __restrict__ patches, Conv d) { unfold(x, patches, d); }
extern "C" __global__ void im2col_bf16(const real* __restrict__ x, unsigned short* __restrict__ patches, Conv d) { unfold(x, patches, d); }

// Where a number of x comes from along a line of outputs: row is its place at w = 0. filled: it is no number of x, but `value`.
struct Source { ptrdiff_t row; int w; bool inside, filled; real value; };
struct Sources { Source of[LANES]; };

// The same for images whose channels are no multiple of LANES, the colours above all: the columns still are one. A thread writes LANES of them
// at once, and reads each for itself.
template <class T> __device__ inline void unfold_few_channels(const real* __restrict__ x, T* __restrict__ patches, Conv d) {
  const int columns = d.columns / LANES, filled = d.K * d.K * d.C;
  LOOP(u, d.N * d.OH * columns) {
    const int group = u % columns, line = u / columns, n = line / d.OH, r = line % d.OH;
    Sources from;
    EACH_LANE(l) {
      const int column = group * LANES + l, c = column % d.C, j = column / d.C % d.K, i = column / d.C / d.K, h = r * d.S + i - d.top;
      from.of[l].filled = column >= filled;
      from.of[l].value = column < filled + d.ones ? 1 : 0;
      from.of[l].inside = h >= 0 && h < d.H;
      from.of[l].w = j - d.left;
      from.of[l].row = ((ptrdiff_t)n * d.H + h) * d.W * d.C + c;
    }
    Lanes<T>* out = (Lanes<T>*)patches + (size_t)line * d.OW * columns + group;
    for (int q = 0; q < d.OW; ++q) {
      Reals t;
      EACH_LANE(l) {
        const Source s = from.of[l];
        const int w = q * d.S + s.w;
        t.v[l] = s.filled ? s.value : s.inside && w >= 0 && w < d.W ? x[s.row + (ptrdiff_t)w * d.C] : 0;
      }
      store(out[(size_t)q * columns], d.relu ? rectified(t) : t);
    }
  }
}
extern "C" __global__ void im2col_of_few_channels(const real* __restrict__ x, real* __restrict__ patches, Conv d) {
  unfold_few_channels(x, patches, d);
}
extern "C" __global__ void im2col_of_few_channels_bf16(const real* __restrict__ x, unsigned short* __restrict__ patches, Conv d) {
  unfold_few_channels(x, patches, d);
}

// dx[n, h, w, c] = the sum of dpatches over every patch that holds this pixel. A gather: no atomics, and always the same order.
// x is read for relu alone.
template <class T>
__device__ inline void fold(const T* __restrict__ dpatches, const real* __restrict__ x, real* __restrict__ dx, Conv d) {
  const int C = d.C / LANES, columns = d.columns / LANES;
  LOOP(u, d.N * d.H * d.W * C) {
    const int c = u % C, w = u / C % d.W + d.left, h = u / C / d.W % d.H + d.top, n = u / C / d.W / d.H;
    Reals sum = {};
    for (int r = first_window(h, d.K, d.S); r <= min(h / d.S, d.OH - 1); ++r)
      for (int q = first_window(w, d.K, d.S); q <= min(w / d.S, d.OW - 1); ++q) {
        const int i = h - r * d.S, j = w - q * d.S;
        const size_t patch = ((size_t)n * d.OH + r) * d.OW + q;
        const Lanes<T> t = ((const Lanes<T>*)dpatches)[patch * columns + (i * d.K + j) * C + c];
        EACH_LANE(l) sum.v[l] += number(t.v[l]);
      }
    ((Reals*)dx)[u] = d.relu ? where_positive(((const Reals*)x)[u], sum) : sum;
  }
}
extern "C" __global__ void col2im(const real* __restrict__ dpatches, const real* __restrict__ x, real* __restrict__ dx, Conv d) {
  fold(dpatches, x, dx, d);
}
extern "C" __global__ void col2im_bf16(const unsigned short* __restrict__ dpatches, const real* __restrict__ x, real* __restrict__ dx,
                                       Conv d) {
  fold(dpatches, x, dx, d);
}

// Wb (columns, CO): the rows of W (filled, CO), then b (CO), then zeros.
extern "C" __global__ void weights_and_bias(const real* __restrict__ W, const real* __restrict__ b, real* __restrict__ Wb,
                                            int filled, int columns, int CO) {
  const int row = CO / LANES;
  LOOP(u, columns * row) {
    const int below = (int)u - filled * row;
    ((Reals*)Wb)[u] = below < 0 ? ((const Reals*)W)[u] : below < row ? ((const Reals*)b)[below] : Reals{};
  }
}

// The same in bfloat16, but b in three rows that meet three ones: the second holds what the first is short of, and so on. Their sum is b:
// it is not rounded.
extern "C" __global__ void weights_and_bias_bf16(const real* __restrict__ W, const real* __restrict__ b, unsigned short* __restrict__ Wb,
                                                 int filled, int columns, int CO) {
  const int row = CO / LANES;
  LOOP(u, columns * row) {
    const int below = (int)u - filled * row;
    Reals t = below < 0 ? ((const Reals*)W)[u] : below < 3 * row ? ((const Reals*)b)[below % row] : Reals{};
    for (int above = row; above <= below; above += row) EACH_LANE(l) t.v[l] -= number(bfloat16(t.v[l]));
    store(((Lanes<unsigned short>*)Wb)[u], t);
  }
}

// y = x in bfloat16.   n: how many numbers, a multiple of LANES
extern "C" __global__ void to_bfloat16(const real* __restrict__ x, unsigned short* __restrict__ y, int n) {
  LOOP(u, n / LANES) store(((Lanes<unsigned short>*)y)[u], ((const Reals*)x)[u]);
}
