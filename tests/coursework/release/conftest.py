"""Three homeworks, released once for all tests of this folder."""

import pytest

from minigrad.coursework.homework import read_homework
from minigrad.coursework.release.build import SYSTEMS, release

SAMPLES = {
    "layers": "title = Layers\nseed = 20121203\n[exercises]\nlinear.backward = 2.5\nrelu.forward = 1\nrelu.backward = 2\nloss.forward = 2",
    "all or none": "seed = 424243\npartial = no\n[exercises]\npatches.extract = 3\npatches.add_back = 4\nconv2d.backward = 4",
    "variants": "seed = 99991\ndue = Friday\n[exercises]\navgpool.forward = 2\navgpool.backward = 3\nnesterov.step = 3\nhunt.1 = 1",
}


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """name -> (homework, folder) of the samples, for all systems."""
    found = {}
    for name, text in SAMPLES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / f"{name}.ini").write_text(f"[homework]\n{text}")
        lines = release(folder / f"{name}.ini", folder / "dist", SYSTEMS)
        assert lines[-1].startswith("The release is proved")
        found[name] = read_homework(folder / f"{name}.ini"), folder / "dist"
    return found


@pytest.fixture(params=SAMPLES)
def sample(request, released):
    return released[request.param]
