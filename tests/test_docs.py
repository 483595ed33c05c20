"""The code in README.md and docs/ runs as it stands.

The Python blocks of a page are run from top to bottom in one namespace, as a reader would, but
for one thing: no fit takes more than a few epochs, so that the pages can show what is worth
running and this test stays quick. Blocks in another language are not run; commands of the package
in shell blocks are parsed. There is no way to mark a Python block as not to be run.
"""

import functools
import importlib
import re
import shlex
import textwrap
from pathlib import Path

import pytest

from skrgvae import HierarchicalSparseEncoder
from skrgvae.cli import _parser

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.rst"), *ROOT.glob("docs/guide/*.rst"), ROOT / "README.md"])

# Pages whose point is code: finding none there would be a fault of this test, not of the page.
MUST_HOLD_CODE = {"README.md", "index.rst", "getting_started.rst", "columns.rst", "reading.rst"}
MOST_EPOCHS = 2

FENCE = re.compile(r"^([ ]*)```[ ]*(\w+)[^\n]*\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(
    r"^([ ]*)\.\. (?:code-block|code|sourcecode):: *(\w+)[ ]*\n"
    r"(?:\1[ ]+:[^\n]*\n)*"  # options
    r"((?:[ ]*\n|\1[ ]+[^\n]*\n)+)",
    re.MULTILINE,
)


def blocks(text: str, suffix: str) -> list[tuple[str, int, str]]:
    """Language, line of the first line of code, and code of every block on a page."""
    pattern = FENCE if suffix == ".md" else DIRECTIVE
    return [
        (match[2], text.count("\n", 0, match.start(3)) + 1, textwrap.dedent(match[3]))
        for match in pattern.finditer(text if text.endswith("\n") else text + "\n")
    ]


def page_blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    found = blocks(page.read_text(encoding="utf-8"), page.suffix)
    return [(line, code) for language, line, code in found if language in languages]


@pytest.fixture
def few_epochs(monkeypatch):
    fit = HierarchicalSparseEncoder.fit

    @functools.wraps(fit)
    def short_fit(self, *args, **kwargs):
        asked = self.max_iter
        self.max_iter = MOST_EPOCHS if asked == "auto" else min(asked, MOST_EPOCHS)
        try:
            return fit(self, *args, **kwargs)
        finally:
            self.max_iter = asked

    monkeypatch.setattr(HierarchicalSparseEncoder, "fit", short_fit)


@pytest.mark.usefixtures("few_epochs")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = page_blocks(page, "python", "python3", "py", "pycon")
    assert found or page.name not in MUST_HOLD_CODE, "no Python block was found"
    namespace = {"__name__": "__main__"}
    for line, code in found:
        # Blank lines in front: a traceback then shows the line of the page.
        source = "\n" * (line - 1) + code
        exec(compile(source, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_blocks_name_existing_commands(page):
    parser = _parser()
    for line, code in page_blocks(page, "bash", "sh", "shell", "console"):
        for command in re.split(r"\n|&&", code.replace("\\\n", " ")):
            words = shlex.split(command, comments=True)
            if words[:3] == ["python", "-m", "skrgvae"]:
                words = words[2:]
            if words and words[0] == "skrgvae":
                try:
                    parser.parse_args(words[1:])
                except SystemExit as stop:
                    assert stop.code == 0, f"{page.name}:{line}: {command.strip()}"


def public_names():
    """Public modules and the names that they say are theirs."""
    folders = (path.parent for path in (ROOT / "skrgvae").glob("**/__init__.py"))
    for folder in folders:
        module = ".".join(folder.relative_to(ROOT).parts)
        yield module, getattr(importlib.import_module(module), "__all__", ())


# What the estimator is made of, modules and single names: importable, but no contract.
INSIDE = {
    "skrgvae.data",
    "skrgvae.distributions.LATENT_LAWS",
    "skrgvae.distributions.LatentLaw",
    "skrgvae.likelihoods",
    "skrgvae.network",
    "skrgvae.network.fused",
    "skrgvae.persistence",
    "skrgvae.training",
}


def test_the_reference_holds_every_public_name():
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    listed, module = set(), ""
    for line in text.splitlines():
        if match := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif match := re.fullmatch(r"   (\w+)", line):
            listed.add(f"{module}.{match[1]}")
    expected = {
        f"{module}.{name}"
        for module, names in public_names()
        if module not in INSIDE
        for name in names
        if not name.startswith("__")
    }
    assert listed == expected - INSIDE


def test_the_front_pages_show_the_same_ten_lines():
    shown = [
        next(code for _, code in page_blocks(ROOT / name, "python")).strip()
        for name in ("README.md", "docs/index.rst")
    ]
    assert shown[0] == shown[1]


def test_readme_holds_the_two_commands():
    # .ci/run takes the second one from there.
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "python -m pip install . && python -m skrgvae pilot" in lines
    assert 'python -m pip install ".[test]" && python -m pytest' in lines


@pytest.fixture
def record_tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("record_tables")


def test_tables_of_the_readme_are_those_of_the_records(record_tables):
    text = record_tables.README.read_text(encoding="utf-8")
    assert "<!-- table: features -->" in text
    assert record_tables.with_tables(text) == text, "run python docs/record_tables.py"


def test_every_record_table_can_be_drawn(record_tables):
    for name, drawn in record_tables.DRAWN.items():
        record = record_tables.read(name)
        if record is not None:
            header, *rows = drawn(record)
            assert rows and {len(row) for row in rows} == {len(header)}, name
            assert record_tables.origin(record).startswith("Recorded on 20")


def test_blocks_are_found():
    rst = """
.. code-block:: python
   :caption: x

   a = 1

   b = 2

Text.

- item

  .. code-block:: bash

     skrgvae --help
"""
    assert blocks(rst, ".rst") == [
        ("python", 4, "\na = 1\n\nb = 2\n\n"),
        ("bash", 14, "\nskrgvae --help\n"),
    ]
    markdown = "Text\n```python\na = 1\n```\nmore\n```bash\nls\n```"
    assert blocks(markdown, ".md") == [("python", 3, "a = 1\n"), ("bash", 7, "ls\n")]
