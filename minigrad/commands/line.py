"""The command line of a network: its words, and what is said when something goes wrong."""

import logging
import sys
import warnings
from functools import partial

from minigrad import data, training
from minigrad.commands import benchmark, evaluate, experiment, export, figures, predict, prepare, summary, train
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import program
from minigrad.commands.options import command_line
from minigrad.commands.streams import let_go_of_output, usable_streams
from minigrad.names import shown

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


def one_line(name, message, *_, **__):
    """Show a warning without the place in the code that it comes from."""
    print(f"{name}: {shown(message)}", file=sys.stderr)


def main(Network):
    """The whole program of a class of networks: runs what the command line of this process asks for, and ends the process."""
    sys.exit(run(Network, sys.argv[1:]))


def run(Network, argv):
    """Run the command line `argv`, a list of texts; returns the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C."""
    with usable_streams():
        arguments = None
        logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what it logs of broken files names no file
        try:
            arguments = parsed(Network, argv)
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
        except (UsageError, data.DataError, training.TrainingError) as error:
            print(f"{program(Network)}: {shown(error)}", file=sys.stderr)
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
        except KeyboardInterrupt:
            return 130


def parsed(Network, argv):
    """The options that `argv` gives; the word is `train` if it names none."""
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    return command_line(Network).parse_args(argv)
