"""Ranks with honest uncertainty: a hierarchical bootstrap over tasks and their instances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from microimpute.benchmark.scores import Scores

__all__ = ["ENOUGH", "SURE", "Ranking", "interval", "over_tasks", "rank", "resampled"]

FloatArray = npt.NDArray[np.float64]

#: A winner is declared only from this probability on, with all tasks and without any one of them.
SURE = 0.95
#: Fewest tasks from which a winner is declared.
ENOUGH = 5


@dataclass(frozen=True)
class Ranking:
    """Who is better, and how sure that is.

    Attributes
    ----------
    table
        Per method: ``mean_rank`` with ``low`` and ``high`` (95% interval), ``p_best``, ``best_without`` and
        ``worst_without`` (range of its rank by mean rank when one task is left out).
    better
        Probability that the row's method has a smaller mean rank than the column's.
    winner
        Label, or None when the data don't separate the methods.
    why
        One sentence on the winner, or on why there is none.
    """

    table: pd.DataFrame
    better: pd.DataFrame
    winner: str | None
    why: str


def rank(scores: Scores, resamples: int = 1000, seed: int = 0) -> Ranking:
    """Rank methods by their mean over families, task by task.

    Tasks (with all their arms) are drawn with replacement, then within each arm the seeds: a seed is a new division
    of the households into donors and receivers, or a new population, so it carries the error of households.
    Instances that not all methods ran on, or that are informative in no family, are left out.

    Parameters
    ----------
    scores
        Of at least one method.
    resamples
        Number of bootstrap resamples.
    seed
        Of the bootstrap.
    """
    value = scores.families().mean(axis=1).unstack("method")
    methods = list(value.columns)
    nothing = value.iloc[:1].notna() * 0.0  # one instance on which all are equal
    value = value.dropna() if value.notna().all(axis=1).any() else nothing
    instances = [
        [arm.to_numpy() for _, arm in by_task.groupby(level="arm")] for _, by_task in value.groupby(level="task")
    ]
    names = [str(name) for name, _ in value.groupby(level="task")]
    rng = np.random.default_rng(seed)
    drawn = _bootstrap(instances, resamples, rng)
    own = _mean_ranks([[arm.mean(axis=0) for arm in arms] for arms in instances])
    without = [_leave_out(instances, k, resamples, seed) for k in range(len(instances))] if len(names) > 1 else []
    table = _table(methods, own, drawn, [mean for mean, _ in without])
    better = pd.DataFrame((drawn[:, :, None] < drawn[:, None, :]).mean(axis=0), index=methods, columns=methods)
    winner, why = _winner(methods, drawn, dict(zip(names, [d for _, d in without], strict=False)))
    return Ranking(table.sort_values("mean_rank"), better, winner, why)


def _mean_ranks(arms_of_tasks: list[list[FloatArray]]) -> FloatArray:
    """Return the mean over tasks of the mean over arms of ranks (1 is best, ties share), shape (methods,)."""
    from scipy.stats import rankdata

    return np.asarray(np.mean([np.mean([rankdata(-arm) for arm in arms], axis=0) for arms in arms_of_tasks], axis=0))


def _bootstrap(instances: list[list[FloatArray]], resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return mean ranks, shape (resamples, methods)."""
    out = []
    for _ in range(resamples):
        tasks = rng.integers(len(instances), size=len(instances))
        means = [[arm[rng.integers(len(arm), size=len(arm))].mean(axis=0) for arm in instances[t]] for t in tasks]
        out.append(_mean_ranks(means))
    return np.array(out)


