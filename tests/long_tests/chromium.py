"""A headless Chromium that can reach nobody: whatever it asks for is written down by a proxy that answers nothing."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps",
    # A frame in a process of its own may not be painted yet when the picture is taken.
    "--disable-features=NetworkTimeServiceQuerying,IsolateSandboxedIframes",
    "--disable-domain-reliability", "--metrics-recording-only", "--no-pings", "--hide-scrollbars", "--proxy-bypass-list=<-loopback>",
)  # fmt: skip
_OWN = ("//accounts.google.com", "//update.googleapis.com", "//clients2.google.com", "//www.google.com")
"""Whom the program itself asks for, with every flag against it: its updates, the time, accounts."""

_DARK = "--blink-settings=preferredColorScheme=0"

_MEASURE = """
const found = {};
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument, root = page.documentElement;
  for (const part of page.querySelectorAll("details")) part.open = true;
  // Text that leaves its drawing; a drawing inside another one cuts its own text off.
  const lost = [...page.querySelectorAll("svg text")].filter((text) => {
    const own = text.ownerSVGElement;
    if (own.ownerSVGElement) return false;
    const box = text.getBoundingClientRect(), all = own.getBoundingClientRect();
    return box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 2 || box.bottom > all.bottom + 2;
  });
  found[frame.name] = {
    wide: root.clientWidth,
    needs: root.scrollWidth,
    text: page.body.innerText,
    ran: root.hasAttribute("data-ran"),
    lost: lost.map((text) => text.textContent),
    tops: [...page.querySelectorAll(".rounds > section")].map((one) => one.getBoundingClientRect().top),
  };
}
document.getElementById("found").textContent = JSON.stringify(found);
"""


@dataclass
class Chromium:
    """A browser that is started anew for each page, with an empty profile.

    Args:
        program: Its path.
        folder: Where profiles and pages go.
        proxy: Port of the proxy.
        asked: The first line of everything that came to the proxy, but for the program's own.
    """

    program: str
    folder: Path
    proxy: int
    asked: list[str] = field(default_factory=list)

    def dom(self, page: Path) -> str:
        """The page's elements after it was loaded."""
        return self._run("--dump-dom", page.as_uri())

    def screenshot(self, page: Path, wide: int, high: int, *, dark: bool = False) -> Path:
        """The page as a picture."""
        file = self.folder / f"{page.stem}-{wide}{'-dark' if dark else ''}.png"
        # Time that passes for the page alone: frames are drawn by then.
        more = ["--virtual-time-budget=2000", *([_DARK] if dark else [])]
        self._run(f"--window-size={wide},{high}", f"--screenshot={file}", *more, page.as_uri())
        return file

    def framed(self, page: str, wide: int, high: int, script: str = "") -> Path:
        """A page that shows another one at a width of its own, since windows have a least width."""
        frame = f'<iframe name="{wide}" style="width:{wide}px;height:{high}px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        file = self.folder / f"framed-{wide}.html"
        more = (
            f'<pre id="found"></pre><script>addEventListener("load", () => {{{script}}})</script>'
            if script
            else ""
        )
        file.write_text(
            f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frame}{more}', encoding="utf-8"
        )
        return file

    def measured(self, page: str, wide: int) -> Mapping[str, Any]:
        """What a page needs, shows and does in a window of a width, with all that can be opened open."""
        told = self.dom(self.framed(page, wide, 2000, _MEASURE))
        found = re.search(r'<pre id="found">(.+?)</pre>', told, re.DOTALL)
        assert found, "the page could not be measured"
        return dict(json.loads(html.unescape(found[1]))[str(wide)])

    def _run(self, *arguments: str) -> str:
        profile = self.folder / "profile"
        command = [
            self.program,
            *_FLAGS,
            f"--user-data-dir={profile}",
            f"--proxy-server=http://127.0.0.1:{self.proxy}",
        ]
        try:
            done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=100)
        finally:
            shutil.rmtree(profile, ignore_errors=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A browser, and the proxy it has to go through.

    Raises:
        RuntimeError: If there is no Chromium.
    """
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError(
            "these tests need the program `chromium`: apt-get install chromium (Debian), or put one on the PATH"
        )
    asked: list[str] = []

    class Refuses(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(2000).decode("latin-1").strip()
            if (
                not line.replace("CONNECT ", "CONNECT //")
                .partition(" ")[2]
                .removeprefix("http:")
                .startswith(_OWN)
            ):
                asked.append(line)
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Refuses) as server:
        server.daemon_threads = True
        running = Thread(target=server.serve_forever, daemon=True)
        running.start()
        try:
            yield Chromium(program, folder, server.server_address[1], asked)
        finally:
            server.shutdown()
            running.join()
