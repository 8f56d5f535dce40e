"""The command line of a network: its words, and what is said when something goes wrong."""

import os
import sys
import warnings

from minigrad import data, training
from minigrad.commands import benchmark, evaluate, experiment, export, figures, predict, prepare, summary, train
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import program
from minigrad.commands.options import command_line

COMMANDS = {
    "train": train.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "prepare": prepare.command,
    "figures": figures.command,
    "experiment": experiment.command,
    "export": export.command,
    "summary": summary.command,
    "benchmark": benchmark.command,
}


def main(Network):
    """The whole program of a class of networks: runs what the command line of this process asks for, and ends the process."""
    sys.exit(run(Network, sys.argv[1:]))


def run(Network, argv):
    """Run the command line `argv`, a list of texts; returns the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C."""
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    try:
        arguments = command_line(Network).parse_args(argv)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)  # a loss that blows up is told in one sentence
            code = COMMANDS[arguments.word](Network, arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `| head` has read enough; what is left must not be flushed into it when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, data.DataError, training.TrainingError) as error:
        print(f"{program(Network)}: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        advice = ": a smaller --batch-size needs less" if hasattr(arguments, "batch_size") else ""
        print(f"{program(Network)}: There is not enough memory ({error or 'Python gives no number'}){advice}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
