"""What the command line prints: plain text made from results."""

from __future__ import annotations

import narwhals as nw
import numpy as np

from microimpute.crosswalks.base import crosswalks
from microimpute.errors import FusionError
from microimpute.frames import Series
from microimpute.fusion import Fusion
from microimpute.kinds import describe
from microimpute.margins import format_margins, margins
from microimpute.methods.base import methods as all_methods
from microimpute.recipe import Recipe
from microimpute.runner import Result
from microimpute.survey import Survey
from microimpute.surveys.base import connectors

__all__ = ["inspect", "methods", "result", "surveys", "table"]


def table(header: list[str], rows: list[list[str]], left: int = 1) -> str:
    """Lay out rows in aligned columns, the first `left` of them to the left."""
    lines = [header, *rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(header))]
    out = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, width, strict=True)))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in [out[0], "  ".join("-" * w for w in width), *out[1:]])


def result(recipe: Recipe, done: Result) -> str:
    """Say what was read, assumed, compared and imputed."""
    fusion, imputations = done.fusion, done.imputations
    parts = [recipe.title, "", _surveys_read(fusion)]
    notes = [f"  {'! ' if n.warning else '- '}{n.text}" for n in fusion.notes]
    if notes:
        parts += ["", "Notes (! may change conclusions):", *notes]
    kinds = [f"  - {v.name}: {v.kind.value} ({v.reason})" for v in fusion.variables.values() if v.reason != "declared"]
    if kinds:
        parts += ["", "Kinds that were inferred; declare them if they are wrong:", *kinds]
    parts += ["", format_margins(margins(fusion))]
    parts += [
        "",
        f"Imputed by {recipe.impute.method}, {imputations.m} implicates, seed {recipe.impute.seed}:",
    ]
    parts += [_imputed(done), ""]
    return "\n".join(parts)


def _surveys_read(fusion: Fusion) -> str:
    lines = []
    for side, survey in (("Donor", fusion.donor), ("Receiver", fusion.receiver)):
        total = f", weights sum to {survey.weights().sum():,.0f}" if survey.weight else ""
        lines.append(f"{side + ':':10}{survey.source or 'table'}: {len(survey):,} rows{total}")
        for c in survey.checks:
            word = "agrees with" if c.passed else "DIFFERS from"
            lines.append(f"{'':10}{c.figure}: {c.found:,.6g} {word} published {c.published:,.6g} ({c.source})")
    return "\n".join(lines)


def _imputed(done: Result) -> str:
    fusion, imputations = done.fusion, done.imputations
    donors, donor_weight = fusion.donor_columns(), fusion.donor.weights()
    weight = fusion.receiver.weights()
    rows = []
    for name in imputations.columns:
        variable = fusion.variables.get(name)
        if variable is not None and variable.kind.is_class:
            continue
        theirs = imputations.numbers(name)
        rows.append([name])
        for values, w in ((donors[name][None], donor_weight), (theirs, weight)):
            rows[-1] += [
                f"{_mean(values != 0, w):.1%}",
                f"{_mean(values, w):,.0f}",
                f"{_median(values, w):,.0f}",
            ]
    head = ["", "donor: any", "mean", "median", "imputed: any", "mean", "median"]
    return table(head, rows) if rows else "(all targets are classes: see the report)"


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.mean([np.average(v, weights=weight) for v in values]))


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.mean([np.quantile(v, 0.5, weights=weight, method="inverted_cdf") for v in values]))


def methods() -> str:
    """List the methods and their declared facts."""
    yes = {True: "yes", False: "no"}
    rows = [
        [
            c.name,
            yes[c.valid],
            yes[c.joint],
            yes[c.proper],
            yes[c.uses_weights],
            yes[c.uses_predictors],
            " ".join(c.requires) or "-",
        ]
        for c in all_methods().values()
    ]
    facts = table(["method", "draws", "joint", "proper", "weights", "predictors", "extra"], rows)
    about = [f"{c.name}: {c.summary}\n    {c.reference}" for c in all_methods().values()]
    return "\n".join([facts, "", *about])


def surveys() -> str:
    """List connectors and crosswalks."""
    lines = ["Surveys:"]
    lines += [f"  {c.name:15} {c.title}. {c.publisher}" for c in connectors().values()]
    lines += ["", "Crosswalks:"]
    lines += [f"  {c.name:24} {', '.join(p.name for p in c.concepts)}" for c in crosswalks().values()]
    return "\n".join(lines)


def inspect(survey: Survey) -> str:
    """Describe each column of a survey."""
    rows = []
    for name in survey.columns:
        series = survey.frame[name]
        try:
            variable = describe(series, survey.kinds.get(name))
            kind, why = variable.kind.value, variable.reason
        except FusionError as error:
            kind, why = "none", error.problem
        rows.append([name, str(series.dtype), kind, f"{series.null_count():,}", *_range(series), why])
    head = ["column", "type", "kind", "missing", "zero", "least", "median", "largest", "why"]
    about = f"{survey.source or 'table'}: {len(survey):,} rows"
    return f"{about}\n\n{table(head, rows, left=3)}"


def _range(series: Series) -> list[str]:
    if not series.dtype.is_numeric() or series.null_count() == len(series):
        return [""] * 4
    values = series.drop_nulls().cast(nw.Float64).to_numpy()
    figures = [f"{v:,.6g}" for v in (np.min(values), np.median(values), np.max(values))]
    return [f"{np.mean(values == 0):.1%}", *figures]
