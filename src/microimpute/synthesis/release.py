"""Synthetic data sets as they were released: files, and a manifest that says how they are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microimpute import design
from microimpute import manifest as manifest_file
from microimpute.errors import FusionError, OutputError
from microimpute.frames import as_frame
from microimpute.survey import Survey
from microimpute.synthesis.base import FITTING, SyntheticData

__all__ = ["Released", "load"]


@dataclass(frozen=True)
class Released(SyntheticData):
    """Synthetic data sets on disk, read when they are asked for; frames come as pandas.

    Attributes
    ----------
    folder
        Where they stand.
    kind, rule
        "fully synthetic" or "partially synthetic", and the combining rule that `pool` uses.
    manifest
        What was done, as plain values.
    """

    folder: Path
    kind: str
    rule: str
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def m(self) -> int:
        """Number of data sets."""
        return len(self.manifest["files"])

    @property
    def size_ratio(self) -> float:
        """Rows of a data set over rows of the survey."""
        return float(self.manifest["size_ratio"])

    def survey(self, number: int = 1) -> Survey:
        """Return a data set with what is known of its design."""
        if not 1 <= number <= self.m:
            raise FusionError(f"there is no data set {number}", f"Choose one of 1 to {self.m}.")
        frame = as_frame(self.folder / self.manifest["files"][number - 1])
        return design.from_plain(frame, self.manifest["survey"])


def load(folder: str | Path) -> Released:
    """Read what `Synthetic.save` or `PartiallySynthetic.save` wrote.

    Raises
    ------
    OutputError
        If it is none of these, a file is gone, or the manifest names a rule that is not for such data.
    """
    place = Path(folder)
    said = manifest_file.read(place)
    if said.get("kind") not in FITTING:
        raise OutputError(f"{place} holds no synthetic data", "Load imputations by Imputations.load.")
    if said.get("rule") not in FITTING[said["kind"]]:
        raise OutputError(
            f"the manifest in {place} pools {said['kind']} data by the rule {said.get('rule')!r}",
            f"It was changed; their rule is {said['kind']!r}.",
        )
    for name in said["files"]:
        if not (place / name).is_file():
            raise OutputError(f"{place} has no {name}", "Get all of its files.")
    return Released(place, said["kind"], said["rule"], said)
