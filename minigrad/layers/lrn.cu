// Local response normalisation (paper §3.3) over the channels of each pixel:
//   s[c] = k + alpha * sum of x[j]^2 for |j - c| <= half          y[c] = x[c] * s[c]^-beta
// x, y, dy, dx (rows, C): a row is one pixel. s is not kept; backward computes it again from x.
// relu: x stands for max(x, 0), and dx is the gradient of what is in memory
struct Lrn { int rows, C, half, relu; real k, alpha, beta; };

// s^-beta. The paper's 3/4 without pow: with r = s^-1/2 it is r r r^-1/2.
__device__ inline real power(real s, real beta) {
  if (beta != (real)0.75) return pow(s, -beta);
  const real r = rsqrt(s);
  return r * r * rsqrt(r);
}

// ---- windows of HALF channels to each side, as the paper's: a thread holds all that it needs in registers.
// Read one by one, each number would be fetched five times over, and backward fifteen.
constexpr int HALF = 2, OWN = 2 * HALF, GROUPS = (OWN + LANES + OWN) / LANES;

// Channels c - OWN .. c + LANES + OWN - 1 of a row, 0 where there are none: a thread's own from OWN on, their windows, and the windows
// of those.
struct Near { real v[GROUPS * LANES]; };

__device__ inline Near near(const real* row, int c, int C, bool relu) {
  Near x;
  for (int g = 0; g < GROUPS; ++g) {
    const int first = c - OWN + g * LANES;
    const Reals t = first >= 0 && first < C ? *(const Reals*)(row + first) : Reals{};
    EACH_LANE(l) x.v[g * LANES + l] = relu && t.v[l] < 0 ? 0 : t.v[l];
  }
  return x;
}

__device__ inline real near_norm(const Near& x, int j, Lrn d) {
  real sum = 0;
  for (int i = -HALF; i <= HALF; ++i) sum += x.v[j + i] * x.v[j + i];
  return d.k + d.alpha * sum;
}

__device__ inline Reals near_forward(const real* row, int c, Lrn d) {
  const Near x = near(row, c, d.C, d.relu);
  Reals y;
  EACH_LANE(l) y.v[l] = x.v[OWN + l] * power(near_norm(x, OWN + l, d), d.beta);
  return y;
}

__device__ inline Reals near_backward(const real* row, const Near& dy, int c, Lrn d) {
  const Near x = near(row, c, d.C, d.relu);
  Reals dx = {}, pull = {};
  for (int j = OWN - HALF; j < OWN + LANES + HALF; ++j) {
    if (c + j < OWN || c + j >= d.C + OWN) continue;
    const real s = near_norm(x, j, d), g = dy.v[j] * power(s, d.beta), t = g * x.v[j] / s;
    EACH_LANE(l) {
      if (j == OWN + l) dx.v[l] = g;
      if (j - OWN - l <= HALF && OWN + l - j <= HALF) pull.v[l] += t;
    }
  }
  EACH_LANE(l) {
    dx.v[l] -= 2 * d.alpha * d.beta * x.v[OWN + l] * pull.v[l];
    if (d.relu && !(x.v[OWN + l] > 0)) dx.v[l] = 0;
  }
  return dx;
}

// ---- windows of any size

__device__ inline real one(const real* row, int j, Lrn d) { return d.relu && row[j] < 0 ? 0 : row[j]; }

__device__ inline real norm(const real* row, int c, Lrn d) {
  real sum = 0;
  for (int j = max(0, c - d.half); j <= min(d.C - 1, c + d.half); ++j) sum += one(row, j, d) * one(row, j, d);
  return d.k + d.alpha * sum;
}

__device__ inline Reals wide_forward(const real* row, int c, Lrn d) {
  Reals y;
#pragma unroll  // else y would lie in slow local memory
  EACH_LANE(l) y.v[l] = one(row, c + l, d) * power(norm(row, c + l, d), d.beta);
  return y;
}

__device__ inline Reals wide_backward(const real* row, const real* drow, int c, Lrn d) {
  Reals dx = {}, pull = {};
  for (int j = max(0, c - d.half); j <= min(d.C - 1, c + LANES - 1 + d.half); ++j) {
    const real s = norm(row, j, d), g = drow[j] * power(s, d.beta), t = g * one(row, j, d) / s;
    EACH_LANE(l) {
      if (j == c + l) dx.v[l] = g;
      if (abs(j - c - l) <= d.half) pull.v[l] += t;
    }
  }
  EACH_LANE(l) {
    dx.v[l] -= 2 * d.alpha * d.beta * one(row, c + l, d) * pull.v[l];
    if (d.relu && !(row[c + l] > 0)) dx.v[l] = 0;
  }
  return dx;
}

extern "C" __global__ void lrn_forward(const real* __restrict__ x, real* __restrict__ y, Lrn d) {
  const int groups = d.C / LANES;
  LOOP(u, d.rows * groups) {
    const real* row = x + (size_t)(u / groups) * d.C;
    const int c = u % groups * LANES;
    ((Reals*)y)[u] = d.half == HALF ? near_forward(row, c, d) : wide_forward(row, c, d);
  }
}

// dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] * sum of dy[j] x[j] s[j]^(-beta-1) for |j - c| <= half
extern "C" __global__ void lrn_backward(const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ dx, Lrn d) {
  const int groups = d.C / LANES;
  LOOP(u, d.rows * groups) {
    const size_t at = (size_t)(u / groups) * d.C;
    const int c = u % groups * LANES;
    ((Reals*)dx)[u] = d.half == HALF ? near_backward(x + at, near(dy + at, c, d.C, false), c, d) : wide_backward(x + at, dy + at, c, d);
  }
}
