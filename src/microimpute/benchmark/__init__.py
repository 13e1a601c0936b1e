"""The benchmark: cells of task × method × seed, scores, ranks, pages."""
