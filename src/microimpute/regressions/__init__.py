"""One target's regression by kind, and targets one after the other: what `srmi` and the parametric methods share."""
