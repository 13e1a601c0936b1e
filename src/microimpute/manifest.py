"""Manifests: what makes a run repeatable, with hashes of everything that went in and came out."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from microimpute import design
from microimpute.errors import OutputError
from microimpute.fusion import Fusion
from microimpute.methods.base import Method
from microimpute.survey import Survey

__all__ = ["FILE", "cautions", "describe_run", "describe_survey", "file_facts", "read", "sha256", "versions", "write"]

#: Name of the manifest in an output directory.
FILE = "manifest.json"

#: Version of the manifest's own layout.
LAYOUT = 1

#: Packages whose version can change a result.
_PACKAGES = ("microimpute", "numpy", "pandas", "pyarrow", "scikit-learn", "narwhals", "matplotlib")


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and hash of an input; of a folder, over the names and hashes of the files in it."""
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        listed = "".join(f"{p.relative_to(path).as_posix()} {sha256(p)}\n" for p in inside)
        size = sum(p.stat().st_size for p in inside)
        return {"file": path.name, "bytes": size, "sha256": hashlib.sha256(listed.encode()).hexdigest()}
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def versions() -> dict[str, str]:
    """Versions of Python and of every package that can change a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest into an output directory."""
    text = json.dumps({"layout": LAYOUT, **content}, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """Read the manifest of an output directory.

    Raises
    ------
    OutputError
        If there is none, or it is damaged or of another layout.
    """
    path = folder / FILE
    if not path.is_file():
        raise OutputError(f"{folder} has no {FILE}", "Name a directory that microimpute wrote.")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{path} is damaged: {error}", "Run the recipe again.") from None
    if content.get("layout") != LAYOUT:
        raise OutputError(f"{path} has layout {content.get('layout')!r}", "Run the recipe again with this version.")
    return content


def describe_run(
    fusion: Fusion,
    method: Method,
    *,
    m: int,
    draws: int = 1,
    seed: int,
    broken: Mapping[str, int],
    resampling: str,
    learnt: Sequence[Mapping[str, Any]] = (),
    donor_use: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Say in plain values what was done: the part of a manifest that does not speak of files.

    `draws` is how many of the m implicates each model learnt gives, `resampling` says how implicates' donors
    differ, `learnt` is what each implicate's fit has to say (see `Method.learnt`), `donor_use` how often each
    implicate's draws use donors, where rows come from one donor each; both are left out if that is nothing.
    """
    told = {"donor_use": [dict(use) for use in donor_use]} if donor_use else {}
    return told | {
        "method": {
            "name": method.name,
            "settings": method.settings,
            "joint": method.joint,
            "proper": method.proper,
            "coverage": method.coverage,
        }
        | ({"learnt": [dict(said) for said in learnt]} if any(learnt) else {}),
        "m": m,
        "draws": draws,
        "seed": seed,
        "donor": describe_survey(fusion.donor),
        "receiver": describe_survey(fusion.receiver),
        "resampling": resampling,
        "donor_implicates": list(fusion.implicates),
        "predictors": [_describe_variable(fusion, p) for p in fusion.predictors],
        "targets": [_describe_variable(fusion, t) for t in fusion.targets],
        "derived": list(fusion.derived),
        "rules": [{"rule": rule, "broken_draws": count} for rule, count in broken.items()],
        "notes": [{"text": n.text, "count": n.count, "warning": n.warning} for n in fusion.notes],
    }


def cautions(manifest: Mapping[str, Any]) -> list[str]:
    """Say of the methods that drew what a reader of pooled intervals must know; empty where they are shown to cover."""
    told = []
    for made in (stage.get("method", {}) for stage in manifest.get("stages", [manifest])):
        name, why = made.get("name"), made.get("coverage", "")
        if (proper := made.get("proper", True)) is None:
            told.append(
                f"Method {name!r}: no study shows how often its pooled intervals hold the truth. {why}".rstrip()
            )
        elif not proper:
            told.append(f"Method {name!r} is not proper. {why}".rstrip())
        elif why:
            told.append(f"Method {name!r}: {why}")
    return list(dict.fromkeys(told))


def describe_survey(survey: Survey) -> dict[str, Any]:
    """Say in plain values what a survey is: its rows, and its design (see `microimpute.design`)."""
    counts = {"rows": len(survey), "sum_of_weights": float(survey.weights().sum())}
    return counts | design.as_plain(survey)


def _describe_variable(fusion: Fusion, name: str) -> dict[str, Any]:
    variable = fusion.variables[name]
    label = fusion.donor.labels.get(name, "")
    return {"name": name, "kind": variable.kind.value, "kind_from": variable.reason, "label": label}
