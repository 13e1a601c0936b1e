"""Verifies an output directory: everything is done again, and hashes are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microimpute import manifest
from microimpute.errors import OutputError
from microimpute.implicates import Progress
from microimpute.recipe import Recipe
from microimpute.recipe_of_stages import StagedRecipe
from microimpute.runner.running import run

__all__ = ["Difference", "verify"]


@dataclass(frozen=True)
class Difference:
    """One line of a verification: a file or package, what the manifest says, and what is found now."""

    what: str
    recorded: str
    found: str

    @property
    def same(self) -> bool:
        """Whether the two agree."""
        return self.recorded == self.found


def verify(
    folder: str | Path,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Difference]:
    """Run a manifest again and compare hashes.

    Parameters
    ----------
    folder
        An output directory of `run`.
    inputs
        Where files are now, if they have moved: ``{"donor": path, "receiver": path}``, or by the names of stages.
    workers, progress
        As in `run`.

    Returns
    -------
    list of Difference
        Inputs, package versions and outputs, each recorded and found.

    Raises
    ------
    OutputError
        If the directory was not written by a recipe.
    """
    recorded = manifest.read(Path(folder))
    if "recipe" not in recorded or "outputs" not in recorded:
        raise OutputError(f"{folder} was not written by a recipe", "Only runs of recipes can be verified.")
    recipe = _moved(recorded["recipe"], inputs or {}, Path(folder))
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again"
        run(recipe, again, workers=workers, progress=progress)
        found = manifest.read(again)
    lines = [
        Difference(f"input {side}", facts["sha256"], found["inputs"][side]["sha256"])
        for side, facts in recorded["inputs"].items()
    ]
    lines += [Difference(f"version of {p}", v, found["versions"].get(p, "")) for p, v in recorded["versions"].items()]
    for name, digest in recorded["outputs"].items():
        kept = Path(folder) / name
        lines.append(
            Difference(f"{name} as it lies there", digest, manifest.sha256(kept) if kept.is_file() else "gone")
        )
        lines.append(Difference(f"{name} made again", digest, found["outputs"][name]))
    return lines


def _moved(plain: dict[str, Any], inputs: Mapping[str, str | Path], folder: Path) -> Recipe | StagedRecipe:
    """Make the recipe again, with files where they are now."""
    places = {stage["name"]: stage for stage in plain.get("stage", ())}
    for side, path in inputs.items():
        holder, key = (places[side], "donor") if side in places else (plain, side)
        if key not in holder:
            raise OutputError(f"the run has no {side!r}", f"Name one of {', '.join([*places, 'donor', 'receiver'])}.")
        holder[key] = {k: v for k, v in holder[key].items() if k != "bundled"} | {"path": str(Path(path).absolute())}
    return (StagedRecipe if places else Recipe).from_dict(plain, folder)
