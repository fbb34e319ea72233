"""Sphinx configuration; ``make docs`` builds with warnings as errors, and needs no network."""

import os
import sys
import warnings
import zlib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
# What examples train must not wait for each other's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A page would show a warning of its example, with the path of the machine that built it.
warnings.filterwarnings("error", module="__main__")
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

import skactprune  # noqa: E402

FIRST_EXAMPLES = (
    "mlp_classifier",
    "two_components",
    "pruning_history",
    "pruning_path",
    "pareto_front",
    "storages",
)

project = "skactprune"
author = "skactprune developers"
copyright = f"2026, {author}"
version = release = skactprune.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples/*.rst", "examples/*.txt", "examples/*.py"]
templates_path = ["_templates"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# "fit()" in the contents of a page, without the class that the page is about.
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "skactprune"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_search_scorer = str(HERE / "scorer.js")
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_show_sourcelink = False
# Pages without pages below them.
html_sidebars = {"quickstart": [], "changelog": []}
# Formulas are drawn by the browser; without the network they stay readable as text.
html_context = {"default_mode": "auto"}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    # What a newcomer asks first comes first.
    "within_subsection_order": ExplicitOrder(
        [
            *(f"plot_{name}.py" for name in FIRST_EXAMPLES),
            "*",
        ]
    ),
    "filename_pattern": "/plot_",
    "abort_on_example_error": True,
    "doc_module": ("skactprune",),
    "backreferences_dir": "generated/backreferences",
    "min_reported_time": 1000,
    "show_memory": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "matplotlib_animations": False,
    "download_all_examples": False,
}


def _inventory(name):
    """Inventory that intersphinx reads, made of a list of names: no network is needed.

    A line of ``_inventories/<name>.txt`` is a name, its role and its page; "$" in a page is the
    name.
    """
    source = HERE / "_inventories" / f"{name}.txt"
    target = HERE / "_build" / "inventories" / f"{name}.inv"
    entries = []
    for line in source.read_text(encoding="utf-8").splitlines():
        entry, role, page = line.split()
        entries.append(f"{entry} {role} 1 {page.replace('$', entry)} -\n")
    head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(head.encode() + zlib.compress("".join(entries).encode()))
    return str(target)


intersphinx_mapping = {
    "python": ("https://docs.python.org/3", _inventory("python")),
    "numpy": ("https://numpy.org/doc/stable", _inventory("numpy")),
    "sklearn": ("https://scikit-learn.org/stable", _inventory("sklearn")),
    "skorch": ("https://skorch.readthedocs.io/en/stable", _inventory("skorch")),
    "torch": ("https://docs.pytorch.org/docs/stable", _inventory("torch")),
}
