"""prepare: all images of a data set brought to one size, once, in files that are read without decoding."""

import sys

from minigrad import data


def command(Network, arguments):
    a = arguments
    try:
        data.prepare(a.data, a.out, side=a.size, labels=a.labels, skip_bad=a.skip_bad, workers=a.workers, ranks=a.ranks)
    except KeyboardInterrupt:
        print(f"\nStopped; run the same command again to go on with {a.out}.", file=sys.stderr)
        return 130
    return 0
