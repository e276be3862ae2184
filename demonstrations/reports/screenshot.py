"""Draws a report's page with Chromium."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from excerpts import neutral

CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0", "--window-size=1200,1250")


def screenshot(page: Path, into: Path, *options: str, text: str = "") -> None:
    """Have Chromium draw a page, with only what has a text in it if that is given."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, page.name)
        chosen = f"form.elements.text.value = {json.dumps(text)}; show();\n</script>\n</body>"
        copy.write_text(
            neutral(page.read_text(encoding="utf-8")).replace("</script>\n</body>", chosen), encoding="utf-8"
        )
        where = [f"--user-data-dir={scratch}/profile", f"--screenshot={into}"]
        subprocess.run([*CHROMIUM, *where, *options, copy.as_uri()], check=True, capture_output=True, timeout=300)
