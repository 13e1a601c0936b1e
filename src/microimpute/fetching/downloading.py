"""A downloader for pooch that goes on where it broke off.

pooch has none: its own throws away what it has when the connection breaks. This one keeps it beside the file, under
the name ``.<file>.partial``, with the server's mark of the version (ETag or Last-Modified), and asks for the rest
(RFC 9110, sections 13.1.5 and 14). Without such a mark, or if the server has another version by then, it starts over.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microimpute.errors import FetchError, SurveyError
from microimpute.frames import refuse_html

__all__ = ["Resuming"]

Progress = Callable[[str, float], None]

#: Bytes read at a time; of a piece that breaks in the middle nothing is kept.
CHUNK = 1 << 14
#: Seconds to wait for a connection, and for each piece of an answer.
PATIENCE = (15, 60)
#: Answers after which trying again makes sense.
BUSY = (408, 425, 429, 500, 502, 503, 504)


class Resuming:
    """Downloads a file in as many connections as it takes; pooch calls it.

    Parameters
    ----------
    target
        Where the file will stand in the cache; what has come so far is kept beside it.
    agent
        What we call ourselves.
    attempts
        Connections at most that bring nothing new.
    pause
        Seconds before the second attempt; doubled each time.
    progress
        Called with what is done and its share.
    """

    def __init__(
        self, target: Path, agent: str, *, attempts: int = 5, pause: float = 1.0, progress: Progress | None = None
    ) -> None:
        self.partial = target.parent / f".{target.name}.partial"
        self.mark = target.parent / f".{target.name}.mark"
        self.name, self.agent, self.attempts, self.pause = target.name, agent, attempts, pause
        self.tell = progress or (lambda step, share: None)

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download; the file named by pooch appears only when all of it is there.

        Raises
        ------
        FetchError
            If the server has no such file, sends a page instead, or the connection breaks for good.
        """
        self._whole(url)
        try:
            self._refuse_pages(url)
        except FetchError:
            self.forget()
            raise
        os.replace(self.partial, output_file)
        self.forget()

    def forget(self) -> None:
        """Remove what has come so far."""
        for path in (self.partial, self.mark):
            path.unlink(missing_ok=True)

    def _whole(self, url: str) -> None:
        import requests

        idle, last = 0, "nothing came"
        while idle < self.attempts:
            if idle:
                time.sleep(self.pause * 2 ** (idle - 1))
            before = self._size()
            try:
                if self._once(url):
                    return
                last = "the connection ended early"
            except requests.exceptions.RequestException as error:
                last = _reason(error)
            idle = 1 if self._size() > before else idle + 1
        kept = self._size()
        more = f" {kept:,} bytes are kept: fetch again, and it goes on from there." if kept else ""
        raise FetchError(
            f"{url} could not be fetched: {last}", f"Check the network, and the proxy that HTTPS_PROXY names.{more}"
        )

    def _once(self, url: str) -> bool:
        """Make one connection; returns whether the file is whole."""
        import requests

        have, mark = self._size(), self._read_mark(url)
        headers = {"User-Agent": self.agent, "Accept-Encoding": "identity"}
        if have and mark:
            headers |= {"Range": f"bytes={have}-", "If-Range": mark}
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == 416 and have and have == _total(answer):
                return True
            if answer.status_code in (*BUSY, 416):
                if answer.status_code == 416:
                    self.forget()
                raise requests.exceptions.ConnectionError(f"the server answers {answer.status_code}")
            self._refuse(answer, url)
            goes_on = answer.status_code == 206 and _start(answer) == have
            if answer.status_code == 206 and not goes_on:
                self.forget()
                return False
            if not goes_on:
                self.forget()
                self._write_mark(url, answer)
            return self._receive(answer, _total(answer))

    def _receive(self, answer: Any, total: int | None) -> bool:
        with self.partial.open("ab") as out:
            have = told = out.tell()
            for piece in answer.iter_content(CHUNK):
                have += out.write(piece)
                if have - told > (total or 200e6) / 20 or have == total:
                    size = f" of {total / 1e6:,.1f}" if total else ""
                    self.tell(f"{self.name}: {have / 1e6:,.1f}{size} MB", min(have / total, 1.0) if total else 0.0)
                    told = have
        return total is None or have == total

    def _refuse(self, answer: Any, url: str) -> None:
        code = answer.status_code
        if code in (200, 206):
            return
        if code in (401, 403):
            raise FetchError(
                f"{url} is refused to us (the server answers {code})",
                "Some publishers (bls.gov) want to know who asks: give --contact with your e-mail address; or fetch it "
                "with a browser.",
            )
        raise FetchError(
            f"{url} is not there (the server answers {code})",
            "The publisher may have moved it: look it up on their page and give --address.",
        )

    def _refuse_pages(self, url: str) -> None:
        try:
            refuse_html(self.partial)
        except SurveyError:
            raise FetchError(
                f"{url} sends a web page, not a file",
                "A proxy, a login page or a moved file may be behind it: open the address in a browser.",
            ) from None
        if self.name.lower().endswith(".zip"):
            with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(self.partial) as archive:
                if archive.testzip() is None:
                    return
            raise FetchError(f"{url} sends no zip file, or a damaged one", "Fetch it again; if it stays so, ask them.")

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.is_file() else 0

    def _read_mark(self, url: str) -> str | None:
        try:
            said = json.loads(self.mark.read_text(encoding="utf-8"))
            return str(said["mark"]) if said["url"] == url and said["mark"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write_mark(self, url: str, answer: Any) -> None:
        tag = answer.headers.get("ETag", "")
        strong = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
        self.mark.write_text(json.dumps({"url": url, "mark": strong}), encoding="utf-8")


def _total(answer: Any) -> int | None:
    """Return the size of the whole file, if the server says it."""
    if match := re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", answer.headers.get("Content-Range", "")):
        return int(match[1])
    length = answer.headers.get("Content-Length", "")
    packed = answer.headers.get("Content-Encoding", "identity") != "identity"  # then it is not the file's own length
    return int(length) if length.isdigit() and answer.status_code == 200 and not packed else None


def _start(answer: Any) -> int | None:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _reason(error: Exception) -> str:
    text = str(error)
    return text if len(text) < 120 else f"{type(error).__name__}: {text[:120]} …"
