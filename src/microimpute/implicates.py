"""Implicate by implicate: resample the donors, fit, draw; then columns, totals and what was done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import manifest as manifest_file
from microimpute import rules as edit_rules
from microimpute.frames import Series, make_series
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Table, decode, is_whole
from microimpute.methods.base import DonorMethod, Method
from microimpute.resampling import how, resampled

__all__ = ["After", "Again", "Drawn", "Progress", "Workers", "collect", "draw_all", "draw_into", "fit", "round_whole"]

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

#: Receiver rows drawn at a time; results do not depend on it.
CHUNK = 20_000


#: (rows, attempt) → new draws for these rows, shape (len(rows), targets).
Again = Callable[[npt.NDArray[np.int64], int], FloatArray]
#: (implicate, its draws, what it is drawn from, a function that draws rows again); changes the draws in place.
After = Callable[[int, FloatArray, Fusion, Again], None]


@dataclass(frozen=True)
class Drawn:
    """What a method drew, and how.

    Attributes
    ----------
    values
        float64, shape (m, receivers, targets).
    seed, draws
        As asked.
    learnt
        What each implicate's fit has to say.
    donor_use
        How often each implicate uses donors; empty where rows do not come from one donor each.
    """

    values: FloatArray
    seed: int
    draws: int
    learnt: list[dict[str, Any]]
    donor_use: list[dict[str, Any]]


def draw_all(
    fusion_of: Callable[[int], Fusion],
    method: Method,
    *,
    m: int,
    draws: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    after: After | None = None,
) -> Drawn:
    """Draw all implicates.

    Parameters
    ----------
    fusion_of
        Implicate 1, 2, … → the fusion it is drawn from: one and the same, or receivers whose predictors differ from
        implicate to implicate, having been imputed themselves.
    method, m, draws, seed, workers, progress
        As in `impute`, checked.
    after
        Called with each implicate's number and draws, shape (receivers, targets), to change them in place; with the
        fusion that it is drawn from; and with a function that draws rows again: (rows, attempt 1, 2, …) → shape
        (len(rows), targets).
    """
    tell = progress or (lambda step, share: None)
    first = fusion_of(1)
    drawn = np.empty((m, len(first.receivers), len(first.targets)))
    learnt: list[dict[str, Any]] = []
    uses: list[dict[str, Any]] = []
    with Workers(workers) as pool:
        for i in range(1, m + 1):
            ready = first if i == 1 else fusion_of(i)
            if (i - 1) % draws == 0:
                tell(f"implicate {i} of {m}: learning", (i - 1) / m)
                fitted = fit(ready, method, (i - 1) // draws + 1, seed)
            learnt.append(fitted.learnt())
            tell(f"implicate {i} of {m}: drawing", (i - 0.5) / m)
            use = draw_into(drawn[i - 1], fitted, ready.receivers, RowRandom(seed, i, ready.receiver_keys), pool)
            uses += [use] if use else []
            round_whole(drawn[i - 1], ready)
            if after is not None:
                after(i, drawn[i - 1], ready, _again(fitted, ready, i, seed, pool))
    tell("drawn", 1.0)
    return Drawn(drawn, seed, draws, learnt, uses)


class Workers(ThreadPoolExecutor):
    """Threads for drawing; inside, BLAS keeps to one thread so that the last bits repeat."""

    def __init__(self, workers: int | None) -> None:
        from joblib import cpu_count, parallel_config
        from threadpoolctl import threadpool_limits

        count = workers or cpu_count()
        super().__init__(max_workers=count)
        self._limits = threadpool_limits(1)
        self._config = parallel_config(backend="threading", n_jobs=count)

    def __enter__(self) -> Workers:
        self._config.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._config.__exit__(*error)
        self._limits.restore_original_limits()


def _again(fitted: Method, fusion: Fusion, implicate: int, seed: int, pool: ThreadPoolExecutor) -> Again:
    def redraw(rows: npt.NDArray[np.int64], attempt: int) -> FloatArray:
        other = int(generator(seed, attempt, "drawn again").integers(2**62))
        out = np.empty((len(rows), len(fusion.targets)))
        rng = RowRandom(other, implicate, fusion.receiver_keys[rows])
        draw_into(out, fitted, fusion.receivers.take(rows), rng, pool)
        round_whole(out, fusion)
        return out

    return redraw


def round_whole(block: FloatArray, fusion: Fusion) -> None:
    """Round targets that are whole numbers in place, shape (rows, targets), as the file will hold them.

    Rules, bridges and totals then see what is written.
    """
    for j, target in enumerate(fusion.targets):
        if is_whole(fusion.variables[target]):
            np.rint(block[:, j], out=block[:, j])


def fit(fusion: Fusion, method: Method, implicate: int, seed: int) -> Method:
    """Fit a fresh copy of a method to one implicate's resample of the donors, or to them as they are."""
    training = fusion.training(implicate)
    if method.resampled:
        training = resampled(training, seed, implicate)
    return method.fresh().fit(training.X, training.Y, training.weight, generator(seed, implicate, "fit"))


