"""A homework for Autolab: autograde.tar and autograde-Makefile, as a lab has them."""

import io
import tarfile

from minigrad.coursework.release.archive import archive_files
from minigrad.coursework.release.files import write

# The job's folder holds autograde.tar, this file, called Makefile, and what was handed in, under the name that the assessment gives it.
MAKEFILE = """\
all:
\t@mkdir handed-in
\t@find . -maxdepth 1 -type f ! -name Makefile ! -name 'autograde*' -exec mv {} handed-in \\;
\t@tar -xf autograde.tar
\t@cd autograde && sh grade.sh ../handed-in
"""

# Only texts for the student may go to stdout, and the scores last.
SCRIPT = """\
set -e
export PYTHONPATH="$PWD/packages"
if ! python3 -c 'import numpy, threadpoolctl' 2> problem.txt; then
    python3 -m pip install --quiet --target packages -r requirements.txt > problem.txt 2>&1 || { cat problem.txt; exit 1; }
fi
exec python3 -m minigrad.coursework grade "$1" --homework homework.ini --for autolab
"""


def write_system(homework, folder):
    """Write the archive and the Makefile. The same homework always gives the same bytes."""
    folder.mkdir()
    with tarfile.open(folder / "autograde.tar", "w") as archive:
        for name, content in (archive_files(homework) | {"grade.sh": SCRIPT.encode()}).items():
            entry = tarfile.TarInfo(f"autograde/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    write(folder / "autograde-Makefile", MAKEFILE)
