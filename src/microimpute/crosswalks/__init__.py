"""Crosswalks: one file per donor-receiver pair, how two surveys' concepts become the same predictor."""
