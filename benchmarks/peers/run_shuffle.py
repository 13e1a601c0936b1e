"""No package: donor rows in proportion to weight, as the benchmark's null; shows that the exchange loses nothing."""

import numpy as np
from exchange import Question, answer


def fit(question: Question, number: int):
    rng = np.random.default_rng([question.seed, number])
    weight = question.weight(number)

    def draw(again: int) -> np.ndarray:
        rows = rng.choice(len(weight), len(question.receiver), p=weight / weight.sum())
        return question.coded(question.donor.iloc[rows])

    return draw


answer(fit, "numpy", "pandas")
