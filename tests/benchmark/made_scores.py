"""Scores whose skills are known, made from records of cells."""

import numpy as np

from microimpute.benchmark.scores import Scores

#: A metric of each family, so that a skill can be asked for: null 1, oracle 0.
METRICS = {"tails": "gini", "joint": "rank_correlation_across"}


def make(skills, families=("tails", "joint"), tracks=None):
    """Scores of wanted skills: (task, arm, seed, method) → skill, or → {family: skill}; tasks are on track A."""
    records = []
    for task, arm, seed in dict.fromkeys(key[:3] for key in skills):
        own = {m: s for (t, a, k, m), s in skills.items() if (t, a, k) == (task, arm, seed)}
        own = {m: s if isinstance(s, dict) else dict.fromkeys(families, s) for m, s in own.items()}
        there = {f for s in own.values() for f in s}
        anchors = {"null": dict.fromkeys(there, 0.0), "oracle": dict.fromkeys(there, 1.0)}
        for label, by_family in (anchors | own).items():
            values = {METRICS[f]: {"y": 1 - s} for f, s in by_family.items()}
            same = {
                "track": (tracks or {}).get(task, "A"),
                "task": task,
                "arm": arm,
                "seed": seed,
                "label": label,
                "kinds": {"y": "count"},
            }
            records.append(same | {"values": values, "status": "ok", "reason": "", "rows": {}, "code": "c"})
    return Scores.of(records)


def noisy(means, tasks=6, seeds=3, noise=0.02, seed=0):
    """Skills of methods around their means on every instance; a mean may differ by task."""
    rng = np.random.default_rng(seed)
    return {
        (f"task{t}", "split", s, m): (mean[t] if isinstance(mean, list) else mean) + noise * rng.normal()
        for t in range(tasks)
        for s in range(seeds)
        for m, mean in means.items()
    }
