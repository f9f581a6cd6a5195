"""The report in Chromium, at desktop and phone width: opt in with ``-m browser``.

It needs ``chromium`` on the PATH; the accessibility checker is the file that QUIETPET_AXE names
(axe.min.js of axe-core). QUIETPET_REPORT may name the report of a finished study, to be looked at in
place of a small one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_pages import rendered

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 390)
_OWN_REQUESTS = (None, "not an origin")
SERIOUS = ("serious", "critical")

CHECK = """
<script>%s</script>
<script>
addEventListener("load", async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  const said = document.createElement("pre");
  said.id = "checked";
  said.textContent = JSON.stringify(found.violations.map(({ id, impact, nodes }) =>
    ({ id, impact, nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)) })));
  document.body.append(said);
});
</script>
"""

LAYOUT = """
<script>
addEventListener("load", () => {
  for (const table of document.querySelectorAll("table")) {
    const button = table.querySelector("thead button");
    if (button) { button.click(); button.click(); }
  }
  for (const group of document.querySelectorAll(".switch")) group.lastElementChild.click();
  const said = document.createElement("pre");
  said.id = "checked";
  said.textContent = JSON.stringify({
    wide: document.documentElement.scrollWidth - innerWidth,
    sorted: [...document.querySelectorAll("table")].every((table) => {
      const rows = [...table.tBodies[0].rows].map((row) => row.children[0].dataset.sort);
      const wanted = [...rows].sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
      return rows.length < 2 || rows.join() === wanted.join();
    }),
    hidden: document.querySelectorAll(".variant[hidden]").length,
  });
  document.body.append(said);
});
</script>
"""

_SAID = """
  const said = document.createElement("pre");
  said.id = "checked";
  said.textContent = JSON.stringify(found);
  document.body.append(said);
});
</script>
"""
PAPER_WIDTH = 980
"""CSS pixels of US Letter on its side between the margins of the page; A4 is wider."""
MOST_LINES = 4
PAPER = (
    """
<script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("table")]
    .filter((table) => table.getBoundingClientRect().right > innerWidth)
    .map((table) => `${table.caption.textContent}: ${table.getBoundingClientRect().right}`);
"""
    + _SAID
)
STOPS = (
    """
<script>
addEventListener("load", () => {
  const boxes = [...document.querySelectorAll(".scroll")];
  const found = {
    wrong: boxes.filter((box) => (box.scrollWidth > box.clientWidth) !== (box.tabIndex === 0)).length,
    scrolling: boxes.filter((box) => box.scrollWidth > box.clientWidth).length,
    regions: document.querySelectorAll('[role="region"]').length,
  };
"""
    + _SAID
)
HEADINGS = (
    """
<script>
addEventListener("load", () => {
  const lines = (row) => {
    const { paddingTop, paddingBottom } = getComputedStyle(row.cells[0]);
    const letters = row.offsetHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
    return Math.round(letters / parseFloat(getComputedStyle(row).lineHeight));
  };
  const found = Math.max(...[...document.querySelectorAll("thead tr")].map(lines));
"""
    + _SAID
)


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest) -> str:
    if "browser" not in request.config.option.markexpr:
        pytest.skip("asked for by -m browser alone")
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    named = os.environ.get("QUIETPET_REPORT")
    return Path(named).read_text() if named else rendered()


def opened(folder: Path, text: str, *, width: int) -> tuple[str, str, set[str]]:
    """The document after its scripts ran, what the console said, and what the page asked for.

    What Chromium asks for itself has no origin.
    """
    (folder / "page.html").write_text(text)
    log = folder / "net.json"
    ran = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            f"--user-data-dir={folder}/user", f"--window-size={width},900",
            "--virtual-time-budget=60000", "--enable-logging=stderr", f"--log-net-log={log}",
            "--dump-dom", (folder / "page.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    console = "\n".join(line for line in ran.stderr.splitlines() if ":CONSOLE" in line)
    events = [each.get("params", {}) for each in json.loads(log.read_text())["events"]]
    asked = {
        each["url"]
        for each in events
        if str(each.get("url", "")).startswith("http") and each.get("initiator") not in _OWN_REQUESTS
    }
    return ran.stdout, console, asked


def checked(document: str):
    found = re.search(r'<pre id="checked">(.*?)</pre>', document, re.DOTALL)
    assert found, "the scripts of the page did not run to their end"
    return json.loads(
        found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    )


def test_a_page_that_asks_for_something_is_found_out(tmp_path, text):
    asking = '<!DOCTYPE html><img src="http://127.0.0.1:9/a.png" alt=""><script>lost()</script>'
    _, console, asked = opened(tmp_path, asking, width=WIDTHS[0])
    assert asked == {"http://127.0.0.1:9/a.png"}
    assert "lost is not defined" in console


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_errors_or_requests_and_fits_its_window(tmp_path, text, width):
    document, console, asked = opened(tmp_path, text.replace("</body>", f"{LAYOUT}</body>"), width=width)
    assert console == ""
    assert asked == set()
    layout = checked(document)
    assert layout["wide"] <= 0, "the page, not a table in it, is wider than its window"
    assert layout["sorted"], "tables are sorted by their headings"
    assert layout["hidden"] == document.count('class="variant" ') - document.count('class="switch"')


def test_no_table_on_paper_is_wider_than_its_page(tmp_path, text):
    """The style of paper as that of a window as wide as a page."""
    printed = text.replace("@media print", "@media all").replace("</body>", f"{PAPER}</body>")
    assert printed.count("@media all") == 1
    document, _, _ = opened(tmp_path, printed, width=PAPER_WIDTH)
    assert checked(document) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_what_scrolls_and_nothing_else_is_a_stop_of_the_keyboard(tmp_path, text, width):
    document, _, _ = opened(tmp_path, text.replace("</body>", f"{STOPS}</body>"), width=width)
    stops = checked(document)
    assert stops["wrong"] == 0
    assert stops["regions"] == 0
    assert stops["scrolling"] > 0


def test_no_heading_of_a_table_is_many_lines_high(tmp_path, text):
    document, _, _ = opened(tmp_path, text.replace("</body>", f"{HEADINGS}</body>"), width=WIDTHS[0])
    assert checked(document) <= MOST_LINES


@pytest.mark.parametrize("width", WIDTHS)
def test_a_checker_of_accessibility_finds_nothing_serious(tmp_path, text, width):
    if not (axe := os.environ.get("QUIETPET_AXE")):
        pytest.skip("QUIETPET_AXE does not name axe.min.js of axe-core")
    script = CHECK % Path(axe).read_text()
    document, _, _ = opened(tmp_path, text.replace("</body>", f"{script}</body>"), width=width)
    assert [each for each in checked(document) if each["impact"] in SERIOUS] == []
