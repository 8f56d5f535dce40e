"""Several processes train as one: `mpirun -n N` with the MPI of this environment. Without one these tests are skipped."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import ranks_program
from backends import NO_FAKE
from command_line import alexnet as in_process
from make_imagenet import class_folders
from narrow import Narrow
from safetensors.numpy import load_file

from alexnet import AlexNet
from minigrad import commands, ranks, training
from minigrad.training import history

BIN = Path(sys.executable).parent  # of the environment, where the MPIs of PyPI lie
ROOT = Path(__file__).parents[1]
MPIRUN = BIN / "mpirun"
OPEN_MPI = {  # needs to be told that it may run as root, and more processes than cores
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
LIMIT = 60  # seconds of a run

slow = pytest.mark.slow


@pytest.fixture(autouse=True)
def mpi():
    pytest.importorskip("mpi4py", reason='needs MPI: pip install -e ".[mpi]"')
    if not MPIRUN.exists():
        pytest.skip('needs an mpirun in this environment: pip install -e ".[mpi]"')


def start(size, *command, env=None):
    """A process of `mpirun -n size python command`; size 0: without the launcher."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | OPEN_MPI
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / folder) for folder in ("", "tests", "tests/cuda", "tests/cuda/fake"))
    environment |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PATIENCE": "1", "SILENCE": "20", "ENDS": "yes"} | (env or {})
    launcher = [MPIRUN, "-n", size] if size else []
    argv = [str(part) for part in (*launcher, sys.executable, *command)]
    streams = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(argv, env=environment, cwd=ROOT, start_new_session=True, **streams)


def run(size, *command, env=None):
    """The exit code, and all that was printed."""
    with start(size, *command, env=env) as process:
        try:
            out, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
            out, _ = process.communicate()
            pytest.fail(f"the run had not ended after {LIMIT} s; it had said: {out}")
    return process.returncode, out


def train(size, folder, event="", **options):
    return run(size, ROOT / "tests" / "ranks_program.py", folder, event, **options)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process, which knows nothing of MPI."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "draw", lambda *what: None)
        assert ranks_program.program(ranks.ALONE, folder) == 0
    return folder


def rows(folder):
    with open(folder / "history.csv") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_same(folder, other, tolerance):
    """The largest difference of an array, relative to its largest number."""
    a, b = (load_file(f / training.CHECKPOINT) for f in (folder, other))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(b[name], a[name], rtol=0, atol=tolerance * np.abs(a[name]).max(), err_msg=name)
    for row, twin in zip(rows(folder), rows(other), strict=True):
        for name in row.keys() - {"seconds", "images_per_second"}:
            assert twin[name] == (row[name] if "error" in name else pytest.approx(row[name], rel=1e-9)), name


def position(folder):
    """How many steps a run has made, by its position and by its network's count."""
    state = training.load_checkpoint(folder).metadata
    return state["epoch"] * 5 + state["batch"], state["step"]


# ---- the same run


def hybrid(team):
    """The environment of ranks of which so many share the fully connected layers; None: none."""
    return {"HYBRID": str(team)} if team else {}


@pytest.mark.parametrize(
    "size, team, runs",
    [
        (1, None, 1),
        (2, None, 1),
        (3, None, 2),
        (2, 2, 2),
        (4, 2, 1),
        pytest.param(4, None, 2, marks=slow),
        pytest.param(3, 3, 2, marks=slow),
    ],
)
def test_the_same_run(alone, tmp_path, size, team, runs):
    """The last batch of an epoch is one image: two of three ranks have none, and both of the first of two teams. Once more, and all bits
    are the same."""
    folders = [tmp_path / str(run) for run in range(runs)]
    for folder in folders:
        code, out = train(size, folder, env=hybrid(team))
        assert code == 0 and out.count(": train loss ") == 2, out  # rank 0 alone speaks
        assert_same(folders[0], folder, 0)
    assert_same(alone, folders[0], 1e-12)
    if size > 1:
        sent = json.loads((folders[0] / "traffic.json").read_text())
        assert sent == [expected_traffic(size, team or 1, rank) for rank in range(size)]


