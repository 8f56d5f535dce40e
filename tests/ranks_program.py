"""What tests/test_ranks.py starts with `mpirun`: ten steps of float64 training, with dropout and augmentation; 29 images in batches of 7,
the last of one image alone.

ranks_program.py FOLDER [EVENT]: the run goes on where the one in FOLDER stands. EVENT is Python, executed before every forward; `steps` is
the number of the training step from 1, `rank` that of the process, `last` the highest rank. The environment's DEVICE, such as 0, is one of
the fake GPUs, with NCCL also a stand-in for that; HYBRID, such as 2, how many ranks share the fully connected layers. What a whole run has
sent is in traffic.json. With ENDS, ranks that wait for SILENCE seconds say so and end."""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from narrow import Narrow

from minigrad import SGD, SoftmaxCrossEntropy, optim, training
from minigrad.data import Loader
from minigrad.ranks import join, mpi
from minigrad.training import history, loop

IMAGES, LABELS = np.random.default_rng(3).integers(0, 256, (29, 28, 28, 1), np.uint8), np.arange(29) % 10


class Images:
    """The images one by one, as a folder has them; `read` are the numbers of those that were asked for."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, i):
        self.read.append(int(i))
        return IMAGES[i]


def program(ranks, output, event="", epochs=2):
    names = {"steps": 0, "rank": ranks.rank, "last": ranks.size - 1, "os": os, "signal": signal, "time": time, "Loader": Loader}
    images = Images()

    def loader(shuffle):
        return Loader(images, LABELS, 7, mean=np.full((28, 28, 1), 128), shuffle=shuffle, augment=shuffle, share=ranks.share)

    net = Narrow("tiny", ranks.deal(os.environ.get("DEVICE", "cpu"), 2), 10).astype("float64")
    forward, infer, names["net"] = net.forward, net.infer, net

    def counting(x):
        if net.training:
            names["steps"] += 1
            exec(event, names)
        return forward(x.astype("float64"))

    net.forward = counting
    net.infer = lambda x: infer(x.astype("float64"))
    loss = SoftmaxCrossEntropy().to(net.device)
    if "HYBRID" in os.environ and ranks.size > 1:
        ranks.divide(int(os.environ["HYBRID"]))
        net.share_columns(ranks.team)
    assert ("NCCL" in os.environ) == ("NCCL" in ranks.use(net.towers.devices))
    there = os.path.exists(os.path.join(output, training.CHECKPOINT))
    old = ranks.told(lambda: training.load_checkpoint(output) if there else None)
    try:
        training.train(
            net,
            loss,
            SGD(net.parameters(), 0.01),
            optim.Constant(0.01),
            loader(True),
            loader(False),
            epochs=epochs,
            output=output,
            config={"init": "2012"},
            checkpoint=old,
            ranks=ranks,
        )
    except training.Interrupted as stop:
        print(stop, file=sys.stderr)
        return 130
    everybody = ranks.all(getattr(ranks, "traffic", None))
    ranks.told(lambda: Path(output, "traffic.json").write_text(json.dumps(everybody)))
    # Each training image is read by one rank in an epoch, and once more by one for validation; the first image tells the size.
    assert sorted(sum(ranks.all(images.read[:]), [])) == sorted([*range(29)] * 2 * epochs + [0] * 2 * ranks.size) or old is not None
    return 0


if __name__ == "__main__":
    if "DEVICE" in os.environ:
        backends = importlib.import_module("backends")
        gpus = backends.fake()
        gpus.reset(backends.SEED)
        gpus.set(devices=2, policy=backends.POLICY)
        importlib.import_module("fake_nccl").install("NCCL" in os.environ, os.environ.get("NCCL") == "own GPUs")
    mpi.PATIENCE, mpi.SILENCE = (float(os.environ.get(name, getattr(mpi, name))) for name in ("PATIENCE", "SILENCE"))
    if os.environ.get("ENDS"):
        missed = mpi.MpiRanks.name_missing
        mpi.MpiRanks.name_missing = lambda self: (missed(self), time.sleep(1), self.comm.Abort(3))  # the launcher passes it on meanwhile
    ranks = join()
    history.draw = lambda *what: None  # which takes most of the time
    if ranks.rank > 0:  # rank 0 alone writes
        loop.save_checkpoint = loop.write_config = loop.write_history = history.draw = lambda *what: os._exit(3)
    sys.exit(ranks.run(lambda: program(ranks, *sys.argv[1:])))
