"""Ctrl-C, SIGTERM and SIGHUP end a run between two steps, never within one, so that the run can be saved and resumed."""

import signal
import threading


class Stopped(Exception):
    """A signal has asked for the end of the run."""


class Signals:
    """While entered, the first Ctrl-C, SIGTERM or SIGHUP waits for the end of a step; the second raises KeyboardInterrupt at once. A SIGHUP
    that is ignored, as under nohup, stays so.

    Signals belong to the main thread; in any other, nothing is changed."""

    def __enter__(self):
        self.received = False
        self.handlers = {}
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGINT, signal.SIGTERM]
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
                numbers.append(signal.SIGHUP)
            for number in numbers:
                self.handlers[number] = signal.signal(number, self.receive)
        return self

    def receive(self, number, frame):
        if self.received:
            raise KeyboardInterrupt
        self.received = True

    def __exit__(self, *exception):
        for number, handler in self.handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def check(self):
        """Raises Stopped once a signal has come."""
        if self.received:
            raise Stopped