def share(N, ranks, rank):
    return slice(N * rank // ranks, N * (rank + 1) // ranks)


def expected_traffic(ranks, team, rank):
    """Bytes of gradients and of activations that a rank sends in ten steps and two validations, of batches of 7, 7, 7, 7 and 1 image."""
    convolutions = connected = 0
    for p in Narrow("tiny", num_classes=10).parameters():
        if ".fc" in p.name:
            owned = share(p.value.shape[-1], team, rank % team)
            connected += p.value[..., owned].size
        else:
            convolutions += p.value.size
    rings = Counter({ranks: 80 * convolutions})  # bytes in ten steps
    rings[ranks // team] += 80 * connected
    gradients = sum(2 * (size - 1) / size * nbytes for size, nbytes in rings.items())
    batches = [activations(N, ranks, team, rank) for N in (7, 7, 7, 7, 1)]
    forward, backward = (sum(numbers) for numbers in zip(*batches, strict=True))
    return [gradients, 8 * (4 * forward + 2 * backward + batches[0][0])]  # the first batch is looked at once more, for warnings


def activations(N, ranks, team, rank):
    """Numbers that a rank sends to the others of its team, forward and backward, for N images of all ranks."""
    first, mine, forward, backward = rank - rank % team, rank % team, 0, 0
    counts = [len(range(N)[share(N, ranks, r)]) for r in range(first, first + team)]

    def columns(width, r):  # of both towers
        return 2 * len(range(width)[share(width, team, r)])

    for other in set(range(team)) - {mine}:
        forward += counts[mine] * 2 * 2 * 16  # maps of conv5: 2 x 2 pixels, the channels of both towers
        backward += counts[other] * 2 * 2 * 16
        for width in (16, 16):  # of a tower's fc6 and fc7
            forward += sum(counts) * columns(width, mine)
            backward += sum(counts) * columns(width, other)
        forward += counts[other] * columns(5, mine)  # logits
        backward += counts[mine] * columns(5, other)
    return forward, backward


def test_stop_and_resume_with_other_numbers_of_ranks(alone, tmp_path):
    """SIGTERM to one rank: all finish the same step. Checkpoints do not tell who shared what."""
    for size, team, steps in ((3, None, 3), (2, 2, 6)):
        event = "if steps == 3 and rank == last: os.kill(os.getpid(), signal.SIGTERM)"
        code, out = train(size, tmp_path, event, env=hybrid(team))
        assert code == 130 and out.count("Stopped") == 1 and "so all ranks end" not in out, out
        assert position(tmp_path) == (steps, steps)
    assert train(0, tmp_path)[0] == 0
    assert_same(alone, tmp_path, 1e-12)


def test_kill_and_resume(alone, tmp_path):
    """kill -9 of one rank: the launcher ends the others, and the run goes on from its last checkpoint, here that of the first epoch."""
    event = "if steps == 8 and rank == 1: os.kill(os.getpid(), signal.SIGKILL)"
    code, _ = train(2, tmp_path, event, env=hybrid(2))
    assert code != 0 and position(tmp_path) == (5, 5)
    assert train(3, tmp_path, env=hybrid(3))[0] == 0
    assert_same(alone, tmp_path, 1e-12)


needs_fake = pytest.mark.skipif(bool(NO_FAKE), reason=NO_FAKE or "")


@needs_fake
@pytest.mark.parametrize(
    "device, nccl, team", [("0,1", None, 2), ("0,1", "own GPUs", None), ("0,0", "own GPUs", None), ("auto", "one machine", None)]
)
def test_gpus_make_the_same_run(alone, tmp_path, device, nccl, team):
    """Fake ones; gradients go through host memory, as activations do, or by a stand-in for NCCL. "auto" gives each rank one of its
    machine's two."""
    code, out = train(2, tmp_path, env={"DEVICE": device} | ({"NCCL": nccl} if nccl else {}) | hybrid(team))
    assert code == 0, out
    assert_same(alone, tmp_path, 1e-9)


@needs_fake
@pytest.mark.parametrize(
    "size, device, words", [(2, "1", "Ranks 0 and 1 would both use the GPU 0000:01:00.0 of "), (3, "auto", "has 2 GPUs for 3 processes")]
)
def test_gpus_that_two_ranks_would_share_are_named(tmp_path, size, device, words):
    code, out = train(size, tmp_path, env={"DEVICE": device, "NCCL": "one machine"})
    assert code == 1 and out.count("RankError: ") == out.count(words) == 1, out
    assert "so all ranks end" not in out


@needs_fake
@pytest.mark.parametrize("mistake", ["Nccl.finish = lambda self: None", "CudaDevice.record = lambda self: self.xp.cuda.Event()"])
def test_gpus_that_do_not_wait_are_noticed(alone, tmp_path, mistake):
    """Nobody waits for the sums, or they do not wait for the gradients, on GPUs that do as late as they may what they are told."""
    names = "from minigrad.cuda.nccl import Nccl\nfrom minigrad.cuda.device import CudaDevice\n"
    code, out = train(2, tmp_path, names + mistake, env={"DEVICE": "0", "NCCL": "own GPUs", "FAKE_CUDA_POLICY": "1"})
    if code == 0:
        with pytest.raises(AssertionError):
            assert_same(alone, tmp_path, 1e-9)
    else:
        assert "is nan" in out or "do not have the same weights" in out, out


# ---- failure is one sentence


def living(pid):
    """Whether a process runs, or only waits to be taken note of (Linux)."""
    try:
        return "State:\tZ" not in Path("/proc", pid, "status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("who, team", [("rank == 1", 3), ("rank == 0", None), ("rank > 0", None), ("True", 3)])
def test_an_error_ends_all_ranks(tmp_path, who, team):
    note = f"open({str(tmp_path)!r} + f'/{{os.getpid()}}.pid', 'w').close()"
    code, out = train(3, tmp_path, f"{note}\nif steps == 2 and {who}: raise ZeroDivisionError('planted')", env=hybrid(team))
    pids = [path.stem for path in tmp_path.glob("*.pid")]
    assert code == 1 and len(pids) == 3, out
    for _ in range(100):  # mpirun may return a moment before its last process has gone
        if not any(map(living, pids)):
            break
        time.sleep(0.1)
    assert not any(map(living, pids))
    assert out.count("ZeroDivisionError: planted") == 1, out
    first = 1 if who == "rank > 0" else 0 if who == "True" else int(who[-1])
    assert out.count("so all ranks end") == (who != "True") == out.count(f"rank {first} of 3 on "), out


def test_an_image_that_one_rank_cannot_read_is_everybodys_error(alone, tmp_path):
    """Saved first, told once, and nobody is aborted: the run goes on from there."""
    broken = "def pixels_of(self, numbers): raise OSError('a bad image')\nif steps == 1 and rank == 1: Loader.pixels_of = pixels_of"
    code, out = train(3, tmp_path, broken)
    assert code == 1 and out.count("OSError: a bad image") == 1 and "so all ranks end" not in out, out
    steps, count = position(tmp_path)
    assert 0 < steps == count < 10
    assert train(2, tmp_path)[0] == 0
    assert_same(alone, tmp_path, 1e-12)


def test_a_loss_that_is_no_number_is_told_once(tmp_path):
    """By all ranks, whichever had it, and before a weight is touched."""
    code, out = train(2, tmp_path, "if steps == 4 and rank == 1: next(net.parameters()).value[...] = float('nan')")
    assert code == 1 and out.count("TrainingError: The loss of batch 4 of epoch 1 is nan") == 1, out
    assert "so all ranks end" not in out


@pytest.mark.parametrize("size, team", [pytest.param(3, None, marks=slow), (4, 2)])
def test_a_rank_that_hangs_is_named(tmp_path, size, team):
    """Of two teams one waits for its other rank, and one for both of the first. The next one to hang has itself waited before."""
    event = "if (steps, rank) in ((2, 1), (4, 0)): time.sleep(4)"
    code, out = train(size, tmp_path, event, env={"SILENCE": "1.5", "ENDS": ""} | hybrid(team))
    assert code == 0 and out.count("Nothing has come") == 2, out
    for rank in (1, 0):
        assert out.count(f"Nothing has come from rank {rank} of {size} on ") == 1, out


def test_ranks_that_wait_for_each_other_say_so(tmp_path):
    """One without images leaves out an exchange of its team, in which the other waits for it, while itself it waits for the next sum."""
    event = "if rank == 0: net.without_images = lambda done=None: done and type(net).without_images(net, done)"
    code, out = train(2, tmp_path, event, env={"SILENCE": "2"} | hybrid(2))
    assert code != 0 and out.count("All 2 ranks have waited for one another for 2.0 s") == 1, out
    assert "Nothing has come" not in out, out


def test_a_rank_that_never_arrives_is_missed(tmp_path):
    late = tmp_path / "late.py"
    late.write_text(
        "import os, time\nimport minigrad.ranks.mpi as mpi, minigrad.ranks as r\nmpi.SILENCE = 0.5\n"
        "time.sleep(2 * int(os.environ.get('PMI_RANK', os.environ.get('OMPI_COMM_WORLD_RANK', 0))))\nr.join()\n"
    )
    code, out = run(2, late)
    assert code == 0 and out.count("After 0.5 s not all of the 2 processes have begun") == 1, out


# ---- the command line


def alexnet(size, *arguments, **options):
    return run(size, "alexnet.py", *arguments, **options)


def refused(size, *arguments, **options):
    code, out = alexnet(size, *arguments, **options)
    assert code == 2, out
    return sentence(out)


def sentence(out):
    """The one line that was said; Open MPI's launcher adds lines of its own."""
    own, launcher, _ = out.partition("-" * 70)
    assert own.count("\n") == 1 and own.startswith("alexnet.py: "), out
    return own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("three")
    class_folders(root, images=24, classes=3, width=40, height=36, odd=0)
    return root


def test_prepare_train_and_evaluate(folder, tmp_path, monkeypatch, capsys):
    """As one process does it; weights in float32 nearly."""
    monkeypatch.setattr(history, "draw", lambda *what: None)
    assert in_process("prepare", "--data", folder, "--out", tmp_path / "alone", "--size", "32") == 0
    code, out = alexnet(2, "prepare", "--data", folder, "--out", tmp_path / "many", "--size", "32")
    assert code == 0 and out.count(" is ready: ") == 1, out
    files = {path.name for path in (tmp_path / "alone").iterdir()}
    assert files == {path.name for path in (tmp_path / "many").iterdir()}
    for name in files - {"set.json"}:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "many" / name).read_bytes(), name
    training_run = ("--data", tmp_path / "many", "--epochs", "1", "--batch-size", "7", "--augment", "--output")
    assert in_process(*training_run, tmp_path / "run of one") == 0
    code, out = alexnet(2, *training_run, tmp_path / "run", "--hybrid")
    assert code == 0 and out.count("in each of 2 processes") == 1 == out.count("The run is in"), out
    assert "2 share the fully connected layers: a step sends 0.6 MB from each, not 2.1 MB" in out
    assert rows(tmp_path / "run")[0]["train_loss"] == pytest.approx(rows(tmp_path / "run of one")[0]["train_loss"], rel=1e-4)
    assert "holds a run already" in refused(2, "--data", tmp_path / "many", "--output", tmp_path / "run")
    evaluation = ("evaluate", "--checkpoint", tmp_path / "run", "--batch-size", "3", "--output")
    assert in_process(*evaluation, tmp_path / "one") == 0
    code, out = alexnet(2, *evaluation, tmp_path / "two")
    assert code == 0 and out.count("top-1 error") == 4, out
    one, two = (np.load(tmp_path / name / "probabilities.npy") for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=1e-4)


def test_benchmark(tmp_path):
    arguments = ("benchmark", "--variant", "small", "--classes", "10", "--batch-size", "4", "--steps", "1")
    code, out = alexnet(2, *arguments)
    assert code == 0 and "small, batch 4 over 2 ranks on 1 machine" in out, out
    assert "a step sends 2.1 MB from each rank, counted" in out
    code, out = alexnet(2, *arguments, "--hybrid")
    assert code == 0 and "a step sends 0.5 MB from each rank, counted: 0.5 MB of gradients, 0.0 MB of activations in teams of 2" in out, out
    assert "by the formula 0.5 MB and 0.0 MB; without --hybrid 2.1 MB of gradients" in out


def test_one_sentence(folder, tmp_path):
    assert "There is no checkpoint" in refused(2, "--resume", tmp_path / "none")
    assert "2 processes cannot be 3 to a team" in refused(2, "--synthetic", "--hybrid", "3")
    assert "do not have the same command line" in refused(1, "--lr", "1", ":", "-n", "1", sys.executable, "alexnet.py", "--lr", "2")


def test_what_is_for_one_process(capsys):
    class Two(ranks.Ranks):
        size = 2

        def all(self, value):
            return [value] * 2

    for argv, words in (
        (["summary"], "summary is the work of one process"),
        (["--plain"], "--plain computes in one process"),
        (["--accumulate", "2"], "--accumulate is for one process"),
    ):
        assert commands.run(AlexNet, argv, Two()) == 2
        assert words in capsys.readouterr().err
    assert commands.run(AlexNet, ["--synthetic", "--hybrid"]) == 2
    assert "nobody to share layers with: start several" in capsys.readouterr().err


def test_a_network_that_cannot_be_shared_is_told_before_data_are_read(monkeypatch, capsys):
    class Teamed(ranks.Ranks):
        team = "of two"

    class Odd(Narrow):
        def share_columns(self, team):
            raise ValueError(f"nothing for the team {team}")

    monkeypatch.setattr(commands.datasets, "load_data", None)
    assert commands.run(Odd, [], Teamed()) == 2
    assert "--hybrid: nothing for the team of two." in capsys.readouterr().err


def test_ranks_with_other_data_are_told_before_training(folder, tmp_path):
    other = tmp_path / "other"
    class_folders(other, images=24, classes=3, width=40, height=36, odd=0)
    next((other / "train").glob("*/*")).unlink()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "data").symlink_to(folder)
    (tmp_path / "two" / "data").symlink_to(other)
    program = ROOT / "alexnet.py"
    where = f"{str(tmp_path)!r} + ('/one', '/two')[int(os.environ.get('PMI_RANK') or os.environ['OMPI_COMM_WORLD_RANK'])]"
    launched = ("-c", f"import os, runpy; os.chdir({where}); runpy.run_path({str(program)!r}, run_name='__main__')")
    code, out = run(2, *launched, "--data", "data", "--output", tmp_path / "run")
    assert code == 2 and "do not have the same data" in sentence(out)
    assert not (tmp_path / "run").exists()


def test_ctrl_c(tmp_path):
    if "Open MPI" in subprocess.run([MPIRUN, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("Open MPI's launcher kills its processes half a second after Ctrl-C, and what they say is lost")
    arguments = ("alexnet.py", "--synthetic", "--epochs", "50", "--batch-size", "8", "--output", tmp_path / "run")
    with start(2, *arguments) as process:
        said = iter(process.stdout.readline, "")
        assert any(line.startswith("epoch 1/50, batch ") for line in said)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, _ = process.communicate(timeout=60)
    assert out.count("Stopped; the run was saved in") == 1 and f"--resume {tmp_path / 'run'}" in out, out
    steps, count = position(tmp_path / "run")
    assert 0 < steps == count


# ---- without MPI, or with another one


def test_without_mpi4py_it_is_said_once(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('planted')")
    out = refused(2, "--synthetic", env={"PYTHONPATH": str(tmp_path)})
    assert out.startswith("alexnet.py: 2 processes were started, but mpi4py cannot be used here (planted): pip install")


@pytest.mark.parametrize("launcher", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_the_launcher_of_another_mpi(launcher):
    """Each process would be alone, and do the same as the others."""
    assert "4 processes were started" in refused(0, "--synthetic", env={launcher: "4"})


def test_one_process_does_not_look_for_mpi():
    code = "import sys, minigrad.commands, minigrad.ranks as r; assert r.join() is r.ALONE; print('mpi4py' in sys.modules)"
    assert run(0, "-c", code) == (0, "False\n")
