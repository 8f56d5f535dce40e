// The paper's update (§5) of one parameter in a single pass:   v <- momentum v - lr (decay w + g),   w <- w + v.
// n: the number of elements, a multiple of LANES
extern "C" __global__ void sgd(real* __restrict__ w, real* __restrict__ v, const real* __restrict__ g, int n, real lr, real decay,
                               real momentum) {
  LOOP(u, n / LANES) {
    Reals W = ((Reals*)w)[u], V = ((Reals*)v)[u];
    const Reals G = ((const Reals*)g)[u];
    EACH_LANE(l) {
      V.v[l] = momentum * V.v[l] - lr * (decay * W.v[l] + G.v[l]);
      W.v[l] += V.v[l];
    }
    ((Reals*)v)[u] = V;
    ((Reals*)w)[u] = W;
  }
}