def _leave_out(instances: list[list[FloatArray]], k: int, resamples: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rest = instances[:k] + instances[k + 1 :]
    drawn = _bootstrap(rest, resamples, np.random.default_rng([seed, k]))
    return _mean_ranks([[arm.mean(axis=0) for arm in arms] for arms in rest]), drawn


def _table(methods: list[str], own: FloatArray, drawn: FloatArray, without: list[FloatArray]) -> pd.DataFrame:
    from scipy.stats import rankdata

    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    places = np.array([rankdata(w, method="min") for w in (without or [own])])
    return pd.DataFrame(
        {
            "mean_rank": own,
            "low": low,
            "high": high,
            "p_best": _p_best(drawn),
            "best_without": places.min(axis=0).astype(int),
            "worst_without": places.max(axis=0).astype(int),
        },
        index=pd.Index(methods, name="method"),
    )


def _p_best(drawn: FloatArray) -> FloatArray:
    """Return the probability of the least mean rank; ties share it."""
    least = drawn == drawn.min(axis=1, keepdims=True)
    return np.asarray((least / least.sum(axis=1, keepdims=True)).mean(axis=0))


def _winner(methods: list[str], drawn: FloatArray, without: dict[str, FloatArray]) -> tuple[str | None, str]:
    chance = _p_best(drawn)
    best = int(np.argmax(chance))
    if len(methods) == 1:
        return None, "There is only one method."
    if len(without) < ENOUGH:
        few = f"{len(without)} tasks are" if without else "One task is"
        return None, f"{few} too few to declare a winner; it takes {ENOUGH}."
    if chance[best] < SURE:
        return (
            None,
            f"The data do not separate the methods: {methods[best]} is best with probability {chance[best]:.2f}.",
        )
    for task, alone in without.items():
        if _p_best(alone)[best] < SURE:
            return None, f"The data do not separate the methods: without {task}, {methods[best]} is not surely best."
    return methods[best], f"{methods[best]} is best with probability {chance[best]:.2f}, and without any one task."


def interval(scores: Scores, resamples: int = 1000, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return 95% bootstrap intervals of each method's skill, by family and of their mean.

    Returns
    -------
    dict
        Family, or ``"mean"`` → frame with columns ``low`` and ``high``, a row per method.
    """
    families = scores.families()
    by_family = resampled(pd.DataFrame(families.unstack("method")), resamples, seed)
    parts = {str(f): pd.DataFrame(by_family[f]) for f in families.columns}
    parts["mean"] = by_family.T.groupby(level="method").mean().T
    return {name: part.quantile([0.025, 0.975]).T.set_axis(["low", "high"], axis=1) for name, part in parts.items()}


def over_tasks(value: pd.DataFrame) -> pd.Series[float]:
    """Average over seeds, then arms, then tasks, each over what is known there.

    Parameters
    ----------
    value
        Index with the levels task and arm.

    Returns
    -------
    pandas.Series
        One value per column; NaN where nothing is known.
    """
    means = [_mean_of_known([_mean_of_known(arm) for arm in arms]) for arms in _by_task(value)]
    return pd.Series(_mean_of_known(means), index=value.columns)


def resampled(value: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Average as `over_tasks` does, again and again: tasks are drawn with replacement, and seeds within their arms.

    All columns see the same tasks and seeds, so that differences between them are paired.

    Returns
    -------
    pandas.DataFrame
        A row per resample, the columns of `value`.
    """
    tasks = _by_task(value)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        chosen = [tasks[t] for t in rng.integers(len(tasks), size=len(tasks))]
        drawn.append(_mean_of_known([_redrawn(arms, rng) for arms in chosen]))
    return pd.DataFrame(drawn, columns=value.columns)


def _by_task(value: pd.DataFrame) -> list[list[FloatArray]]:
    return [[arm.to_numpy() for _, arm in task.groupby(level="arm")] for _, task in value.groupby(level="task")]


def _redrawn(arms: list[FloatArray], rng: np.random.Generator) -> FloatArray:
    """Return the mean over arms of the mean over redrawn seeds, shape (columns,)."""
    return _mean_of_known([_mean_of_known(a[rng.integers(len(a), size=len(a))]) for a in arms])


def _mean_of_known(values: FloatArray | list[FloatArray]) -> FloatArray:
    """Average over the first axis what is known; NaN where nothing is."""
    values = np.asarray(values)
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan))
