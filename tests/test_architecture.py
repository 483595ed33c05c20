"""Imports point one way: estimator -> training -> network -> likelihoods -> distributions.

The rules are checked on the syntax tree of every module of the package, so an import inside a
function or under ``if TYPE_CHECKING`` counts as well. Where a module is imported lazily on
purpose, the rule says so.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "skrgvae"
ROOT = Path(__file__).parents[1] / PACKAGE

# Which parts of the package a part may import, wherever in the file. A part is a module or a
# folder directly below the package. What is missing here is an upward or sideways import.
MAY_IMPORT = {
    "data": set(),
    "distributions": set(),
    "exceptions": set(),
    "marks": {"data.summary"},
    "noise": set(),
    "presets": set(),
    "recipe": set(),
    "sizes": {"data.summary"},
    "resolve": {"data.summary", "recipe", "sizes"},
    "second_thread": set(),
    "torch_modes": set(),
    "compiled": {"distributions"},
    "kernels": {"distributions"},
    "likelihoods": {"compiled", "kernels", "data.sources", "data.summary"},
    "network": {"compiled", "distributions", "kernels", "likelihoods", "second_thread"},
    "training": {
        "compiled",
        "data.sources",
        "kernels",
        "network.records",
        "second_thread",
        "torch_modes",
    },
    "model": {"data.sources", "likelihoods", "network", "noise", "torch_modes"},
    "typical": {"data.sources", "data.summary", "model"},
    "fitting": {"data", "model", "network", "recipe", "torch_modes", "training"},
    "stream": {"data.sources", "fitting", "model", "network", "torch_modes", "training"},
    "planning": {
        "data",
        "fitting",
        "likelihoods",
        "marks",
        "model",
        "network",
        "recipe",
        "resolve",
        "training",
    },
    "_sklearn_compat": set(),
    "progress": {"_sklearn_compat", "training"},
    "rows": {"_sklearn_compat", "data.sources"},
    "inspection": {"_sklearn_compat", "data", "typical"},
    "layer_table": set(),
}
MAY_IMPORT["estimator"] = set(MAY_IMPORT)
MAY_IMPORT["suggest"] = {"data", "estimator", "sizes"}
MAY_IMPORT["imputer"] = {"_sklearn_compat", "estimator"}
MAY_IMPORT["windows"] = {"_sklearn_compat", "data.frames"}
MAY_IMPORT["__init__"] = {"estimator", "exceptions", "imputer", "presets", "suggest", "windows"}

# At the edge: may import everything, and is itself imported inside functions only.
EDGE = {
    "__main__",
    "cli",
    "persistence",
    "pilot",
    "plotting",
    "tables",
}

# Only these parts below the edge may reach for an edge module, inside a function.
MAY_IMPORT_EDGE_LAZILY = {"estimator", "__init__"}

# Packages outside the standard library that a part below the estimator may import.
NUMERICS = {"torch", "numpy", "scipy"}
KNOWS_SKLEARN = {
    "data",
    "inspection",
    "_sklearn_compat",
    "estimator",
    "imputer",
    "rows",
    "windows",
    "__init__",
}
KNOWS_NO_SKLEARN = set(MAY_IMPORT) - KNOWS_SKLEARN

# Building, cloning and printing an estimator takes no torch, whose import lasts seconds: the start
# of the command line and of every worker process stays quick.
NEEDS_NO_TORCH = {
    "__init__",
    "_sklearn_compat",
    "cli",
    "data",
    "estimator",
    "exceptions",
    "imputer",
    "presets",
    "progress",
    "recipe",
    "resolve",
    "rows",
    "sizes",
    "suggest",
    "typical",
    "windows",
}

# Extras: never needed to import a module of the package.
OPTIONAL = {"matplotlib", "numba", "pandas", "polars", "pyarrow", "triton"}
# Modules that are nothing without an extra, and are themselves imported where it is there.
NEED_AN_EXTRA = {"skrgvae.compiled": "numba", "skrgvae.kernels": "triton"}


@dataclass(frozen=True)
class Import:
    """One imported module or name, as an absolute dotted path."""

    target: str
    line: int
    at_top: bool  # runs when the file is imported, not inside a function


def part_of(dotted: str) -> str:
    """'skrgvae.network.records.Foo' -> 'network'; 'skrgvae' -> '__init__'."""
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def module_name(path: Path, root: Path) -> str:
    pieces = [root.name, *path.relative_to(root).with_suffix("").parts]
    return ".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)


def imports(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import in a file: statements and calls of import_module with a constant name."""

    def absolute(name: str | None, level: int) -> str:
        if level == 0:
            return name or ""
        base = module.split(".")
        base = base[: len(base) - level + is_package]
        return ".".join([*base, name] if name else base)

    def visit(node: ast.AST, at_top: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, at_top)
            elif isinstance(child, ast.ImportFrom):
                base = absolute(child.module, child.level)
                for alias in child.names:
                    yield Import(f"{base}.{alias.name}", child.lineno, at_top)
            elif isinstance(child, ast.Call) and child.args:
                name = getattr(child.func, "attr", getattr(child.func, "id", None))
                first = child.args[0]
                if name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                    dotted = str(first.value)
                    level = len(dotted) - len(dotted.lstrip("."))
                    target = absolute(dotted.lstrip("."), level)
                    yield Import(target, child.lineno, at_top)
            deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, at_top and not deferred)

    return visit(ast.parse(source), at_top=True)


def within(target: str, allowed: str) -> bool:
    return target == allowed or target.startswith(f"{allowed}.")


