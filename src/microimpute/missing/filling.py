"""impute_missing: m implicates of a survey whose own gaps are filled."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from microimpute import manifest as manifest_file
from microimpute.checks import Note
from microimpute.drawing import check_whole
from microimpute.errors import SurveyError
from microimpute.frames import Frame, Series, aligned, make_series
from microimpute.implicates import Progress, Workers
from microimpute.imputations import Imputations
from microimpute.kinds import Kind, Variable
from microimpute.methods.base import Method
from microimpute.missing.chain import Chain, traces
from microimpute.missing.diagnostics import Convergence, ConvergenceWarning, figures
from microimpute.missing.plan import Plan, Target, Wanted
from microimpute.rules import Requires, Rule
from microimpute.survey import Survey

__all__ = ["impute_missing"]

FloatArray = npt.NDArray[np.float64]

#: Fewest passes whose chains can be split.
ENOUGH = 4
#: How notes on convergence begin; they are warned of too.
ALARMS = ("Chains have not mixed", "There are too few passes")


def impute_missing(
    survey: Any,
    *,
    targets: Sequence[str] | None = None,
    method: str | Method | Mapping[str, str | Method] = "srmi",
    m: int = 5,
    seed: int = 0,
    iterations: int = 10,
    predictors: Mapping[str, Sequence[str]] | None = None,
    passive: Sequence[Rule | str] = (),
    skips: Mapping[str, str | Requires] | None = None,
    order: Sequence[str] | None = None,
    kinds: Mapping[str, Kind | str] | None = None,
    weight: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Imputations:
    """Fill the gaps of a survey's own columns, m times; what is observed stays as it is.

    Each incomplete variable in turn is drawn, where it is missing, by a method fitted to the rows in which it is
    observed, given the other variables as they stand; this is repeated in passes (chained equations). Where the
    gaps are nested, so that whoever lacks one variable lacks all after it too, one pass draws from the joint
    distribution, and only one is made (`manifest["pattern"]` says which).

    Parameters
    ----------
    survey
        `Survey`, or anything that `Survey` takes.
    targets
        Columns to fill; default: all that have gaps and can be variables. Other columns keep their gaps, and are
        flagged there as predictors.
    method
        Name of a method, or one made with settings of its own; or one for each of some targets, by name, the others
        being drawn by ``"srmi"``.
    m
        Number of implicates.
    seed
        Same seed, same draws: whatever the workers or the order of the rows.
    iterations
        Passes, the first of which starts the chain from what is complete; monotone patterns take one.
    predictors
        Target → columns that it is drawn from. Default: all but the design, keys, and what hangs on the target
        itself (totals that it is part of; questions that are asked or not by its answer).
    passive
        Identities such as ``"income = wages + pensions"``: the total is derived after each draw of a part, never
        drawn, and predicts everything but its parts. Parts that were not asked count nothing.
    skips
        Column → who is asked: ``{"hours": "works == 1"}``, comparisons joined by ``and``; or `Requires`. Where the
        condition fails the value stays missing: it is not asked. Where it is the condition that is unknown, it is
        drawn first; rows that have an answer get a value under which they were asked.
    order
        All targets in the order of drawing; default: from the fewest gaps to the most, conditions before what they
        decide.
    kinds
        Declared kinds, column → kind; they go before the survey's own.
    weight
        Column of weights, when no `Survey` is given.
    workers
        Threads; default: all cores.
    progress
        Called with a step's name and the share done.

    Returns
    -------
    Imputations
        Of the incomplete columns, then of the totals. Values not asked stay missing in every implicate. See
        `microimpute.missing.convergence` for R-hat, autocorrelation and traces.

    Raises
    ------
    SurveyError, FusionError, MethodError
        Each names the column and the remedy.

    Warns
    -----
    ConvergenceWarning
        If a target's mean or standard deviation has an R-hat above 1.1, and above what chance alone explains with
        chains so few and short; or if a chain has too few passes to tell.

    Notes
    -----
    Sources: Raghunathan, Lepkowski, Van Hoewyk & Solenberger (2001), Survey Methodology 27 (sequential regressions);
    van Buuren & Groothuis-Oudshoorn (2011), J. Stat. Softw. 45 (chained equations); Rubin (1987), ch. 5 (monotone
    patterns). Draws are proper if the method is: each fit draws its parameters, or gets its own Bayesian bootstrap
    of the households in which the target is observed (see `Method.resampled`). Gaps are taken to be missing at
    random given the predictors.
    """
    if isinstance(survey, Survey) and weight is not None:
        raise SurveyError(f"weight {weight!r} was named beside a Survey", "Name it where the Survey is made.")
    known = survey if isinstance(survey, Survey) else Survey(survey, weight=weight)
    for name, value, least in (("m", m, 1), ("seed", seed, 0), ("iterations", iterations, 1)):
        check_whole(name, value, least)
    check_whole("workers", 1 if workers is None else workers, 1)
    plan = Plan.make(known, Wanted(targets, method, predictors, passive, skips, order, kinds))
    chains = _run(plan, m, seed, 1 if plan.monotone else iterations, workers, progress or (lambda step, share: None))
    manifest = _manifest(plan, chains, seed)
    if said := " ".join(n["text"] for n in manifest["notes"] if n["text"].startswith(ALARMS)):
        warnings.warn(f"{said} See microimpute.missing.convergence.", ConvergenceWarning, stacklevel=2)
    columns = (*plan.names, *(i.total for i in plan.identities))
    values = {c: tuple(_filled(plan, c, chain.values[c]) for chain in chains) for c in columns}
    return Imputations(known, columns, values, manifest)


def _run(plan: Plan, m: int, seed: int, passes: int, workers: int | None, tell: Progress) -> list[Chain]:
    chains = []
    with Workers(workers) as pool:
        for i in range(1, m + 1):
            chain = Chain(plan, i, seed, pool)
            for number in range(1, passes + 1):
                tell(f"implicate {i} of {m}: pass {number} of {passes}", (i - 1 + (number - 1) / passes) / m)
                chain.run(number)
            chains.append(chain)
    tell("drawn", 1.0)
    return chains


def _filled(plan: Plan, column: str, values: FloatArray) -> Series:
    """Put what was drawn into the gaps of a column; everything else is the column's own."""
    frame: Frame = plan.survey.frame
    backend = frame.implementation
    if column not in frame.columns:
        return make_series(column, values, nw.Float64, backend)
    variable = plan.variable(column)
    rows = np.flatnonzero(np.isnan(plan.columns.values[column]) & ~np.isnan(values))
    drawn = _plain(values[rows], variable)
    own = frame[column]
    if backend.is_pandas():  # positions, whatever the index
        own = nw.from_native(own.to_native().reset_index(drop=True), series_only=True)
    return aligned(own.scatter(rows.tolist(), drawn), frame) if len(rows) else own


