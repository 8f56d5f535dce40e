"""A homework for Autolab: autograde.tar and autograde-Makefile, as a lab has them."""

import io
import tarfile

from minigrad.coursework.release.archive import archive_files
from minigrad.coursework.release.files import write

MAKEFILE = """\
all:
\ttar -xf autograde.tar
\tcd autograde && python3 -m minigrad.coursework grade ../handin --homework homework.ini --for autolab
"""


def write_system(homework, folder):
    """Write the archive and the Makefile. The same homework always gives the same bytes."""
    folder.mkdir()
    with tarfile.open(folder / "autograde.tar", "w") as archive:
        for name, content in archive_files(homework).items():
            entry = tarfile.TarInfo(f"autograde/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    write(folder / "autograde-Makefile", MAKEFILE)