def is_private_sklearn(target: str) -> bool:
    pieces = target.split(".")
    private = any(piece.startswith("_") and not piece.startswith("__") for piece in pieces[1:])
    return pieces[0] == "sklearn" and (private or within(target, "sklearn.callback"))


def complaint(module: str, found: Import) -> str | None:
    """Why ``module`` may not hold this import, or None."""
    part = part_of(module)
    outside = found.target.split(".")[0]

    if outside != PACKAGE:
        if is_private_sklearn(found.target) and part != "_sklearn_compat":
            return "private and versioned parts of scikit-learn belong in _sklearn_compat.py"
        if NEED_AN_EXTRA.get(module.rpartition(".")[0]) == outside:
            return None
        if outside in OPTIONAL and found.at_top:
            return f"{outside} is an extra: import it in the function that needs it"
        numerical = outside in NUMERICS or outside in sys.stdlib_module_names
        if outside == "torch" and part in NEEDS_NO_TORCH and found.at_top:
            return "torch takes seconds to import: import it in the function that needs it"
        if part in KNOWS_NO_SKLEARN and not numerical:
            return f"{part} imports {', '.join(sorted(NUMERICS))} and the standard library only"
        return None

    other = part_of(found.target)
    if other == part or part in EDGE:
        return None
    if other in EDGE:
        if part not in MAY_IMPORT_EDGE_LAZILY:
            return f"{part} lies below {other}"
        if found.at_top:
            return f"{other} lies at the edge: import it in the function that needs it"
        return None
    if other == "__init__":
        return "import from the module that defines the name, not from the package"
    may_import = MAY_IMPORT.get(part, set())
    if any(within(found.target, f"{PACKAGE}.{allowed}") for allowed in may_import):
        return None
    return f"{part} may import {', '.join(sorted(may_import)) or 'nothing of the package'}"


def complaints(root: Path) -> list[str]:
    found = []
    for path in sorted(root.rglob("*.py")):
        module = module_name(path, root)
        for item in imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py"):
            why = complaint(module, item)
            if why:
                place = f"{path.relative_to(root.parent)}:{item.line}"
                found.append(f"{place}: imports {item.target}: {why}")
    return found


def test_imports_point_down():
    found = complaints(ROOT)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_every_part_has_a_place():
    names = {path.stem for path in ROOT.glob("*.py")}
    names |= {path.parent.name for path in ROOT.glob("*/__init__.py")}
    homeless = sorted(names - {"__init__"} - set(MAY_IMPORT) - EDGE)
    assert not homeless, f"{homeless}: say in {Path(__file__).name} where they stand"


# What the checker must catch, and what it must let pass: module, source, line or None.
CASES = [
    ("distributions.laws", "from skrgvae.likelihoods import base", 1),
    ("distributions.laws", "from ..network import merge", 1),
    ("distributions.laws", "from . import numerics", None),
    ("distributions.laws", "import sklearn.base", 1),
    ("distributions.laws", "import torch\nimport math", None),
    ("likelihoods.bernoulli", "from ..network import merge", 1),
    ("likelihoods.bernoulli", "from ..data.summary import Summary", None),
    ("network.merge", "from ..training.loop import run", 1),
    ("network.merge", "from ..likelihoods.base import Head", None),
    ("training.loop", "from ..network.bottom_up import BottomUp", 1),
    ("training.loop", "from ..network.records import Pass", None),
    ("training.loop", "def f():\n    from skrgvae import estimator", 2),
    (
        "training.loop",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sklearn",
        3,
    ),
    ("training.loop", "def f():\n    import_module('skrgvae.cli')", 2),
    ("training.loop", "from skrgvae import HierarchicalSparseEncoder", 1),
    ("inspection", "from .estimator import HierarchicalSparseEncoder", 1),
    ("estimator", "from sklearn.utils._param_validation import Interval", 1),
    ("estimator", "from sklearn.base import _fit_context", 1),
    ("estimator", "import sklearn.callback", 1),
    ("estimator", "from sklearn.base import BaseEstimator, __doc__", None),
    ("estimator", "import pandas", 1),
    ("estimator", "def f():\n    import pandas", None),
    ("estimator", "from . import persistence", 1),
    ("estimator", "class A:\n    def f(self):\n        from .persistence import save", None),
    ("estimator", "from ._sklearn_compat import Interval", None),
    ("_sklearn_compat", "from sklearn.utils._param_validation import Interval", None),
    ("__init__", "from .estimator import HierarchicalSparseEncoder", None),
    ("__init__", "from .persistence import load", 1),
    ("__init__", "import torch", 1),
    ("cli", "from skrgvae import HierarchicalSparseEncoder", None),
    ("plotting", "import matplotlib", 1),
]


@pytest.mark.parametrize(("module", "source", "line"), CASES)
def test_the_checker_itself(tmp_path, module, source, line):
    path = tmp_path.joinpath(PACKAGE, *module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    lines = {int(text.split(":")[1]) for text in complaints(tmp_path / PACKAGE)}
    assert lines == (set() if line is None else {line})


def imported_after(statement: str) -> set[str]:
    """Top-level names in ``sys.modules`` after ``statement`` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import skrgvae",
        "from skrgvae import HierarchicalSparseEncoder; repr(HierarchicalSparseEncoder())",
        "from skrgvae.cli import main",
    ],
)
def test_import_is_light(statement):
    # scikit-learn imports pandas where it is installed; what it brings is not ours to avoid.
    brought_by_sklearn = imported_after("import sklearn.base, sklearn.utils.validation")
    assert (imported_after(statement) - brought_by_sklearn) & (OPTIONAL | {"torch"}) == set()
