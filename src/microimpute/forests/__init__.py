"""Trees whose leaves hold all donors, and what blocks of targets are drawn with: what `forest` and `qrf` share."""
