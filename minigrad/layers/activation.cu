// Elementwise functions; each backward needs only the output y.   n: the number of elements, a multiple of LANES

extern "C" __global__ void relu_forward(const real* __restrict__ x, real* __restrict__ y, int n) {
  LOOP(u, n / LANES) ((Reals*)y)[u] = rectified(((const Reals*)x)[u]);
}

extern "C" __global__ void relu_backward(const real* __restrict__ y, const real* __restrict__ dy, real* __restrict__ dx, int n) {
  LOOP(u, n / LANES) ((Reals*)dx)[u] = where_positive(((const Reals*)y)[u], ((const Reals*)dy)[u]);
}

extern "C" __global__ void tanh_forward(const real* __restrict__ x, real* __restrict__ y, int n) {
  LOOP(u, n / LANES) {
    Reals t = ((const Reals*)x)[u];
    EACH_LANE(l) t.v[l] = tanh(t.v[l]);
    ((Reals*)y)[u] = t;
  }
}

extern "C" __global__ void tanh_backward(const real* __restrict__ y, const real* __restrict__ dy, real* __restrict__ dx, int n) {
  LOOP(u, n / LANES) {
    const Reals t = ((const Reals*)y)[u];
    Reals g = ((const Reals*)dy)[u];
    EACH_LANE(l) g.v[l] *= 1 - t.v[l] * t.v[l];
    ((Reals*)dx)[u] = g;
  }
}
