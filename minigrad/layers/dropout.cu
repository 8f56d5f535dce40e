// Dropout with a mask that is computed and not stored: dropout.py's Philox 4x32-10, bit for bit.
//   counter = (unit / 4, image, step)     key = 64 bits of the layer     word = unit % 4
// A unit's mask depends on its place in the whole layer and the whole batch, not on who computes it.
struct Dropout { int images, first_image, units, first_unit, relu; unsigned key_low, key_high; unsigned long long threshold; real scale; const unsigned long long* at; };

struct Words { unsigned w[4]; };

__device__ inline Words philox(unsigned a, unsigned b, unsigned c, unsigned d, unsigned key0, unsigned key1) {
  for (int round = 0; round < 10; ++round) {
    const unsigned long long p = 0xD2511F53ull * a, q = 0xCD9E8D57ull * c;
    a = (unsigned)(q >> 32) ^ b ^ key0;
    b = (unsigned)q;
    c = (unsigned)(p >> 32) ^ d ^ key1;
    d = (unsigned)p;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return Words{{a, b, c, d}};
}

// y[n, u] = x[n, u] * scale where the unit's bits are at least threshold = p * 2^32, else 0.
// Backward is the same kernel applied to dy. x, z, y (images, units); units and first_unit are multiples of LANES.
// at: where the step's number lies, if it is not given: in a step that is recorded (cuda/graph.py).
// relu: 0 also where z, what came in forward, is not above 0 (a NaN passes): there max(x, 0) is dropped out, and back comes its gradient.
extern "C" __global__ void dropout(const real* __restrict__ x, const real* __restrict__ z, real* __restrict__ y, Dropout d,
                                   unsigned long long step) {
  const int groups = d.units / LANES;
  if (d.at) step = *d.at;
  LOOP(u, d.images * groups) {
    const unsigned unit = d.first_unit + u % groups * LANES;
    const Words bits = philox(unit / 4, d.first_image + u / groups, (unsigned)step, (unsigned)(step >> 32), d.key_low, d.key_high);
    Reals t = ((const Reals*)x)[u];
    if (d.relu) {
      const Reals before = ((const Reals*)z)[u];
      EACH_LANE(l) if (before.v[l] <= 0) t.v[l] = 0;
    }
    EACH_LANE(l) {
      const unsigned word = LANES == 4 ? l : unit % 4;
      const unsigned b = word == 0 ? bits.w[0] : word == 1 ? bits.w[1] : word == 2 ? bits.w[2] : bits.w[3];
      t.v[l] = b >= d.threshold ? t.v[l] * d.scale : t.v[l] < 0 ? -(real)0 : 0;  // never a product: infinity times 0 is NaN
    }
    ((Reals*)y)[u] = t;
  }
}
