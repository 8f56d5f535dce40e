"""Ctrl-C between two pieces of work, never within one: what a step has changed, it has changed whole.

Python raises KeyboardInterrupt between any two of its instructions, so that no order of lines alone keeps weights, counters and BLAS's
number of threads together."""

import signal
import threading


class Whole:
    """While entered, the first Ctrl-C waits for the end; the second raises KeyboardInterrupt at once.

    So it is where Ctrl-C raises KeyboardInterrupt, as in a notebook. Where somebody else handles the signal, or in another thread than the
    main one, which alone receives it, nothing is changed. One inside another waits for the outer one."""

    def __enter__(self):
        self.waiting = self.ours = False
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.ours = True
            signal.signal(signal.SIGINT, self.receive)
        return self

    def receive(self, number, frame):
        if self.waiting:
            raise KeyboardInterrupt
        self.waiting = True

    def __exit__(self, kind, error, trace):
        if self.ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self.waiting and kind is None:
                raise KeyboardInterrupt
