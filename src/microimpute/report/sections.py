"""The parts of the report that are words: what was done, warnings, rules, notes, kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microimpute.fusion import Fusion
from microimpute.imputations import Imputations
from microimpute.manifest import cautions
from microimpute.margins import Margin
from microimpute.methods.base import methods
from microimpute.report.outcomes import few_levels
from microimpute.report.sides import plain
from microimpute.report.words import count, percent
from microimpute.survey import Survey

__all__ = ["checks", "facts", "kinds", "margin", "notes", "rules", "story", "warnings"]


def facts(imputations: Imputations, fusion: Fusion) -> list[dict[str, str]]:
    """List the run's key figures for the box at the top."""
    made = imputations.manifest
    settings = ", ".join(f"{k} = {v}" for k, v in made["method"]["settings"].items())
    households = len(np.unique(fusion.donor.household_keys()))
    rows = len(fusion.donor)
    return [
        {"name": "Donor", "value": fusion.donor.source or "no source given"},
        {"name": "Donor rows", "value": _donor_rows(fusion, rows, households)},
        {"name": "Receiver", "value": fusion.receiver.source or "no source given"},
        {"name": "Receiver rows", "value": f"{count(len(fusion.receiver))} ({fusion.receiver.unit})"},
        {"name": "Weights", "value": f"donor {_weight(fusion.donor)}; receiver {_weight(imputations.receiver)}"},
        {"name": "Method", "value": made["method"]["name"] + (f" ({settings})" if settings else "")},
        {"name": "Implicates made", "value": f"m = {imputations.m}, seed {made['seed']}"},
        {"name": "Money", "value": _dollars(fusion.donor)},
        *([{"name": "Donors used", "value": _donor_use(made["donor_use"])}] if "donor_use" in made else []),
    ]


def _donor_use(uses: Sequence[Mapping[str, Any]]) -> str:
    """Say how often donors are used in an implicate: means over implicates, and the most in any."""
    used, effective, rows, away = (
        float(np.mean([use[name] for use in uses])) for name in ("used", "effective", "rows", "fell_back")
    )
    text = (
        f"{count(used)} of {count(uses[0]['donors'])} for {count(rows)} rows, which carry as much as "
        f"{count(effective)} used equally often; one at most {count(max(use['most_used'] for use in uses))} times"
    )
    return f"{text}; {percent(away / rows)} of the rows had too few donors in their own class" if away else text


def _donor_rows(fusion: Fusion, rows: int, households: int) -> str:
    own = len(fusion.implicates)
    if own == 1:
        return f"{count(rows)} ({count(households)} distinct by key)" if households != rows else count(rows)
    return f"{count(rows)}: {count(households)} households, {own} implicates of the survey's own"


def _weight(survey: Survey) -> str:
    if survey.weight is None:
        return "none, every row counts alike"
    return f"{survey.weight}, sum {count(float(survey.weights().sum()))}"


def _dollars(survey: Survey) -> str:
    return f"in {survey.dollars} dollars" if survey.dollars else "dollar year not stated"


def story(imputations: Imputations, fusion: Fusion) -> list[str]:
    """Say in plain sentences what was done and what was assumed."""
    made, known = imputations.manifest["method"], methods().get(imputations.manifest["method"]["name"])
    drawn, derived = len(fusion.targets), len(fusion.derived)
    told = [
        f"Each of the {count(len(fusion.receiver))} receiver rows was given {count(drawn)} "
        f"{_plural(drawn, 'variable')} that only the donor survey has, {count(imputations.m)} "
        f"{_plural(imputations.m, 'time')} over, from the {_plural(len(fusion.predictors), 'predictor')} "
        f"that both surveys have: {', '.join(fusion.predictors)}. Observed values were not altered.",
    ]
    if known is not None:
        told.append(f"Method “{made['name']}”: {known.summary}")
    if made["joint"]:
        told.append("The variables of a row are drawn jointly, not one by one on their own.")
    else:
        told.append("Each variable is drawn on its own: relations between variables are not kept.")
    if known is not None and not known.uses_predictors:
        told.append("This method does not look at the predictors: it is a yardstick, not one to use.")
    told.append(" ".join([_resampling(fusion, imputations), *cautions(imputations.manifest)]))
    if derived:
        told.append(
            f"{count(derived)} {_plural(derived, 'total')} ({', '.join(fusion.derived)}) "
            f"{'is' if derived == 1 else 'are'} added up from the drawn parts, so that identities hold."
        )
    for done in imputations.manifest.get("calibration", ()):
        moved, totals = "Weights" if done["how"] == "weights" else "Imputed amounts", len(done["totals"])
        told.append(
            f"{moved} were then moved so as to meet {count(totals)} published {_plural(totals, 'total')}: all that "
            f"follows is after that; see “Calibrated {done['how']}”."
        )
    told.append(
        "Assumed, and not testable with these data: given the predictors, the imputed variables are "
        "independent of everything else that only the receiver knows. Relations of imputed variables with "
        "such variables are therefore too weak, except as far as the predictors carry them."
    )
    return told


