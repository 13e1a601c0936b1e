"""One file's bytes, whether it stands by itself, gzipped, in a folder or in a zip."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from microimpute.errors import SurveyError, first_line
from microimpute.frames import UNREADABLE, refuse_html

__all__ = ["BROKEN", "names", "only", "opened"]

#: What reading a file raises that is cut off or of another format.
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, *UNREADABLE)


def names(path: Path) -> list[str]:
    """List the files of a zip or folder, with the folders they stand in; of a single file, its own name.

    Raises
    ------
    SurveyError
        If there is nothing there, or it is a web page or a zip that is cut off.
    """
    if path.is_dir():
        return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())
    if not path.is_file():
        raise SurveyError(f"there is no file or folder {path}", "Check the path.")
    refuse_html(path)
    if not path.name.lower().endswith(".zip"):
        return [path.name]
    try:
        with zipfile.ZipFile(path) as archive:
            return [i.filename for i in archive.infolist() if not i.is_dir()]
    except BROKEN as error:
        raise _cut_off(path, error) from None


def only(path: Path, pattern: str, what: str) -> str:
    """Return the one file whose name, without folders, matches a pattern.

    Parameters
    ----------
    path
        Zip, folder or file.
    pattern
        Regular expression for the whole name, in any case.
    what
        What the file is, for the error.

    Raises
    ------
    SurveyError
        If there is none, or more than one.
    """
    known = names(path)
    found = [n for n in known if re.fullmatch(pattern, Path(n).name, re.IGNORECASE)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(Path(n).name for n in (found or known)[:8]) or "nothing"
    problem = f"{path.name} holds {len(found) or 'no'} files that could be {what}" + (": " if found else "; there is ")
    raise SurveyError(problem + listed, "Give the file as published, or a folder or zip with one such file.")


@contextmanager
def opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open one of the files that `names` lists, unpacked if its name ends in .gz.

    Raises
    ------
    SurveyError
        If it can't be unpacked, here or while it is read.
    """
    try:
        if path.is_dir() or not path.name.lower().endswith(".zip"):
            single = path / name if path.is_dir() else path
            refuse_html(single)
            with _unpacked(single, name) as handle:
                yield handle
        else:
            with zipfile.ZipFile(path) as archive, archive.open(name) as packed, _unpacked(packed, name) as handle:
                yield handle
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _cut_off(path, error) from None


def _unpacked(source: Any, name: str) -> IO[bytes]:
    if name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(source, "rb"))
    return cast(IO[bytes], source.open("rb") if isinstance(source, Path) else source)


def _cut_off(path: Path, error: Exception) -> SurveyError:
    return SurveyError(f"{path.name} can't be unpacked: {first_line(error)}", "Get it again; it may be cut off.")
