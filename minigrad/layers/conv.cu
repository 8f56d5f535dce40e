// Convolution is a matrix product over patches. These kernels are all it needs beside the product: they lay the patches of a chunk
// of images out as a matrix, sum such a matrix back into images, and put the bias below the weights.
//   x, dx (N, H, W, C)     patches, dpatches (N * OH * OW, columns)     columns >= K * K * C, a multiple of 4
// relu: whether it is max(x, 0) that the convolution sees
struct Conv { int N, H, W, C, K, S, top, left, OH, OW, columns, relu; };

// patches[(n, r, q), (i, j, c)] = x[n, r S + i - top, q S + j - left, c], or 0 outside the image.
// Further columns hold 1, 0, 0, ...: the 1 meets the bias.
// A thread follows one column (LANES of them) along a line of outputs: its divisions are paid once for OW patches, and
// neighbouring threads touch neighbouring addresses on both sides, because (j, c) is one run of memory in x.
extern "C" __global__ void im2col(const real* __restrict__ x, real* __restrict__ patches, Conv d) {
  const int C = d.C / LANES, columns = d.columns / LANES, filled = d.K * d.K * C;
  LOOP(u, d.N * d.OH * columns) {
    const int column = u % columns, line = u / columns;
    Reals* out = (Reals*)patches + (size_t)line * d.OW * columns + column;
    if (column >= filled) {
      Reals fill = {};
      if (column == filled) fill.v[0] = 1;
      for (int q = 0; q < d.OW; ++q) out[(size_t)q * columns] = fill;
      continue;
    }
    const int c = column % C, j = column / C % d.K, i = column / C / d.K;
    const int n = line / d.OH, h = line % d.OH * d.S + i - d.top;
    const Reals* in = (const Reals*)x + (((ptrdiff_t)n * d.H + h) * d.W) * C + c;
    for (int q = 0; q < d.OW; ++q) {
      const int w = q * d.S + j - d.left;
      const bool inside = h >= 0 && h < d.H && w >= 0 && w < d.W;
      const Reals t = inside ? in[(ptrdiff_t)w * C] : Reals{};
      out[(size_t)q * columns] = d.relu ? rectified(t) : t;
    }
  }
}

// Where a number of x comes from along a line of outputs: row is its place at w = 0. filled: it is no number of x, but `value`.
struct Source { ptrdiff_t row; int w; bool inside, filled; real value; };
struct Sources { Source of[LANES]; };

// The same for images whose channels are no multiple of LANES, the colours above all: the columns still are one. A thread writes LANES of them
// at once, and reads each for itself.
extern "C" __global__ void im2col_of_few_channels(const real* __restrict__ x, real* __restrict__ patches, Conv d) {
  const int columns = d.columns / LANES, filled = d.K * d.K * d.C;
  LOOP(u, d.N * d.OH * columns) {
    const int group = u % columns, line = u / columns, n = line / d.OH, r = line % d.OH;
    Sources from;
    EACH_LANE(l) {
      const int column = group * LANES + l, c = column % d.C, j = column / d.C % d.K, i = column / d.C / d.K, h = r * d.S + i - d.top;
      from.of[l].filled = column >= filled;
      from.of[l].value = column == filled ? 1 : 0;
      from.of[l].inside = h >= 0 && h < d.H;
      from.of[l].w = j - d.left;
      from.of[l].row = ((ptrdiff_t)n * d.H + h) * d.W * d.C + c;
    }
    Reals* out = (Reals*)patches + (size_t)line * d.OW * columns + group;
    for (int q = 0; q < d.OW; ++q) {
      Reals t;
      EACH_LANE(l) {
        const Source s = from.of[l];
        const int w = q * d.S + s.w;
        t.v[l] = s.filled ? s.value : s.inside && w >= 0 && w < d.W ? x[s.row + (ptrdiff_t)w * d.C] : 0;
      }
      out[(size_t)q * columns] = d.relu ? rectified(t) : t;
    }
  }
}

// dx[n, h, w, c] = the sum of dpatches over every patch that holds this pixel. A gather: no atomics, and always the same order.
// x is read for relu alone.
extern "C" __global__ void col2im(const real* __restrict__ dpatches, const real* __restrict__ x, real* __restrict__ dx, Conv d) {
  const int C = d.C / LANES, columns = d.columns / LANES;
  LOOP(u, d.N * d.H * d.W * C) {
    const int c = u % C, w = u / C % d.W + d.left, h = u / C / d.W % d.H + d.top, n = u / C / d.W / d.H;
    Reals sum = {};
    for (int r = first_window(h, d.K, d.S); r <= min(h / d.S, d.OH - 1); ++r)
      for (int q = first_window(w, d.K, d.S); q <= min(w / d.S, d.OW - 1); ++q) {
        const int i = h - r * d.S, j = w - q * d.S;
        const size_t patch = ((size_t)n * d.OH + r) * d.OW + q;
        const Reals t = ((const Reals*)dpatches)[patch * columns + (i * d.K + j) * C + c];
        EACH_LANE(l) sum.v[l] += t.v[l];
      }
    ((Reals*)dx)[u] = d.relu ? where_positive(((const Reals*)x)[u], sum) : sum;
  }
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