def _resampling(fusion: Fusion, imputations: Imputations) -> str:
    how, m, draws = str(imputations.manifest["resampling"]), imputations.m, imputations.draws
    own = len(fusion.implicates)
    turn = f", taking the donor's own {own} implicates in turn" if own > 1 else ""
    from_ = {
        "parameters": "has parameters of its own, drawn from their posterior given the donors",
        "replicate weights": "was fitted with a replicate weight of the donor's own",
        "Bayesian bootstrap": "was fitted to its own Bayesian bootstrap of the donor's households",
    }
    each = f"Each {draws} implicates in turn come from one model, which" if draws > 1 else "Each implicate"
    text = f"{each} {from_[how]}{turn}"
    if m == 1:
        return f"{text}; with one implicate only, the uncertainty of the imputation can't be seen."
    return f"{text}, so that the spread between implicates carries the donor's sampling error."


def _plural(number: int, word: str) -> str:
    return word if number == 1 else word + "s"


def warnings(manifest: Mapping[str, Any], found: Sequence[Margin]) -> list[dict[str, Any]]:
    """Collect what may change conclusions: warnings of the fusion, broken rules, predictors far apart."""
    told = [{"text": n["text"], "count": n["count"]} for n in manifest["notes"] if n["warning"]]
    for rule in manifest["rules"]:
        if broken := rule["broken_draws"]:
            told.append({"text": f"Rule “{rule['rule']}” is broken in some draws.", "count": broken})
    for far in (m for m in found if m.verdict == "far"):
        text = f"Predictor {far.name} is distributed differently in the two surveys ({_distance(far)})."
        told.append({"text": f"{text} The two may not measure the same thing.", "count": 0})
    return told


def _distance(found: Margin) -> str:
    gap = abs(found.donor.missing - found.receiver.missing)
    if found.distance is None or gap > found.distance:
        return f"missing: {found.donor.missing:.1%} of donors, {found.receiver.missing:.1%} of receivers"
    return f"{found.measure} distance {found.distance:.2f}"


def notes(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the fusion's notes that are no warnings; these stand at the top."""
    return [{"text": n["text"], "count": n["count"]} for n in manifest["notes"] if not n["warning"]]


def rules(imputations: Imputations, fusion: Fusion) -> dict[str, Any]:
    """List rules with the number of draws, receiver rows times implicates, that break them."""
    totals = set(fusion.derived)
    listed = [
        {
            "rule": rule["rule"],
            "what": "identity" if rule["rule"].split(" = ")[0] in totals else "edit rule",
            "broken": rule["broken_draws"],
        }
        for rule in imputations.manifest["rules"]
    ]
    return {"draws": len(imputations) * imputations.m, "listed": listed}


def kinds(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Say for each variable how it was treated and why."""
    return [
        {"name": v["name"], "role": role, "kind": v["kind"], "why": v["kind_from"]}
        for role, part in (("predictor", "predictors"), ("target", "targets"))
        for v in manifest[part]
    ]


def checks(fusion: Fusion) -> list[dict[str, Any]]:
    """List the published figures that the files were compared with."""
    return [
        {"survey": side, "figure": c.figure, "published": plain(c.published), "found": plain(c.found)}
        | {"passed": bool(c.passed), "source": c.source}
        for side, survey in (("donor", fusion.donor), ("receiver", fusion.receiver))
        for c in survey.checks
    ]


def margin(found: Margin, money: bool) -> dict[str, Any]:
    """Make one predictor's margin plain."""
    sides = {"donor": found.donor, "receiver": found.receiver}
    out: dict[str, Any] = {
        "name": found.name,
        "label": found.label,
        "money": money,
        "is_class": found.kind.is_class,
        "measure": found.measure,
        "distance": plain(found.distance),
        "difference": plain(found.difference),
        "verdict": found.verdict,
        "missing": {side: plain(s.missing) for side, s in sides.items()},
    }
    if not found.kind.is_class:
        figures = {side: {name: plain(v) for name, v in s.figures.items()} for side, s in sides.items()}
        return out | {"figures": figures}
    rows = [
        {"level": level, "donor": plain(share), "receiver": plain(found.receiver.figures.get(level, 0.0))}
        for level, share in found.donor.figures.items()
    ]
    return out | {"levels": few_levels(rows, ("donor", "receiver"))}
