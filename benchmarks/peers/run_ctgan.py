"""The ctgan package's CTGAN and TVAE, learnt on predictors and targets jointly, filtered to the condition.

Both take no weights: donors are resampled in proportion to them. Both can't condition on numbers: a pool of rows is
generated for each draw, and each receiver takes the targets of the generated row whose predictors are nearest (in
Euclidean distance, amounts as their rank among the donors, classes as flags). Generated numbers are cut to the donors'
range, and rounded where all donors' are whole, as the package's usual wrapper (SDV) does by default: without it, two
fifths of the amounts were ones that no donor could have, such as small losses where there are none.
"""

import warnings

import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN, TVAE
from exchange import Question, answer, dummies

warnings.filterwarnings("ignore")

#: Receivers whose distances are worked out at once.
ROWS = 250


def coordinates(question: Question, frame: pd.DataFrame) -> torch.Tensor:
    """Say where rows stand: amounts by rank, classes as flags, of which two differ where a class does."""
    wide = dummies(question, frame, question.predictors)
    for column in wide:
        if column in question.predictors:
            known = np.sort(question.donor[column].to_numpy(np.float64))
            left, right = (np.searchsorted(known, wide[column], side=s) for s in ("left", "right"))
            wide[column] = (left + right) / (2 * len(known))
        else:
            wide[column] *= 0.5**0.5  # another class is as far as the lowest from the highest rank
    return torch.tensor(wide.to_numpy(np.float32))


def as_donors(question: Question, made: pd.DataFrame) -> pd.DataFrame:
    """Cut generated numbers to the donors' range, and round them where the donors' are whole."""
    for column in [c for c in made if c not in question.text]:
        known = question.donor[column]
        made[column] = made[column].clip(known.min(), known.max())
        if (known == known.round()).all():
            made[column] = made[column].round()
    return made


def fit(question: Question, number: int):
    rng = np.random.default_rng([question.seed, number])
    torch.manual_seed(1000 * question.seed + number)
    np.random.seed(1000 * question.seed + number)  # the package reads the global generator
    settings = dict(question.settings)
    pool = settings.pop("pool")
    kind = {"ctgan": CTGAN, "tvae": TVAE}[settings.pop("model")]
    model = kind(enable_gpu=False, **settings)
    model.fit(question.resampled(number, rng), discrete_columns=question.text)
    at = coordinates(question, question.receiver)

    def draw(again: int) -> np.ndarray:
        made = as_donors(question, model.sample(pool))
        places = coordinates(question, made)
        nearest = [torch.cdist(part, places, p=2).argmin(dim=1) for part in at.split(ROWS)]
        return question.coded(made.iloc[torch.cat(nearest).numpy()])

    return draw


answer(fit, "ctgan", "rdt", "torch", "numpy", "pandas")
