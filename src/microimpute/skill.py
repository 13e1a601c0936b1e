"""Skill: errors put between two anchors, the null that ignores predictors and the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from microimpute.metrics.base import metrics

__all__ = ["FLOOR", "NULL", "ORACLE", "mean_skill", "with_skill"]

#: Labels of the two anchors; no method may be called so.
NULL = "null"
ORACLE = "oracle"

#: In means, a skill counts as no worse than this; tables show it as it is.
FLOOR = -1.0

#: Columns that name one instance of one metric for one target.
PLACE = ["task", "arm", "metric", "target"]


def with_skill(frame: pd.DataFrame) -> pd.DataFrame:
    """Add skill between the anchors.

    ``skill = (null − value) / max(null − oracle, matters)``, where null and oracle are means over seeds. Where a
    metric has no oracle on a task (scores of conditional distributions without a true sampler), the oracle is taken
    as 0: skill is then the share of the null's score that a method does away with, and 1 can't be reached.

    Where null and oracle are less than `Metric.matters`, or less than two standard errors of the null's mean over
    seeds, apart, the place is not ``informative``: the null is as good as can be (a shuffle of donor rows has right
    margins when donors and receivers are alike), nobody can show skill, but a method can still do harm. ``counted``
    is the skill where it is informative, elsewhere the harm, ``(null + matters − value) / matters`` where that is
    below zero; neither counts below `FLOOR` or above 1, which is the truth itself.

    Where the frame has a column ``noise``, the error that the truth itself may have when its households are drawn
    again, `matters` is at least that: a cross-validation in one sample has no other samples to show what is luck.
    """
    matters = {name: cls.matters for name, cls in metrics().items()}
    anchor = frame.groupby([*PLACE, "method"])["value"].mean().unstack("method")
    anchor = anchor.reindex(columns=[NULL, ORACLE]).rename(columns={NULL: "null", ORACLE: "oracle"})
    anchor["error"] = frame[frame["method"] == NULL].groupby(PLACE)["value"].sem()
    out = frame.merge(anchor, left_on=PLACE, right_index=True, how="left")
    least = out["metric"].map(matters)
    if "noise" in out:
        least = least.clip(lower=out["noise"].fillna(0.0))
    gap = out["null"] - out["oracle"].fillna(0.0)
    out["skill"] = (out["null"] - out["value"]) / np.maximum(gap, least)
    out["informative"] = gap >= np.maximum(least, 2 * out["error"].fillna(0.0))
    harm = np.minimum((out["null"] + least - out["value"]) / least, 0.0)
    out["counted"] = out["skill"].where(out["informative"], harm).clip(FLOOR, 1.0)
    return out


def mean_skill(frame: pd.DataFrame, by: list[str], nothing: float = np.nan) -> pd.Series[float]:
    """Average skill: over targets, then over metrics, where it is informative, less the mean harm elsewhere.

    Parameters
    ----------
    frame
        As `with_skill` returns.
    by
        Columns to keep.
    nothing
        Skill, before harm, where nothing is informative.

    Returns
    -------
    pandas.Series
        Indexed by those columns, at least `FLOOR`.
    """
    skill = frame[frame["informative"]].groupby([*by, "metric"])["counted"].mean().groupby(by).mean()
    harm = frame["counted"].where(~frame["informative"], 0.0)
    harmed = harm.groupby([frame[c] for c in (*by, "metric")]).mean().groupby(by).mean()
    return (skill.reindex(harmed.index).fillna(nothing) + harmed).clip(lower=FLOOR)
