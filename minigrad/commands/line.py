"""The command line of a network: its words, and what is said when something goes wrong."""

import logging
import shlex
import sys
import warnings
from functools import partial

import numpy as np

import minigrad
from minigrad import data, training
from minigrad.commands import benchmark, evaluate, experiment, explore, export, figures, predict, prepare, scale, summary, train
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import program
from minigrad.commands.options import command_line
from minigrad.commands.streams import let_go_of_output, usable_streams
from minigrad.cuda.graph import CannotRecord
from minigrad.names import shown
from minigrad.ranks import ALONE, RankError, join

COMMANDS = {
    "train": train.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "prepare": prepare.command,
    "figures": figures.command,
    "explore": explore.command,
    "experiment": experiment.command,
    "export": export.command,
    "summary": summary.command,
    "benchmark": benchmark.command,
    "scale": scale.command,
}
SHARED = ("train", "evaluate", "prepare", "benchmark")  # words whose work several processes share


def one_line(name, message, *_, **__):
    """Show a warning without the place in the code that it comes from."""
    print(f"{name}: {shown(message)}", file=sys.stderr)


def main(Network):
    """The whole program of a class of networks: runs what the command line of this process asks for, and ends the process."""
    try:
        ranks = join()
    except RankError as error:
        with usable_streams():
            print(f"{program(Network)}: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(ranks.run(lambda: run(Network, sys.argv[1:], ranks)))


def run(Network, argv, ranks=ALONE):
    """Run the command line `argv`, a list of texts; returns the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C.

    ranks: the processes that share the work."""
    with usable_streams():
        arguments = None
        logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what it logs of broken files names no file
        try:
            arguments = parsed(Network, argv)
            arguments.ranks = ranks
            alike(ranks, argv, arguments.word)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)  # a loss that blows up is told in one sentence
                warnings.filterwarnings("ignore", module=r"PIL\.")  # they name no file; `data` says what matters
                warnings.showwarning = partial(one_line, program(Network))
                code = COMMANDS[arguments.word](Network, arguments)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # `| head` has read enough; what is left must not be flushed into it when Python ends
            let_go_of_output()
            return 0
        except (UsageError, RankError, CannotRecord, data.DataError, training.TrainingError) as error:
            sentence = shown(error).replace("\n", "\\n")
            print(f"{program(Network)}: {sentence}", file=sys.stderr)
            return 2
        except MemoryError as error:
            advice = ": a smaller --batch-size needs less" if hasattr(arguments, "batch_size") else ""
            print(f"{program(Network)}: There is not enough memory ({error or 'Python gives no number'}){advice}.", file=sys.stderr)
            return 2
        except OSError as error:  # what no command has foreseen: a disk that is full, no descriptors left, a library's own files
            let_go_of_output()
            print(
                f"{program(Network)}: {error.filename or 'A file'} cannot be read or written: {error.strerror or error}.", file=sys.stderr
            )
            return 2
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            print(f"{program(Network)}: No more threads can be started here: raise the limit (ulimit -u), or end others.", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130


def alike(ranks, argv, word):
    """Raises RankError unless all ranks were started alike, UsageError for a word that is for one process."""
    ranks.same("command line", shlex.join(argv) or "nothing")
    ranks.same("versions", f"minigrad {minigrad.__version__}, NumPy {np.__version__}")
    if ranks.size > 1 and word not in SHARED:
        raise UsageError(f"{word} is the work of one process: start it without the launcher (several share {', '.join(SHARED)}).")


def parsed(Network, argv):
    """The options that `argv` gives; the word is `train` if it names none."""
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    return command_line(Network).parse_args(argv)
