"""What a page of the pilot shows: its tables, its figures, and the words of its sections."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br"}


@dataclass
class Node:
    """An element: children are elements and strings."""

    tag: str
    attributes: dict[str, str]
    children: list = field(default_factory=list)

    def all(self, tag, kind=None):
        """Elements below this one, in the order of the page."""
        for child in self.children:
            if isinstance(child, Node):
                if child.tag == tag and (kind is None or kind in child.kinds):
                    yield child
                yield from child.all(tag, kind)

    def first(self, tag, kind=None):
        return next(self.all(tag, kind))

    @property
    def kinds(self):
        return self.attributes.get("class", "").split()

    @property
    def text(self):
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return "".join(parts)

    @property
    def numbers(self):
        """Values behind the numbers shown."""
        return [float(node.attributes["value"]) for node in self.all("data")]


class _Builder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag, attributes):
        node = Node(tag, {name: value or "" for name, value in attributes})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag  # nothing is left open

    def handle_data(self, text):
        self.open[-1].children.append(text)


def parsed(html):
    """The whole page as a tree."""
    builder = _Builder()
    builder.feed(html)
    (root,) = builder.open
    return root


def section(root, title):
    """The section with a title."""
    return next(each for each in root.all("section") if each.first("h2").text == title)


def rows(table):
    """Cells of a table, row by row, without its head."""
    return [
        [cell for cell in row.children if isinstance(cell, Node)]
        for row in table.first("tbody").all("tr")
    ]


def scale(labels, places):
    """From places along an axis to numbers: the line through its labels."""
    numbers = [float(label.text.replace("\N{MINUS SIGN}", "-")) for label in labels]
    slope = (numbers[-1] - numbers[0]) / (places[-1] - places[0])
    return lambda place: numbers[0] + slope * (float(place) - places[0])
