"""Configuration of Sphinx. The build needs no network, and neither do its pages."""

import os
import sys

for folder in (".", "_extensions", ".."):  # the last: document this source tree, installed or not
    sys.path.insert(0, os.path.abspath(folder))

import skrgvae  # noqa: E402

project = "skrgvae"
author = "the skrgvae developers"
copyright = "2026, the skrgvae developers"
release = skrgvae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",  # for the change log
    "sphinx_gallery.gen_gallery",
    "links",
    "mathml",
    "records",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!skrgvae\.).*")]  # other projects' pages need the network

html_theme = "furo"
html_title = f"skrgvae {release}"
html_static_path = ["_static"]
html_css_files = ["equations.css"]

numfig = True  # equations are numbered by page
math_numfig = True
math_eqref_format = "({number})"
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_inherit_docstrings = False  # torch documents what is inherited from torch
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 0,
    "write_computation_times": False,
}
