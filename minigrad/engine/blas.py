"""BLAS held to one thread while worker threads compute: otherwise each of their products would start threads of its own."""

import os
import threading
from functools import cached_property


class OneBlasThread:
    """While at least one thread is inside, BLAS runs on a single thread; afterwards as it was before.

    `leave` may be called more often than `enter`. So a thread can call it twice, and a Ctrl-C that comes at the beginning of the first call
    does not leave BLAS on one thread."""

    def __init__(self):
        self.renew()

    def renew(self):
        self.lock, self.inside, self.limit = threading.Lock(), set(), None

    @cached_property
    def libraries(self):
        from threadpoolctl import ThreadpoolController  # looks through all loaded libraries, so not before it is needed

        return ThreadpoolController()

    def enter(self):
        with self.lock:
            self.inside.add(threading.get_ident())
            if self.limit is None:
                self.free_control()
                self.limit = self.libraries.limit(limits=1, user_api="blas")

    def leave(self):
        with self.lock:
            self.inside.discard(threading.get_ident())
            if not self.inside and self.limit is not None:
                self.free_control()
                self.limit.restore_original_limits()
                self.limit = None

    def free_control(self):
        """threadpoolctl (from 3.8 on) lets only the thread that set OpenBLAS's limit change it again, while that thread lives. Here the
        first that enters need not be the last that leaves, so each gives up control; `lock` and `inside` keep the order."""
        for library in self.libraries.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def after_fork(self):
        """In the child only one thread is left, and it is not inside."""
        limit = self.limit
        self.renew()
        if limit is not None:
            limit.restore_original_limits()


one_blas_thread = OneBlasThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=one_blas_thread.after_fork)
