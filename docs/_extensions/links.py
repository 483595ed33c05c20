"""A warning for every link between the built pages that leads nowhere."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = set(), {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        for name in ("href", "src"):
            if values.get(name):
                self.links.add(values[name])


def check(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    pages = {
        file.resolve(): Page(file.read_text(encoding="utf-8"))
        for file in app.outdir.rglob("*.html")
        if "_static" not in file.parts
    }
    for file, page in pages.items():
        for link in sorted(page.links):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (file.parent / unquote(url.path)).resolve() if url.path else file
            known = target in pages
            if not target.exists() or (
                known and unquote(url.fragment) not in pages[target].anchors
            ):
                logger.warning("%s links to %s, which is not there", file.name, link)


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
