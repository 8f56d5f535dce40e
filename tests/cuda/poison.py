"""A hook of CuPy's memory: an element that nobody wrote is seen."""

import cupy


class Poison(cupy.cuda.memory_hook.MemoryHook):
    """Whatever the memory pool hands out is NaN, or 255, in the order of the stream that it is for; memory that is used again, too."""

    name = "poison"

    def malloc_postprocess(self, *, device_id, size, mem_size, mem_ptr, pmem_id):
        if mem_ptr:
            cupy.cuda.runtime.memsetAsync(mem_ptr, 0xFF, mem_size, cupy.cuda.get_current_stream().ptr)
