"""impute, the main verb: resample the donors, fit, draw, implicate by implicate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import manifest as manifest_file
from microimpute import rules as edit_rules
from microimpute.errors import FusionError, MethodError
from microimpute.frames import Series, make_series
from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.keyed import RowRandom, generator
from microimpute.kinds import Kind, Table, decode
from microimpute.methods.base import DonorMethod, Method
from microimpute.methods.base import method as method_named
from microimpute.resampling import how, resampled
from microimpute.rules import Rule
from microimpute.survey import Survey

__all__ = ["Progress", "Workers", "check_whole", "draw_into", "impute"]

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

#: Receiver rows drawn at a time; results do not depend on it.
CHUNK = 20_000


def impute(
    fusion: Any,
    receiver: Any = None,
    *,
    targets: Sequence[str] | None = None,
    predictors: Sequence[str] | None = None,
    weight: str | None = None,
    rules: Sequence[Rule | str] = (),
    kinds: Mapping[str, Kind | str] | None = None,
    method: str | Method = "forest",
    m: int = 5,
    draws: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Imputations:
    """Draw the targets for every row of the receiver, m times.

    Parameters
    ----------
    fusion
        A `Fusion`; or the donor, as a `Survey`, frame or path, with `receiver` and `targets`.
    receiver
        The receiver, when a donor is given.
    targets, predictors, rules, kinds
        As in `Fusion`, when a donor is given.
    weight
        Column of weights in the donor, and in the receiver if it has it, when frames are given.
    method
        Name of a method, or one made with settings of its own.
    m
        Number of implicates.
    draws
        How many of them are drawn from each model learnt, m being a multiple. With two or more the implicates come in
        nests, implicates 1 to `draws` the first, and `Imputations.pool` can tell what donors' sampling error does from
        what chance does: its intervals are then as wide as they have to be, not wider.
    seed
        Same seed, same draws: whatever the workers, the order of the rows, or the chunks.
    workers
        Threads; default: all cores.
    progress
        Called with a step's name and the share done.

    Returns
    -------
    Imputations

    Raises
    ------
    FusionError, SurveyError, MethodError
        Each names the column and the remedy.

    Notes
    -----
    Implicate i (nest i, if `draws` is more than one) is fitted to its own Bayesian bootstrap of the donor's
    households, or with a replicate weight of the donor where it has those of a bootstrap, on the donor's own
    implicate i where it has several (a method that draws its parameters from a posterior gets the donors as they
    are, see `Method.resampled`), so that the spread between implicates carries the donor's sampling and imputation
    error (Rubin 1987, ch. 4; Schenker & Rubin 1986).
    """
    ready = _fusion(fusion, receiver, targets, predictors, weight, rules, kinds)
    chosen = method_named(method) if isinstance(method, str) else method
    _check_settings(ready, chosen, m, draws, seed, workers)
    tell = progress or (lambda step, share: None)
    drawn = np.empty((m, len(ready.receivers), len(ready.targets)))
    learnt: list[dict[str, Any]] = []
    uses: list[dict[str, Any]] = []
    with Workers(workers) as pool:
        for i in range(1, m + 1):
            if (i - 1) % draws == 0:
                tell(f"implicate {i} of {m}: learning", (i - 1) / m)
                fitted = fit(ready, chosen, (i - 1) // draws + 1, seed)
            learnt.append(fitted.learnt())
            tell(f"implicate {i} of {m}: drawing", (i - 0.5) / m)
            use = draw_into(drawn[i - 1], fitted, ready.receivers, RowRandom(seed, i, ready.receiver_keys), pool)
            uses += [use] if use else []
    tell("drawn", 1.0)
    return _collect(ready, chosen, drawn, seed, draws=draws, learnt=learnt, donor_use=uses)


def _fusion(
    fusion: Any,
    receiver: Any,
    targets: Sequence[str] | None,
    predictors: Sequence[str] | None,
    weight: str | None,
    given: Sequence[Rule | str],
    kinds: Mapping[str, Kind | str] | None,
) -> Fusion:
    if isinstance(fusion, Fusion):
        if receiver is not None or targets or predictors or weight or given or kinds:
            raise FusionError(
                "a Fusion was given together with its parts",
                "Give either a Fusion, or donor, receiver and targets.",
            )
        return fusion
    if receiver is None or targets is None:
        raise FusionError("receiver or targets is missing", "Call impute(donor, receiver, targets=[...]).")
    donor = fusion if isinstance(fusion, Survey) else Survey(fusion, weight=weight)
    if not isinstance(receiver, Survey):
        bare = Survey(receiver)
        has_weight = weight is not None and weight in bare.columns
        receiver = Survey(bare.frame, weight=weight if has_weight else None)
    return Fusion(donor, receiver, targets=targets, predictors=predictors, rules=given, kinds=kinds)


def _check_settings(fusion: Fusion, method: Method, m: int, draws: int, seed: int, workers: int | None) -> None:
    check_whole("m", m, 1)
    check_whole("draws", draws, 1)
    if m % draws:
        raise MethodError(
            f"m is {m}, no multiple of draws, {draws}", f"Give m={draws * max(2, round(m / draws))}, say."
        )
    check_whole("seed", seed, 0)
    check_whole("workers", 1 if workers is None else workers, 1)
    if not method.valid:
        raise MethodError(
            f"a {method.name} is no draw: files of them have too little spread, too few zeros and no uncertainty",
            f"Choose a method that draws; {method.name!r} is for the benchmark, as what looks good by mean error.",
        )
    for target in fusion.targets:
        kind = fusion.variables[target].kind
        if kind not in method.kinds:
            raise MethodError(f"method {method.name!r} can't draw {target!r}, which is {kind.value}", "Choose another.")


def check_whole(name: str, value: object, least: int) -> None:
    """Refuse a setting that is no whole number, or too small.

    Raises
    ------
    MethodError
        Names the setting.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise MethodError(f"{name} is {value!r}", f"Give a whole number of at least {least}.")


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


def _collect(fusion: Fusion, method: Method, drawn: FloatArray, seed: int, **said: Any) -> Imputations:
    backend = fusion.receiver.frame.implementation
    amounts = [t for t in fusion.targets if not fusion.variables[t].kind.is_class]
    values: dict[str, list[Series]] = {c: [] for c in (*fusion.targets, *fusion.derived)}
    broken = dict.fromkeys(map(str, fusion.rules), 0)
    for block in drawn:
        columns = dict(zip(fusion.targets, block.T, strict=True))
        totals = edit_rules.derive(fusion.identities, {t: columns[t] for t in amounts})
        for rule in fusion.rules:
            broken[str(rule)] += int(rule.broken({**columns, **totals}).sum())
        for target in fusion.targets:
            values[target].append(decode(columns[target], fusion.variables[target], backend))
        for total, amount in totals.items():
            values[total].append(make_series(total, amount, nw.Float64, backend))
    manifest = manifest_file.describe_run(
        fusion, method, m=len(drawn), seed=seed, broken=broken, resampling=how(fusion, method), **said
    )
    return Imputations(fusion.receiver, tuple(values), {c: tuple(s) for c, s in values.items()}, manifest)
