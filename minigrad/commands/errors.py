"""What the user can put right: an error that the command line answers with its one sentence and exit code 2."""


class UsageError(Exception):
    """What is wrong with the options or the files they name, and what would be right, in one sentence."""


def cannot_be_written(path, error, option):
    """The `UsageError` for an OSError while writing to `path`, which `option` named."""
    return UsageError(f"{path} cannot be written: {error.strerror}; name another {option}.")