def _plain(values: FloatArray, variable: Variable) -> list[Any]:
    """Turn numbers into what a column of its type takes."""
    if variable.kind.is_class:
        return [variable.levels[int(code)] for code in values]
    if variable.dtype is not None and variable.dtype.is_integer():
        return [int(v) for v in np.rint(values)]  # a total's parts need not be whole
    return [float(v) for v in values]


def _manifest(plan: Plan, chains: Sequence[Chain], seed: int) -> dict[str, Any]:
    """Say in plain values what was done."""
    first = chains[0]
    passes = len(first.trace[plan.names[0]])
    trace = {} if plan.monotone else traces(chains)
    unmixed = Convergence(trace).unmixed
    notes = [*plan.notes, _pattern(plan, passes)]
    if unmixed:
        text = f"{ALARMS[0]} (R-hat of {', '.join(unmixed)}): take more iterations, or other predictors."
        notes.append(Note(text, warning=True))
    if not plan.monotone and passes < ENOUGH:
        text = f"{ALARMS[1]} to judge whether chains have mixed: take at least {ENOUGH}, better 10."
        notes.append(Note(text, warning=True))
    methods = {t.name: t.method for t in plan.targets}
    one = next(iter(methods.values()))
    alike = all((x.name, x.settings) == (one.name, one.settings) for x in methods.values())
    return {
        "task": "missing values",
        "method": {
            "name": ", ".join(dict.fromkeys(x.name for x in methods.values())),
            "settings": one.settings if alike else {},  # each target's stand with it, below
            "joint": True,
            "proper": _proper(methods.values()),
            "coverage": " ".join(f"({n}) {t}" for n, t in {x.name: x.coverage for x in methods.values()}.items() if t),
        },
        "m": len(chains),
        "seed": seed,
        "receiver": manifest_file.describe_survey(plan.survey),
        "pattern": "monotone" if plan.monotone else "chained",
        "iterations": passes,
        "order": list(plan.names),
        "targets": [_target(plan, t, first) for t in plan.targets],
        "derived": [i.total for i in plan.identities],
        "rules": [{"rule": str(i), "broken_draws": _broken(plan, i.total, chains)} for i in plan.identities],
        "skips": [_skip(plan, column, chains) for column in plan.conditions],
        "trace": figures(trace),
        "unmixed": unmixed,
        "notes": [{"text": n.text, "count": n.count, "warning": n.warning} for n in notes],
    }


def _proper(methods: Iterable[Method]) -> bool | None:
    """Say whether all are proper: no if one is not, not shown (None) if one is not shown to be."""
    said = [m.proper for m in methods]
    return False if False in said else None if None in said else True


def _pattern(plan: Plan, passes: int) -> Note:
    if plan.monotone:
        return Note("The gaps are nested (monotone): one pass draws from the joint distribution.")
    return Note(f"The gaps are not nested: {passes} passes of chained equations.")


def _target(plan: Plan, target: Target, chain: Chain) -> dict[str, Any]:
    return {
        "name": target.name,
        "kind": target.variable.kind.value,
        "kind_from": target.variable.reason,
        "label": plan.survey.labels.get(target.name, ""),
        "observed": int(target.observed.sum()),
        "missing": int(target.gaps.sum()),
        "predictors": list(target.predictors),
        "method": {"name": target.method.name, "settings": target.method.settings},
        "learnt": dict(chain.learnt.get(target.name, {})),
    }


def _skip(plan: Plan, column: str, chains: Sequence[Chain]) -> dict[str, Any]:
    """Count who is not asked: for certain, and in each implicate."""
    counts = [int(np.isnan(chain.values[column]).sum()) for chain in chains]
    certain = int(plan.unasked[column].sum())
    return {"column": column, "asked_if": plan.conditions[column].text, "certain": certain, "not_asked": counts}


def _broken(plan: Plan, total: str, chains: Sequence[Chain]) -> int:
    """Count completed rows in which a total that the survey has differs from the sum of its parts."""
    if total not in plan.columns.values:
        return 0
    own = plan.columns.values[total]
    rule = next(i for i in plan.identities if i.total == total)
    out = 0
    for chain in chains:
        kept = np.where(np.isnan(own), chain.values[total], own)
        whole = ~np.isnan(kept)
        columns = {c: np.nan_to_num(chain.values[c])[whole] for c in rule.parts} | {total: kept[whole]}
        out += int(rule.broken(columns).sum())
    return out
