"""A population whose two targets depend on each other as they are told to."""

import numpy as np


class Two:
    """Predictors, a wealth-like Y, a spending-like Z drawn with and without their dependence."""

    def __init__(self, rows, rho, seed, zeros=0.0, shift=0.0):
        rng = np.random.default_rng([seed, 77])
        self.x = np.column_stack(
            [rng.normal(shift, 1, rows), rng.integers(0, 4, rows).astype(float), rng.normal(size=rows)]
        )
        e, own = rng.normal(size=(2, rows))
        r = 2 * np.sin(np.pi * rho / 6)
        self.rho, self.rows = rho, rows
        self.y = np.exp(0.8 * self.x[:, 0] + 0.4 * self.x[:, 1] + e)
        self.z = self._spending(own, zeros)
        self.true_z = self._spending(r * e + np.sqrt(1 - r * r) * own, zeros)
        self.weight = np.exp(0.4 * self.x[:, 0] + 0.3 * rng.normal(size=rows))
        self.keys = rng.permutation(rows).astype(np.uint64) + np.uint64(10)

    def _spending(self, e, zeros):
        amount = 0.7 * self.x[:, 0] - 0.5 * np.abs(self.x[:, 2]) + (0.5 + 0.3 * (self.x[:, 1] > 1)) * e
        floor = {0.0: -np.inf, 0.4: -0.55}[zeros]
        return np.where(amount < floor, 0.0, np.exp(amount))


def share_of_top(y, z, weight):
    """Weighted share of Z that the top fifth by Y has: the figure of a policy across both."""
    order = np.argsort(y)
    above = np.cumsum(weight[order]) > 0.8 * weight.sum()
    return np.sum((weight * z)[order][above]) / np.sum(weight * z)
