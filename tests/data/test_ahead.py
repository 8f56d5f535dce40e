"""Work ahead ends with the one it is done for."""

import threading

from minigrad.data.ahead import ahead


def test_work_not_yet_begun_is_dropped():
    begun, gate = [], threading.Event()

    def work(task):
        begun.append(task)
        if task == 1:
            gate.wait(5)
        return task

    results = ahead(work, range(50), 1, 10)
    assert next(results) == 0
    threading.Timer(0.02, gate.set).start()
    results.close()
    assert begun == [0, 1] or begun == [0]
    assert list(ahead(work, range(50), 3, 4)) == list(range(50))
    assert list(ahead(work, [], 3, 4)) == []
