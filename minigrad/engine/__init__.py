"""How a CPU computes fast: memory used again, worker threads with BLAS held to one thread each, batches cut into slabs that stay in the
processor's cache, and convolutions with fewer copies and fewer multiplications. It knows arrays, and nothing of the rest of minigrad."""
