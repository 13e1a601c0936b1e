"""Track C: where no household's truth is known, margins beside the donor's and published figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.rules import derive
from microimpute.tasks.base import Problem
from microimpute.weighted import quantile

__all__ = ["across_rows", "margins"]

FloatArray = npt.NDArray[np.float64]
Margins = dict[str, dict[str, dict[str, float]]]


def margins(problem: Problem, draws: FloatArray) -> Margins:
    """Compare draws with the donor's margins and published figures; nothing here is a score.

    Parameters
    ----------
    problem
        Of a task on track C.
    draws
        Shape (m, n, targets).

    Returns
    -------
    dict
        ``columns``: column → share non-zero, mean and median of donor and imputed; ``published``: figure → published,
        donor, imputed.
    """
    fusion = problem.fusion
    names = [t for t in fusion.targets if not fusion.variables[t].kind.is_class]
    drawn = {t: draws[:, :, i] for i, t in enumerate(fusion.targets) if t in names}
    drawn |= derive(fusion.identities, drawn)
    donors, weight = fusion.donor_columns(), fusion.donor.weights()
    theirs = np.broadcast_to(fusion.receiver.weights(), draws.shape[:2]).ravel()
    columns = {
        name: {
            f"{side} {statistic}": _statistic(statistic, values, w)
            for statistic in ("share", "mean", "median")
            for side, values, w in (("donor", donors[name], weight), ("imputed", imputed.ravel(), theirs))
        }
        for name, imputed in drawn.items()
    }
    published = {
        p.name: {
            "published": p.value,
            "donor": _statistic(p.statistic, donors[p.column], weight),
            "imputed": _statistic(p.statistic, drawn[p.column].ravel(), theirs),
        }
        for p in problem.published
    }
    return {"columns": columns, "published": published}


def _statistic(name: str, values: FloatArray, weight: FloatArray) -> float:
    if name == "median":
        return float(quantile(values, 0.5, weight))
    return float(f"{np.average(values != 0 if name == 'share' else values, weights=weight):.6g}")


def across_rows(across: pd.DataFrame) -> list[dict[str, Any]]:
    """Put track C's figures side by side, means over seeds, published ones first.

    Parameters
    ----------
    across
        As in `Scores.across`.

    Returns
    -------
    list of dict
        ``task, name, published, donor`` and ``imputed`` by method; None where there is no such figure.
    """
    mean: dict[tuple[str, ...], float] = {}
    place = ["task", "part", "name", "figure", "method"]
    for key, value in across.groupby(place, sort=False)["value"].mean().items():
        mean[tuple(map(str, key))] = float(value)  # type: ignore[call-overload]  # the index is a tuple of names
    rows = []
    for task, part, name, figure in dict.fromkeys(key[:4] for key in mean):
        if not figure.startswith("imputed"):
            continue
        own = figure.removeprefix("imputed").strip()
        imputed = {key[4]: value for key, value in mean.items() if key[:4] == (task, part, name, figure)}
        known = {
            side: next((v for k, v in mean.items() if k[:4] == (task, part, name, f"{side} {own}".strip())), None)
            for side in ("published", "donor")
        }
        rows.append({"task": task, "name": f"{name}, {own}" if own else name} | known | {"imputed": imputed})
    return sorted(rows, key=lambda row: (row["task"], row["published"] is None))
