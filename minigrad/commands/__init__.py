"""The command line: one module for each word. It knows a network only as the class that is handed to `main(Network)`."""

from minigrad.commands.line import main, run

__all__ = ["main", "run"]
