"""A homework for a container, for machines without bubblewrap: Dockerfile, grade.sh, and all that grading needs."""

from minigrad.coursework.release.archive import archive_files

DOCKERFILE = """\
FROM python:3.12-slim
COPY requirements.txt /grader/
RUN pip install --no-cache-dir -r /grader/requirements.txt
COPY . /grader
WORKDIR /grader
USER nobody
ENTRYPOINT ["python", "-m", "minigrad.coursework", "grade", "/handed-in", "--homework", "homework.ini"]
"""

# The container can reach nothing but what it is given: no network, files that it can only read, a folder for the results.
SCRIPT = """\
#!/bin/sh
# sh grade.sh HANDED-IN RESULTS: a folder of submissions, and one for grades.csv and feedback.json. More options go to `grade`;
# their files lie in the folder of submissions: --roster /handed-in/roster.csv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
handed_in=$(cd "$1" && pwd)
mkdir -p "$2"
chmod 777 "$2"
results=$(cd "$2" && pwd)
shift 2
docker build --quiet --tag minigrad-grade "$here"
docker run --rm --network none --read-only --tmpfs /tmp:exec --cap-drop ALL --security-opt no-new-privileges \\
    --memory 12g --pids-limit 512 --cpus 2 \\
    --volume "$handed_in:/handed-in:ro" --volume "$results:/results" \\
    minigrad-grade --out /results/grades.csv --json /results/feedback.json "$@"
"""


def write_system(homework, folder):
    """Write the folder from which the container is built."""
    for name, content in (archive_files(homework) | {"Dockerfile": DOCKERFILE.encode(), "grade.sh": SCRIPT.encode()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
