"""Where the project can be fetched from: one setting, `Source` of `project_urls` in setup.cfg, which may be unset."""

import configparser
import importlib.metadata

from minigrad.coursework.release.archive import ROOT

NAME = "minigrad-alexnet"


def source_address(folder=ROOT):
    """The address, a text; None where none is set. It is read from setup.cfg in a clone, else from what was installed."""
    if (folder / "setup.cfg").exists():
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(folder / "setup.cfg", encoding="utf-8")
        lines = parser.get("metadata", "project_urls", fallback="").splitlines()
        return address_in(line.partition("=")[::2] for line in lines)
    try:
        return address_in(line.partition(",")[::2] for line in importlib.metadata.metadata(NAME).get_all("Project-URL", []))
    except importlib.metadata.PackageNotFoundError:
        return None


def address_in(pairs):
    """The address called Source among pairs of texts (name, address); None if there is none."""
    return {name.strip(): address.strip() for name, address in pairs}.get("Source")


def first_cell(address):
    """The cell above all others in a notebook: without an address it installs nothing and says how to."""
    if address is None:
        missing = """\
    raise ImportError(
        'minigrad is not installed here. In a clone of it, run  pip install -e ".[notebooks]" jupyterlab  and start Jupyter from there.'
    ) from None"""
        comment = "# The library, installed from a clone of it: notebooks/README.md says how. Nothing is fetched from the net."
    else:
        missing = f'    %pip install -q "{NAME} @ git+{address}"\n    import minigrad'
        comment = "# The library. In Colab, or wherever it is not installed yet, this installs it."
    return f"""\
{comment}
try:
    import minigrad
except ImportError:
{missing}

assert hasattr(minigrad, "LocalResponseNorm"), "this minigrad is another project of that name: pip uninstall minigrad"
"""


def how_to_install(address):
    """Sentences for the text of a homework."""
    command = "pip install ." if address is None else f'pip install "{NAME} @ git+{address}"'
    where = ", in a clone of the project" if address is None else ""
    return f"It needs minigrad: `{command}`{where}. (`pip install minigrad` would install another project of that name.)"
