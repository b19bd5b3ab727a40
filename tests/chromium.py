"""Real Chromium for tests of what people look at."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.servers import unavailable

MEASURE = """
const luminance = c => {
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const [r, g, b] = c.map(v => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const parts = colour => colour.match(/[\\d.]+/g).map(Number);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
function measure(frame) {
  const page = frame.contentDocument, texts = [];
  const walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.getClientRects().length) continue;
    const [a, b] = [parts(getComputedStyle(element).color), behind(element)].map(luminance);
    texts.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), walk.currentNode.data.trim()]);
  }
  texts.sort((one, other) => one[0] - other[0]);
  const sheet = page.querySelector('.sheet');
  return {
    wide: page.documentElement.scrollWidth - frame.clientWidth,
    contrast: texts[0][0], faintest: texts[0][1],
    images: [...page.images].map(i => [i.alt, i.naturalWidth, i.clientWidth]),
    sheet: sheet && getComputedStyle(sheet).backgroundColor,
  };
}
onload = () => {
  document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(measure));
};
"""


def looked_at(page: str, widths: tuple[int, ...], *, dark: bool, folder: Path) -> list[dict]:
    """What a browser makes of a page at each width: overflow, the faintest text, its images."""
    program = shutil.which("chromium")
    if program is None:
        unavailable("chromium")
    frames = "".join(
        f'<iframe width="{w}" height="900" srcdoc="{html.escape(page)}"></iframe>' for w in widths
    )
    file = folder / "look.html"
    file.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{frames}<script>{MEASURE}</script>",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--virtual-time-budget=3000", f"--user-data-dir={folder / 'profile'}"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *("--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title, done.stderr
    found: list[dict[str, Any]] = json.loads(html.unescape(title[1]))
    return found