def draw_into(out: FloatArray, fitted: Method, X: Table, rng: RowRandom, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """Draw for all rows, chunk by chunk or all at once, into an array of shape (rows, targets).

    Returns
    -------
    dict
        How often donors are used, see `_donor_use`; empty where rows do not come from one donor each.
    """
    size = CHUNK if fitted.rowwise else max(1, len(X))

    def one(start: int) -> tuple[npt.NDArray[np.int64], int] | None:
        rows = slice(start, start + size)
        if not (isinstance(fitted, DonorMethod) and fitted.whole):
            out[rows] = fitted.draw(X.take(rows), rng.take(rows))
            return None
        donor, fell_back = fitted.choose(X.take(rows), rng.take(rows))
        out[rows] = fitted.bundles[donor]
        return np.bincount(donor, minlength=len(fitted.bundles)), int(fell_back.sum())

    parts = [part for part in pool.map(one, range(0, len(X), size)) if part is not None]
    return _donor_use(sum(uses for uses, _ in parts), sum(count for _, count in parts)) if parts else {}


def _donor_use(uses: Any, fell_back: int) -> dict[str, Any]:
    """Sum up how often each donor is used, shape (donors,).

    Returns
    -------
    dict
        ``rows`` drawn for, ``donors`` there are, donors ``used`` at all, uses of the ``most_used`` one, and the
        ``effective`` number of donors, (Σu)² / Σu²: as many, used equally, would carry as much (Kish 1965); and
        the rows that ``fell_back`` on donors from outside their donor class.
    """
    total = int(uses.sum())
    return {
        "rows": total,
        "donors": len(uses),
        "used": int((uses > 0).sum()),
        "most_used": int(uses.max()),
        "effective": round(total**2 / float(np.sum(uses.astype(np.float64) ** 2)), 1),
        "fell_back": fell_back,
    }


def collect(fusion: Fusion, method: Method, drawn: Drawn) -> Imputations:
    """Turn numbers into columns of the receiver's library, derive totals, count broken rules, and say what was done."""
    backend = fusion.receiver.frame.implementation
    amounts = [t for t in fusion.targets if not fusion.variables[t].kind.is_class]
    values: dict[str, list[Series]] = {c: [] for c in (*fusion.targets, *fusion.derived)}
    broken = dict.fromkeys(map(str, fusion.rules), 0)
    for block in drawn.values:
        columns = dict(zip(fusion.targets, block.T, strict=True))
        totals = edit_rules.derive(fusion.identities, {t: columns[t] for t in amounts})
        for rule in fusion.rules:
            broken[str(rule)] += int(rule.broken({**columns, **totals}).sum())
        for target in fusion.targets:
            values[target].append(decode(columns[target], fusion.variables[target], backend))
        for total, amount in totals.items():
            values[total].append(make_series(total, amount, nw.Float64, backend))
    manifest = manifest_file.describe_run(
        fusion,
        method,
        m=len(drawn.values),
        draws=drawn.draws,
        seed=drawn.seed,
        broken=broken,
        resampling=how(fusion, method),
        learnt=drawn.learnt,
        donor_use=drawn.donor_use,
    )
    return Imputations(fusion.receiver, tuple(values), {c: tuple(s) for c, s in values.items()}, manifest)
