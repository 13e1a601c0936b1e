"""A chain of quantile forests, package defaults: target by target given the ones before.

As surveys use the package: donors are resampled in proportion to weight (its sample weights shape the splits only), an
amount is a random one of 99 predicted quantiles. Classes are drawn from a random forest's predicted probabilities.
"""

import numpy as np
import pandas as pd
from exchange import Question, answer, dummies
from quantile_forest import RandomForestQuantileRegressor
from sklearn.ensemble import RandomForestClassifier

LEVELS = [q / 100 for q in range(1, 100)]


def fit(question: Question, number: int):
    rng = np.random.default_rng([question.seed, number])
    donor = question.resampled(number, rng)
    models = []
    for at, target in enumerate(question.targets):
        inputs = dummies(question, donor, [*question.predictors, *question.targets[:at]])
        kind = RandomForestClassifier if question.is_class(target) else RandomForestQuantileRegressor
        model = kind(random_state=1000 * number + at, **question.settings)
        models.append(model.fit(inputs.to_numpy(), donor[target].to_numpy()))

    def draw(again: int) -> np.ndarray:
        table = question.receiver.copy()
        for at, (target, model) in enumerate(zip(question.targets, models, strict=True)):
            inputs = dummies(question, table, [*question.predictors, *question.targets[:at]]).to_numpy()
            if question.is_class(target):
                chance = np.cumsum(model.predict_proba(inputs), axis=1)
                place = (rng.random(len(table))[:, None] > chance).sum(axis=1)
                table[target] = model.classes_[np.minimum(place, len(model.classes_) - 1)]
            else:
                guess = np.asarray(model.predict(inputs, quantiles=LEVELS))
                table[target] = guess[np.arange(len(table)), rng.integers(len(LEVELS), size=len(table))]
        return question.coded(pd.DataFrame(table))

    return draw


answer(fit, "quantile-forest", "scikit-learn", "numpy")
