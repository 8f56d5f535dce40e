// The paper's update (§5) of many parameters in one launch:   v <- momentum v - lr (decay w + g),   w <- w + v.
// Their elements are counted on from one to the next: first is the number of a parameter's own first one, a multiple of 4; n: how many it has.
// rate: where lr lies, if it is not given: in a step that is recorded (cuda/graph.py).
// Where LANES is 4, w, v and g lie at multiples of 16 bytes.
struct Move { real* w; real* v; const real* g; int first, n; real lr, decay; const real* rate; };
struct Moves { Move of[64]; };  // by value: a kernel's arguments may take 4 KB

extern "C" __global__ void sgd(Moves moves, int count, int elements, real momentum) {
  int i = 0;
  LOOP(u, (elements + LANES - 1) / LANES) {
    while (i + 1 < count && (int)u * LANES >= moves.of[i + 1].first) ++i;
    Move m = moves.of[i];
    if (m.rate) m.lr = *m.rate;
    const int at = (int)u * LANES - m.first;
    if (at + LANES <= m.n) {
      Reals W = *(Reals*)(m.w + at), V = *(Reals*)(m.v + at);
      const Reals G = *(const Reals*)(m.g + at);
      EACH_LANE(l) {
        V.v[l] = momentum * V.v[l] - m.lr * (m.decay * W.v[l] + G.v[l]);
        W.v[l] += V.v[l];
      }
      *(Reals*)(m.v + at) = V;
      *(Reals*)(m.w + at) = W;
    } else {
      for (int j = at; j < m.n; ++j) {
        m.v[j] = momentum * m.v[j] - m.lr * (m.decay * m.w[j] + m.g[j]);
        m.w[j] += m.v[j];
      }
    }
  }
}
