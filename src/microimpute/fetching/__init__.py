"""Fetching survey files from their publishers, once, into a folder that all projects share."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from microimpute.errors import FetchError, MissingExtraError, OutputError
from microimpute.fetching.addresses import Published, known, published
from microimpute.fetching.downloading import Resuming

__all__ = ["FOLDER", "Published", "cache", "fetch", "known"]

#: Environment variable that names the folder for fetched files.
FOLDER = "MICROIMPUTE_DATA"


def fetch(
    survey: str,
    year: int,
    part: str | None = None,
    *,
    address: str | None = None,
    sha256: str | None = None,
    folder: str | Path | None = None,
    offline: bool = False,
    contact: str = "",
    pause: float = 1.0,
    progress: Callable[[str, float], None] | None = None,
) -> Path:
    """Return the path of a survey's file, fetched from its publisher unless it is there already.

    Parameters
    ----------
    survey, year
        Which survey: the name of its connector.
    part
        Which of its files; `known` lists them. Default: the one that the connector reads.
    address
        Another address than the listed one.
    sha256
        Hash that the file must have; default: whatever comes is taken and its hash remembered.
    folder
        Where files are kept; default: `cache`.
    offline
        Never open a connection.
    contact
        E-mail address that publishers get to see; bls.gov refuses programs without.
    pause
        Seconds before a broken connection is tried again; doubled each time.
    progress
        Called with what is done and its share.

    Returns
    -------
    Path
        A whole file: it passes the hash, and if it is a zip its checksums; else nothing is there.

    Raises
    ------
    FetchError
        If no address is known, the file is not there or not whole, or its hash is another. What has come of a
        file when a connection breaks is kept, and the next call goes on from there.
    MissingExtraError
        If pooch is not installed.

    Notes
    -----
    Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY).
    """
    wanted = published(survey, year, part, address)
    _pooch()  # refuses before anything is looked for
    digest = _digest(sha256)
    place = Path(folder).expanduser() if folder is not None else cache()
    path = place / wanted.name
    if path.is_file():
        return _checked(path, digest)
    if offline:
        raise FetchError(
            f"{wanted.name} is not in {place}, and nothing may be fetched",
            f"Fetch it while there is a network, or put {wanted.address} there yourself.",
        )
    agent = f"microimpute/{version('microimpute')}" + (f" ({contact})" if contact else "")
    _download(wanted, path, digest, Resuming(path, agent, pause=pause, progress=progress))
    _remember(path, wanted)
    return path


def _download(wanted: Published, path: Path, digest: str | None, getter: Resuming) -> None:
    """Get a file whole, or leave nothing under its name."""
    names = {"registry": {path.name: digest}, "urls": {path.name: wanted.address}}
    keeper = _pooch().create(path=path.parent, base_url="", **names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        keeper.fetch(path.name, downloader=getter)
    except OSError as error:
        raise OutputError(
            f"{path} can't be written: {error.strerror or error}", f"Check space and rights, or set {FOLDER}."
        ) from None
    except ValueError:
        raise FetchError(
            f"{wanted.address} is another file than expected: its sha256 is not {digest}",
            "The publisher may have replaced it: compare versions, and give the new hash or none.",
        ) from None


def cache() -> Path:
    """Return the folder for fetched files: what `MICROIMPUTE_DATA` names, else the platform's own place for caches."""
    named = os.environ.get(FOLDER)
    return Path(named).expanduser() if named else Path(_pooch().os_cache("microimpute"))


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise MissingExtraError("pooch", "Fetching files", "pip install 'microimpute[fetch]'") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch


def _digest(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    plain = sha256.lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise FetchError(f"sha256 is {sha256!r}", "Give 64 hexadecimal digits.")
    return plain


def _facts(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remember(path: Path, wanted: Published) -> None:
    """Keep the hash of what was fetched beside it, so that a later change is seen."""
    said = {"address": wanted.address, "bytes": path.stat().st_size, "sha256": _hash(path)}
    _facts(path).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _checked(path: Path, digest: str | None) -> Path:
    """Refuse a file that is not the one asked for, or no longer the one that was fetched."""
    found, expected = _hash(path), digest
    if expected is None and _facts(path).is_file():
        try:
            expected = str(json.loads(_facts(path).read_text(encoding="utf-8"))["sha256"])
        except (ValueError, KeyError, TypeError):
            raise FetchError(f"{_facts(path)} is damaged", f"Delete it and {path.name}, and fetch again.") from None
    if expected is not None and found != expected:
        raise FetchError(
            f"{path} has the sha256 {found}, not {expected}",
            "It was changed, or is another version: move it away and fetch again, or give its own hash.",
        )
    return path
