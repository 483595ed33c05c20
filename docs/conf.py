"""Configuration of Sphinx. The build needs no network."""

import os
import sys
from importlib import metadata

sys.path.insert(0, os.path.abspath(".."))  # document this source tree, installed or not

project = "skrgvae"
author = "the skrgvae developers"
copyright = "2026, the skrgvae developers"
try:
    release = metadata.version("skrgvae")
except metadata.PackageNotFoundError:
    release = "not installed"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",  # the build only writes a link, the reader's browser sets the equations
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",  # for the change log
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "generated"]

html_theme = "furo"
html_title = f"skrgvae {release}"

math_eqref_format = "({number})"
math_numfig = False

autosummary_generate = False
autodoc_inherit_docstrings = False  # torch documents what is inherited from torch
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
