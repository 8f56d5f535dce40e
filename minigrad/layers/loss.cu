// Softmax and cross-entropy together.   z, dz (N, K)     label, loss (N)
//   loss[n] = log(sum of exp(z[n])) - z[n, label[n]]          dz[n] = (softmax(z[n]) - onehot(label[n])) / N
// One block for each image; the number of threads is a power of two, at most 256. The labels were checked where they came in.
extern "C" __global__ void softmax_cross_entropy(const real* __restrict__ z, const long long* __restrict__ label,
                                                 real* __restrict__ loss, real* __restrict__ dz, int N, int K) {
  __shared__ real part[256];
  const int t = threadIdx.x, T = blockDim.x;
  for (int n = blockIdx.x; n < N; n += gridDim.x) {
    const real* row = z + (size_t)n * K;
    real most = row[0];
    for (int k = t; k < K; k += T) most = max(most, row[k]);
    part[t] = most;
    __syncthreads();
    for (int half = T / 2; half > 0; half /= 2) {
      if (t < half) part[t] = max(part[t], part[t + half]);
      __syncthreads();
    }
    most = part[0];  // subtracted below, so that exp cannot overflow
    __syncthreads();  // everybody has read part[0] before it is written again

    real sum = 0;
    for (int k = t; k < K; k += T) sum += exp(row[k] - most);
    part[t] = sum;
    __syncthreads();
    for (int half = T / 2; half > 0; half /= 2) {
      if (t < half) part[t] += part[t + half];
      __syncthreads();
    }
    sum = part[0];
    for (int k = t; k < K; k += T) dz[(size_t)n * K + k] = (exp(row[k] - most) / sum - (k == label[n] ? 1 : 0)) / N;
    if (t == 0) loss[n] = log(sum) + most - row[label[n]];
    __syncthreads();  // the next image uses part again
  }
}
