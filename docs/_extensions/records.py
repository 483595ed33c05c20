"""The directive ``.. record-table:: NAME``: the table of examples/results/NAME.json."""

import record_tables
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.errors import ExtensionError


class RecordTable(Directive):
    """Drawn when the pages are built, with date and machine below it."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        if name not in record_tables.DRAWN:
            raise ExtensionError(f"no table is known for the record {name}")
        self.state.document.settings.env.note_dependency(
            str(record_tables.RESULTS / f"{name}.json")
        )
        record = record_tables.read(name)
        if record is None:
            return [nodes.paragraph(text="There is no record of this script yet.")]
        header, *rows = record_tables.DRAWN[name](record)
        return [table(header, rows), nodes.paragraph(text=record_tables.origin(record))]


def table(header, rows):
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    for part, lines in ((nodes.thead(), [header]), (nodes.tbody(), rows)):
        for line in lines:
            cells = [nodes.entry("", nodes.paragraph(text=text)) for text in line]
            part += nodes.row("", *cells)
        group += part
    return nodes.table("", group)


def setup(app):
    app.add_directive("record-table", RecordTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
