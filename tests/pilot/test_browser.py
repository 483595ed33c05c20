"""The page in a real browser, where there is one: Chromium at the width of a desk and of a phone.

The page is put into frames of two widths, and a script around them writes down how far each would
scroll sideways. The page itself has no script.
"""

import json
import re
import shutil
import subprocess
from html import escape

import pytest

from skrgvae.pilot.page import page
from skrgvae.pilot.wording import LANGUAGES

WIDTHS = (1280, 390)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
OFFLINE = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
).split()
MEASURED = """
<pre id="measured"></pre>
<script>
  addEventListener("load", () => {
    const measured = [...document.querySelectorAll("iframe")].map((frame) => {
      const page = frame.contentDocument, width = frame.clientWidth;
      const wide = [...page.querySelectorAll("main *")].filter(
        (each) => each.getBoundingClientRect().right > width + 1
      );
      const letters = [...page.querySelectorAll("figure text")].map(
        (each) => each.getBoundingClientRect().height
      );
      return {
        width,
        scrolls: page.documentElement.scrollWidth - width,
        wide: wide.map((each) => each.tagName + ": " + each.textContent.slice(0, 40)),
        smallest: Math.min(...letters),
        figures: page.querySelectorAll("figure svg").length,
      };
    });
    document.getElementById("measured").textContent = JSON.stringify(measured);
  });
</script>
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_scrolls_sideways_and_letters_can_be_read(record, language, tmp_path):
    shown = escape(page(record, language), quote=True)
    frames = (
        f'<iframe srcdoc="{shown}" style="width: {w}px; border: 0"></iframe>' for w in WIDTHS
    )
    file = tmp_path / "frames.html"
    file.write_text(f"<!DOCTYPE html>{''.join(frames)}{MEASURED}", encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    logged = ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    found = subprocess.run(
        [CHROMIUM, *OFFLINE, profile, *logged, file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in found.stderr
    measured = json.loads(re.search(r'<pre id="measured">(.*?)</pre>', found.stdout)[1])
    assert [frame["width"] for frame in measured] == list(WIDTHS)
    for frame in measured:
        assert frame["scrolls"] <= 0 and not frame["wide"], frame
        assert frame["figures"] == 5
        assert frame["smallest"] >= 11  # pixels from top to bottom of a line of letters
