"""Gates: what no score can make good."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from microimpute.fusion import Fusion
from microimpute.kinds import Kind
from microimpute.rules import Identity, derive

__all__ = ["gates"]

FloatArray = npt.NDArray[np.float64]

#: Share of draws that may break an edit rule beyond the truth's own share.
TOLERANCE = 0.001


def gates(fusion: Fusion, truth: FloatArray, draws: FloatArray, seconds: float, limit: float) -> dict[str, float]:
    """Measure what gates look at; a gate is shut by anything above zero.

    Parameters
    ----------
    fusion
        The problem; its rules are the edit rules.
    truth
        Shape (n, targets).
    draws
        Shape (m, n, targets).
    seconds, limit
        What fitting and drawing took, and may take.

    Returns
    -------
    dict
        ``missing``: share of values missing or infinite; ``support``: share of values that no donor could have (an
        unknown class, a fraction of a count, a negative amount where donors have none); ``edits``: share of draws
        that break a rule, beyond the truth's own share and a tolerance of one in a thousand; ``seconds over``.
    """
    finite = np.isfinite(draws)
    out = {"missing": float(1 - finite.mean()) if draws.size else 0.0, "support": 0.0, "edits": 0.0}
    if out["missing"] == 0 and draws.size:
        out["support"] = _outside(fusion, draws)
        own = _broken(fusion, truth[None])
        out["edits"] = max(0.0, _broken(fusion, draws) - own - TOLERANCE)
    out["seconds over"] = max(0.0, seconds - limit)
    return out


def _outside(fusion: Fusion, draws: FloatArray) -> float:
    donors = fusion.donor_columns()
    shares = []
    for position, name in enumerate(fusion.targets):
        variable, drawn = fusion.variables[name], draws[:, :, position]
        if variable.kind.is_class:
            outside = ~np.isin(drawn, np.arange(len(variable.levels)))
        else:
            outside = (drawn < 0) & (donors[name].min() >= 0)
            if variable.kind is Kind.COUNT:
                outside |= drawn != np.round(drawn)
        shares.append(outside.mean())
    return float(np.mean(shares))


def _broken(fusion: Fusion, draws: FloatArray) -> float:
    edits = [r for r in fusion.rules if not isinstance(r, Identity)]
    if not edits:
        return 0.0
    columns = {name: draws[:, :, i] for i, name in enumerate(fusion.targets)}
    amounts = {n: c for n, c in columns.items() if not fusion.variables[n].kind.is_class}
    columns |= derive(fusion.identities, amounts)
    return float(np.mean(np.any([r.broken(columns) for r in edits], axis=0)))
