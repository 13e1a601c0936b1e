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
        Where files are now, if they have moved, by their names in the manifest's ``inputs``: ``"donor"``,
        ``"receiver"``, a stage's name, ``"donor/replicates"``.
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
    recipe = _moved(recorded, inputs or {}, Path(folder))
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again"
        run(recipe, again, workers=workers, progress=progress)
        found = manifest.read(again)
    lines = [
        Difference(f"input {side}", facts["sha256"], found["inputs"].get(side, {}).get("sha256", "not read"))
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


def _moved(content: dict[str, Any], inputs: Mapping[str, str | Path], folder: Path) -> Recipe | StagedRecipe:
    """Make the recipe again, with files where they are now."""
    plain, recorded = content["recipe"], content["inputs"]
    places = {stage["name"]: stage for stage in plain.get("stage", ())}
    for name, path in inputs.items():
        side, _, option = name.partition("/")
        holder, key = (places[side], "donor") if side in places else (plain, side)
        if key not in holder or not (name in recorded or option in holder[key]):
            raise OutputError(f"the run has no input {name!r}", f"Name one of {', '.join(recorded)}.")
        dropped = () if option else ("bundled",)
        kept = {k: v for k, v in holder[key].items() if k not in dropped}
        holder[key] = kept | {option or "path": str(Path(path).absolute())}
    return (StagedRecipe if places else Recipe).from_dict(plain, folder)
