"""A homework for Gradescope: autograder.zip, to be uploaded as it is."""

import zipfile

from minigrad.coursework.release.archive import archive_files

SETUP = """\
#!/usr/bin/env bash
# Runs once, when the image is built; grading itself needs no network.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-pip python3-venv bubblewrap
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install -r /autograder/source/requirements.txt
"""

RUN = """\
#!/usr/bin/env bash
set -euo pipefail
cd /autograder/source
/autograder/venv/bin/python -m minigrad.coursework grade /autograder/submission --homework homework.ini \\
    --for gradescope --json /autograder/results/results.json
"""

SCRIPTS = {"setup.sh": SETUP.encode(), "run_autograder": RUN.encode()}


def write_system(homework, folder):
    """Write the archive. The same homework always gives the same bytes."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "autograder.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (archive_files(homework) | SCRIPTS).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name in SCRIPTS else 0o644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
