// What towers exchange: the channels of several side by side.

// y[row, to + c] = x[row, c].   x (rows, width)   y (rows, whole); width, whole and to are multiples of LANES
struct Beside { int rows, width, whole, to; };

extern "C" __global__ void put_beside(const real* __restrict__ x, real* __restrict__ y, Beside d) {
  const int width = d.width / LANES, whole = d.whole / LANES, to = d.to / LANES;
  LOOP(u, d.rows * width) ((Reals*)y)[(size_t)(u / width) * whole + to + u % width] = ((const Reals*)x)[u];
}
