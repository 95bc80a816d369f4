"""The report in a real browser: no console error, no request to any network, wide and narrow."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from sw import cli

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--hide-scrollbars",
)

#: Asks the page about itself and writes the answer where a test can read it: the title.
PROBE = """
<iframe id="page" src="report.html" style="width:WIDTHpx;height:900px;border:0"></iframe>
<pre id="answer">none</pre>
<script>
const frame = document.getElementById("page");
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const seen = view.performance.getEntriesByType("resource").map(entry => entry.name);
  for (const details of page.querySelectorAll("details")) details.open = true;
  const focusable = page.querySelectorAll("a[href], summary, [tabindex='0']");
  let reached = 0;
  for (const element of focusable) { element.focus(); reached += page.activeElement === element; }
  document.getElementById("answer").textContent = JSON.stringify({
    width: page.documentElement.scrollWidth, room: view.innerWidth, resources: seen,
    focusable: focusable.length, reached: reached,
    charts: [...page.querySelectorAll("svg[role=img]")].map(s => s.getBoundingClientRect().height),
  });
};
</script>
"""


def browse(folder, *arguments):
    profile = folder / "profile"
    return subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    run = str(folder / "run")
    commands = (
        ["generate", "--tokens", "16", "--run", run],
        ["compare", "--text", "tests/data/persuasion_excerpt.txt", "--tokens", "256", "--run", run],
        ["report", run, "-o", str(folder / "report.html")],
    )
    with pytest.MonkeyPatch.context() as patch:
        for arguments in commands:
            patch.setattr(sys, "argv", ["firstspike", *arguments])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            assert not stop.value.code
    return folder / "report.html"


@pytest.mark.skipif(not BROWSER, reason="chromium is missing: apt-get install chromium")
@pytest.mark.parametrize("width", [360, 1200])
def test_page(page, width):
    folder = page.parent
    probe = folder / f"probe{width}.html"
    probe.write_text(PROBE.replace("WIDTH", str(width)))
    log = folder / f"net{width}.json"
    done = browse(
        folder,
        "--allow-file-access-from-files",
        "--virtual-time-budget=4000",
        f"--log-net-log={log}",
        "--dump-dom",
        probe.as_uri(),
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    answer = json.loads(re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)[1])
    assert answer["resources"] == []
    assert answer["width"] <= answer["room"] == width
    assert answer["reached"] == answer["focusable"] > 20
    assert len(answer["charts"]) >= 7 and min(answer["charts"]) > 100
    # The browser asks its vendor for the time by itself; the page names no host at all.
    assert "://" not in page.read_text("utf-8")
    hosts = set(re.findall(r'"url":"(?:https?|wss?)://([^"/:]*)', log.read_text()))
    assert {host for host in hosts if not host.endswith("google.com")} == set()


@pytest.mark.skipif(not BROWSER, reason="chromium is missing: apt-get install chromium")
def test_screenshot(page):
    picture = page.parent / "report.png"
    done = browse(page.parent, "--window-size=1200,3000", f"--screenshot={picture}", page.as_uri())
    assert picture.is_file() and picture.stat().st_size > 50_000, done.stderr
