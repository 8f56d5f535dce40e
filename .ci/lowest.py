"""Prints the requirements of setup.cfg and of its extra `test` in their lowest versions: python .ci/lowest.py > lowest.txt"""

import configparser
from pathlib import Path

setup = configparser.ConfigParser()
setup.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
for requirements in (setup["options"]["install_requires"], setup["options.extras_require"]["test"]):
    print(requirements.strip().replace(">=", "=="))
