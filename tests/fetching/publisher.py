"""A publisher on loopback that misbehaves on purpose."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


def zipped(seed: int) -> bytes:
    """A zip of 300 kB that does not compress."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("SCFP.csv", np.random.default_rng(seed).bytes(300_000))
    return out.getvalue()


CONTENT, NEWER = zipped(1), zipped(2)
CUT = 6 * (1 << 14)  # whole pieces, so that nothing that came is lost
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Publisher(ThreadingHTTPServer):
    """Serves one file; how, the path says. `asked` lists path, Range header and agent of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None, str]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def times(self, name: str) -> int:
        return sum(path.endswith(name) for path, _, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Publisher

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range"), self.headers["User-Agent"]))
        name = self.path.rpartition("/")[2].partition(".")[0]
        getattr(self, f"send_{name}", self.send_nothing_there)()

    def send(self, body: bytes, code: int = 200, cut: int | None = None, **headers: str) -> None:
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True  # the rest never comes

    def send_range(self, content: bytes, tag: str, cut: int | None = None) -> None:
        wanted, mark = self.headers.get("Range"), self.headers.get("If-Range")
        if wanted and mark == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send(b"", 416, Content_Range=f"bytes */{len(content)}")
                return
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send(content[start:], 206, cut, ETag=tag, Content_Range=span)
        else:
            self.send(content, 200, cut, ETag=tag)

    def send_nothing_there(self) -> None:
        self.send(b"<html>404</html>", 404)

    def send_good(self) -> None:
        self.send_range(CONTENT, '"v1"')

    def send_breaks(self) -> None:
        self.send_range(CONTENT, '"v1"', CUT)

    def send_breaksonce(self) -> None:
        self.send_range(CONTENT, '"v1"', CUT if self.server.times("breaksonce.zip") == 1 else None)

    def send_norange(self) -> None:
        self.send(CONTENT, cut=CUT if self.server.times("norange.zip") == 1 else None)

    def send_changes(self) -> None:
        first = self.server.times("changes.zip") == 1
        self.send_range(CONTENT if first else NEWER, '"v1"' if first else '"v2"', CUT if first else None)

    def send_never(self) -> None:
        self.close_connection = True

    def send_stuck(self) -> None:
        if self.headers.get("Range"):
            self.close_connection = True
        else:
            self.send_range(CONTENT, '"v1"', CUT)

    def send_busy(self) -> None:
        if self.server.times("busy.zip") < 3:
            self.send(b"later", 503)
        else:
            self.send_good()

    def send_page(self) -> None:
        self.send(b"\n<!DOCTYPE html><html><body>Please log in</body></html>", Content_Type="text/html")

    def send_damaged(self) -> None:
        body = bytearray(CONTENT)
        body[150_000] ^= 1
        self.send(bytes(body))

    def send_text(self) -> None:
        self.send(b"a,b\n1,2\n")

    def send_refused(self) -> None:
        if "@" in self.headers["User-Agent"]:
            self.send_good()
        else:
            self.send(b"<html>Access denied</html>", 403)

    def send_packed(self) -> None:
        import gzip

        self.send(gzip.compress(CONTENT), Content_Encoding="gzip")

    def send_elsewhere(self) -> None:
        """Answers a range with another range than was asked for."""
        if self.headers.get("Range") and self.server.times("elsewhere.zip") == 2:
            span = f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send(CONTENT[7:], 206, ETag='"v1"', Content_Range=span)
        else:
            self.send_range(CONTENT, '"v1"', CUT if self.server.times("elsewhere.zip") == 1 else None)
