"""How Sphinx makes the book: pip install -e ".[docs]", then python -m sphinx -W -b html docs docs/_build/html.

Nothing is fetched from the net, neither while it is built nor while it is read. The notebooks are solved and run first; those whose sources
have not changed since are kept."""

import os
import re
import subprocess
import sys
from pathlib import Path

from latex2mathml.converter import convert
from sphinx.util import logging

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

import minigrad  # noqa: E402
from minigrad.coursework.release.address import source_address  # noqa: E402

ADDRESS = source_address()

project, release = "minigrad", minigrad.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # `run_notebooks` has run them
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # sections of the README begin at their own level
highlight_language = "text"  # of what does not say its own: commands
html_theme = "furo"
html_title = "minigrad"
html_show_copyright = html_show_sphinx = html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as they are written, not as they look: a module is no path
add_module_names = False
if ADDRESS is not None:
    html_theme_options = {"source_repository": ADDRESS, "source_branch": "main", "source_directory": "docs/"}


# ---- notebooks


def run_notebooks(app):
    """Solve and run the notebooks, two at a time, into docs/_notebooks."""
    sources = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))
    folder = HERE / "_notebooks"
    stale = [source for source in sources if not newer(folder / f"{source.stem}.ipynb", source)]
    if stale:
        logging.getLogger(__name__).info(f"running {len(stale)} notebooks: some minutes")
        numbers = [source.stem.split("_")[0] for source in stale]
        command = [sys.executable, str(ROOT / "notebooks" / "build.py"), *numbers, "--solutions", "--execute", "--out", str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": ""}, stderr=subprocess.DEVNULL)


def newer(made, source):
    return made.exists() and made.stat().st_mtime > source.stat().st_mtime


def colab(app, docname, content):
    """Once the project has an address, a notebook's page says where it can be run: the students' edition, with blanks."""
    if docname.startswith("_notebooks/") and ADDRESS is not None:
        where = ADDRESS.removeprefix("https://github.com/")
        link = f"https://colab.research.google.com/github/{where}/blob/main/notebooks/{docname.split('/')[1]}.ipynb"
        content[0] = content[0].replace('"source": [\n', f'"source": [\n    "[Run in Colab]({link})\\n",\n    "\\n",\n', 1)


# ---- pages that are files of the project: <!-- from FILE --> or <!-- from FILE: Heading -->

PAGES = {
    "COURSEWORK.md": "coursework.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "notebooks/README.md": "notebooks.md",
    "tests/README.md": "tests.md",
}


def include_files(app, docname, content):
    def text(match):
        path, heading = match.groups()
        app.env.note_dependency(str(ROOT / path))
        whole = (ROOT / path).read_text(encoding="utf-8")
        if heading:
            whole = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", whole, re.M | re.S).group(1)
        return re.sub(r"\[([^\]]*)\]\((?!https?:|#)([^)]+)\)", lambda link: linked(link, path, docname), whole)

    content[0] = re.sub(r"^<!-- from (\S+?)(?:: (.+?))? -->$", text, content[0], flags=re.M)


def linked(link, path, docname):
    """A link in a file of the project, as one of the book: to a page, to the file at the project's address, or, without one, its name."""
    words, target = link.groups()
    file, _, anchor = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), file)).replace(os.sep, "/") if file else path
    if file.endswith(".ipynb"):
        page = f"_notebooks/{Path(file).name}"
    else:
        page = PAGES.get(file)
    if page is not None:
        return f"[{words}](/{page}{'#' + anchor if anchor else ''})"
    if ADDRESS is not None:
        return f"[{words}]({ADDRESS}/blob/main/{file})"
    return words if words.startswith("`") or " " in words else f"`{words}`"


# ---- docstrings, which are plain text


def as_written(app, what, name, obj, options, lines):
    """Paragraphs stay paragraphs; what is set in columns, a formula or a list, stays as it is written; `names` are names."""
    made, block = [], []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            if any(line.startswith(" ") for line in block) or all(re.search(r"\S   +\S", line) for line in block):
                made += [".. code-block:: text", "", *(f"   {line}" for line in block), ""]
            else:
                made += [escaped(line) for line in block] + [""]
            block = []
    lines[:] = made


def skip_fields(app, what, name, obj, skip, options):
    """The fields of a named tuple, of which its own docstring speaks, say nothing themselves."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def escaped(line):
    """A line as reStructuredText that means just that: nothing in it marks anything but `names`, which may touch letters: `name`s."""
    made = ""
    for i, part in enumerate(re.split(r"`([^`]+)`", line.replace("\\", "\\\\"))):
        if i % 2:
            made += ("\\ " if re.search(r"\w$", made) else "") + f"``{part}``"
        else:
            made += ("\\ " if i and re.match(r"\w", part) else "") + re.sub(r"([*|_])", r"\\\1", part)
    return made


# ---- formulas: MathML, which browsers draw by themselves


def inline_math(translator, node):
    translator.body.append(convert(node.astext()))
    raise_skip()


def block_math(translator, node):
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise_skip()


def raise_skip():
    from docutils.nodes import SkipNode

    raise SkipNode


def setup(app):
    app.connect("builder-inited", run_notebooks)
    app.connect("source-read", include_files)
    app.connect("source-read", colab)
    app.connect("autodoc-process-docstring", as_written)
    app.connect("autodoc-skip-member", skip_fields)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
