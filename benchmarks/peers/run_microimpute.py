"""PolicyEngine's microimpute: its QRF, or its zero-inflated imputer around it, with its own defaults.

Used as its documentation says: weights are handed over, `predict` without quantiles draws one random quantile per row
and target, targets are chained in order. It gives each class target its likeliest class; that is what it does by
itself. Numbers with few distinct values are kept numbers (`not_numeric_categorical`): it would else take them for
classes and impute the likeliest.

Its zero-inflated imputer takes weights and does not use them for amounts, takes predictors that are numbers only, and
seeds each target's forest alike, so that targets share their random quantiles. So that none of it stands in its way,
donors are resampled in proportion to weight, classes of predictors are given as a column per level, and its forests
are not seeded: its numbers do not repeat to the last digit.
"""

import logging

import numpy as np
import pandas as pd
from exchange import Question, answer, dummies
from microimpute.models.qrf import QRF
from microimpute.models.zero_inflated import ZeroInflatedImputer

logging.disable(logging.WARNING)


def fit(question: Question, number: int):
    if question.settings.get("zero_inflated", False):
        return fit_zero_inflated(question, number)
    columns = [*question.predictors, *question.targets]
    fitted = QRF(log_level="ERROR", seed=1000 * question.seed + number).fit(
        X_train=question.donor[columns],
        predictors=question.predictors,
        imputed_variables=question.targets,
        weight_col=question.weight(number),
        not_numeric_categorical=[c for c in columns if c not in question.text],
    )
    receiver = question.receiver[question.predictors]
    return lambda again: question.coded(fitted.predict(X_test=receiver))


def fit_zero_inflated(question: Question, number: int):
    seed = 1000 * question.seed + number
    donor = question.resampled(number, np.random.default_rng([question.seed, number]))
    predictors = dummies(question, donor, question.predictors)
    table = pd.concat([predictors, donor[question.targets]], axis=1)
    fitted = ZeroInflatedImputer(base_imputer_kwargs={"seed": None}, seed=seed, log_level="ERROR").fit(
        X_train=table,
        predictors=list(predictors),
        imputed_variables=question.targets,
        not_numeric_categorical=[c for c in table if c not in question.text],
    )
    receiver = dummies(question, question.receiver, question.predictors)
    return lambda again: question.coded(fitted.predict(X_test=receiver))


answer(fit, "microimpute", "quantile-forest", "scikit-learn", "numpy", "pandas")
