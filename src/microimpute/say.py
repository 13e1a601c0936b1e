"""What the command line prints: plain text made from results."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill, indent
from typing import Any

import narwhals as nw
import numpy as np

from microimpute.calibration import before_and_after
from microimpute.crosswalks.base import crosswalks
from microimpute.described import Description, extra, is_installed
from microimpute.errors import FusionError, MethodError
from microimpute.export.base import formats as all_formats
from microimpute.frames import Series
from microimpute.fusion import Fusion
from microimpute.kinds import describe
from microimpute.margins import format_margins, margins
from microimpute.methods.base import Method
from microimpute.methods.base import methods as all_methods
from microimpute.registry import find
from microimpute.runner import Result, StagedResult
from microimpute.survey import Survey
from microimpute.surveys.base import connectors

__all__ = ["formats", "inspect", "method", "methods", "result", "stages", "surveys", "table"]


def table(header: list[str], rows: list[list[str]], left: int = 1) -> str:
    """Lay out rows in aligned columns, the first `left` of them to the left."""
    lines = [header, *rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(header))]
    out = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, width, strict=True)))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in [out[0], "  ".join("-" * w for w in width), *out[1:]])


def formats() -> str:
    """List the formats of other programs and how to write one."""
    rows = [[name, kind.suffix or "directory", kind.summary] for name, kind in all_formats().items()]
    return table(["format", "ending", "what it is"], rows, left=3) + (
        "\n\nWrite one with: microimpute export FOLDER --format FORMAT --out FILE"
    )


def result(done: Result) -> str:
    """Say what was read, assumed, compared and imputed."""
    fusion, imputations = done.fusion, done.imputations
    made = imputations.manifest
    parts = [made["recipe"]["title"], "", _surveys_read(fusion)]
    notes = [f"  {'! ' if n.warning else '- '}{n.text}" for n in fusion.notes]
    if notes:
        parts += ["", "Notes (! may change conclusions):", *notes]
    kinds = [f"  - {v.name}: {v.kind.value} ({v.reason})" for v in fusion.variables.values() if v.reason != "declared"]
    if kinds:
        parts += ["", "Kinds that were inferred; declare them if they are wrong:", *kinds]
    parts += ["", format_margins(margins(fusion))]
    parts += [
        "",
        f"Imputed by {made['method']['name']}, {imputations.m} implicates, seed {made['seed']}:",
    ]
    parts += [_imputed(done), "", *_calibrations(made)]
    return "\n".join(parts)


def stages(done: StagedResult) -> str:
    """Say what several donors gave, and what was assumed between them."""
    manifest, parts = done.imputations.manifest, [done.imputations.manifest["recipe"]["title"], ""]
    for name, fusion in done.fused.fusions.items():
        parts += [f"Stage {name}", _surveys_read(fusion)]
        parts += [f"  {'! ' if n.warning else '- '}{n.text}" for n in fusion.notes if n.warning or n.count]
        own = done.fused.stages[name]
        parts += ["", f"{own.m} implicates by {own.manifest['method']['name']}:", _imputed(Result(own, fusion)), ""]
    parts += _covered(manifest["stages"])
    parts += _calibrations(manifest)
    parts += ["What these data cannot tell:"]
    parts += [f"  ! {' and '.join(pair['stages'])}: {pair['assumed']}." for pair in manifest["pairs"]]
    parts += [line for pair in manifest["pairs"] for line in _leading_pairs(pair)]
    for link in manifest["links"]:
        reached = ", ".join(f"{v:.2f}" for v in link["reached"])
        ends = f"{link['first']} and {link['second']}"
        parts.append(f"  - rank correlation of {ends} given the predictors, by implicate: {reached}")
    rules = [_repaired(edit) for edit in manifest["edits"]]
    rules += [
        f"  ! {rule['rule']}: broken in {rule['broken_draws']:,} draws of its own stage."
        for rule in manifest["rules"]
        if rule["broken_draws"]
    ]
    told = [note for one in done.fused.stages.values() for note in one.manifest["notes"]]
    own_notes = [f"  {'!' if n['warning'] else '-'} {n['text']}" for n in manifest["notes"] if n not in told]
    for heading, said in (("Rules, over all implicates:", rules), ("Notes (! may change conclusions):", own_notes)):
        parts += ["", heading, *said] if said else []
    return "\n".join([*parts, ""])


def _repaired(edit: dict[str, Any]) -> str:
    """Say of a rule across stages how many rows broke it, and how far donors who keep it had to be sought."""
    said = f"  - {edit['rule']}: {edit['before']:,} rows broke it, {edit['after']:,} still do ({edit['repair']})."
    if edit["looked_at"]:
        steps = ", ".join(f"{count} for {rows:,}" for count, rows in edit["looked_at"].items())
        said += f" Donors who keep it were found among the nearest {steps}."
    return said + (f" No donor keeps it for {edit['without_donor']:,}." if edit["without_donor"] else "")


def _covered(stages: list[dict[str, Any]]) -> list[str]:
    """Say of each stage how many receivers have no comparable donors."""
    measured = [(s["name"], s["overlap"]["all"]["share"]) for s in stages if s["overlap"]["measured"]]
    lines = [f"  - {name}: {share:.1%} of their weight; the report says who" for name, share in measured]
    return ["Receivers without comparable donors:", *lines, ""] if lines else []


def _leading_pairs(pair: dict[str, Any]) -> list[str]:
    """Say of the columns that lead two stages which rank correlations agree with both donors."""
    found = {(c["first"], c["second"]): c["rank_correlation"] for c in pair["uncertainty"]["columns"]}
    lines = []
    for lead in pair["uncertainty"]["leading"]:
        figures = found.get((lead["first"], lead["second"]))
        if figures is not None and figures["drawn"] is not None:
            drawn, least, most = (f"{figures[key]:.2f}" for key in ("drawn", "least", "most"))
            said = f"{drawn} as drawn; any from {least} to {most} agrees with both donors"
            lines.append(f"  - rank correlation of {lead['first']} and {lead['second']}: {said}.")
    return lines


def _surveys_read(fusion: Fusion) -> str:
    lines = []
    for side, survey in (("Donor", fusion.donor), ("Receiver", fusion.receiver)):
        total = f", weights sum to {survey.weights().sum():,.0f}" if survey.weight else ""
        lines.append(f"{side + ':':10}{survey.source or 'table'}: {len(survey):,} rows{total}")
        for c in survey.checks:
            word = "agrees with" if c.passed else "DIFFERS from"
            lines.append(f"{'':10}{c.figure}: {c.found:,.6g} {word} published {c.published:,.6g} ({c.source})")
    return "\n".join(lines)


def _calibrations(manifest: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for said in manifest.get("calibration", ()):
        weights = said["how"] == "weights"
        ends = [said["least_factor"], said["largest_factor"]] if weights else [*said["factors"].values()]
        low, high = np.min(ends), np.max(ends)
        head = (
            f"Published totals, met by {said['how']} with factors from {low:.3g} to {high:.3g}; "
            "before and after are means over implicates:"
        )
        lines += [head, before_and_after(said), ""]
    return lines


def _imputed(done: Result) -> str:
    fusion, imputations = done.fusion, done.imputations
    donors, donor_weight = fusion.donor_columns(), fusion.donor.weights()
    weight = imputations.receiver.weights()
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
    known = {name: Description.of(cls) for name, cls in all_methods().items()}
    heads = ["draws", "joint", "proper", "weights", "predictors", "kinds"]
    rows = []
    for name, described in known.items():
        answers = {fact.name: fact.answer for fact in described.facts}
        rows.append([name, *(answers[head] for head in heads), _extras(described)])
    facts = table(["method", *heads, "extra"], rows, left=len(rows[0]))
    about = [f"{d.name}: {d.summary}\n    {d.reference}" for d in known.values()]
    return "\n".join([facts, "", *about, "", "More about one of them: microimpute methods NAME"])


def _extras(described: Description) -> str:
    told = [f"{p} ({'installed' if is_installed(p) else 'not installed'})" for p in described.requires]
    return ", ".join(told) or "-"


def method(name: str) -> str:
    """Say all that a method says of itself: idea, settings, advice, reference, facts.

    Raises
    ------
    MethodError
        If there is no such method; names the closest.
    """
    cls = find("methods", Method, name, MethodError)  # type: ignore[type-abstract]
    described = Description.of(cls)
    lines = [f"{name}: {described.summary}", "", described.idea, "", "Settings"]
    for setting in described.settings:
        lines += [f"  {setting.name} = {setting.default}", indent(setting.text, "      ")]
    if not described.settings:
        lines.append("  It has none.")
    for title, text in described.notes.items():
        lines += ["", title, indent(text, "  ")]
    lines += ["", "When to use it", fill(described.advice, 100, initial_indent="  ", subsequent_indent="  ")]
    if described.coverage:
        lines += ["", "Pooled intervals", fill(described.coverage, 100, initial_indent="  ", subsequent_indent="  ")]
    lines += ["", "Reference", fill(described.reference, 100, initial_indent="  ", subsequent_indent="  ")]
    width = max(len(fact.name) for fact in described.facts)
    lines += ["", "Facts"]
    for fact in described.facts:
        meaning = f"  {fact.meaning}" if fact.answer in ("yes", "no", "not shown") else ""
        told = f"{fact.name:{width}}  {fact.answer:{len(meaning) and 3}}{meaning}"
        lines.append(fill(told, 100, initial_indent="  ", subsequent_indent=" " * (width + 9)))
    missing = [p for p in described.requires if not is_installed(p)]
    for package in missing:
        group = extra(package)
        wanted = f"'microimpute[{group}]'" if group else package
        lines.append(f"  ! {package} is not installed. Run: pip install {wanted}")
    return "\n".join(lines).replace("``", "`")


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
