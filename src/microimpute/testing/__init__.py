"""The conformance suite: what every method must do, for ours and for third parties'.

In a third party's tests::

    import pytest
    from microimpute.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_conformance(check):
        check(MyMethod)

`contract` holds what is asked with sound data, `trouble` with bad data: there a method has to give sensible draws
or the project's error. Methods are made with their `Method.quick` settings; for what does not depend on how much is
learnt (seeds, orders, types, files) with those of `Method.brief` on top.

Of point predictions (`Method.valid` is False) `impute` must refuse to make a file. The checks then draw past that
refusal, and leave out what only draws can do: vary by seed, keep weighted shares, keep targets together.
"""

from __future__ import annotations

from microimpute.testing import contract, trouble
from microimpute.testing.contract import *  # noqa: F403 (each check is reached by its name too)
from microimpute.testing.examples import Check, example_donor, example_fusion, example_receiver
from microimpute.testing.trouble import *  # noqa: F403

__all__ = ["CHECKS", "Check", "example_donor", "example_fusion", "example_receiver"]

#: Every check; each takes a method's class and raises AssertionError.
CHECKS: tuple[Check, ...] = (*contract.CHECKS, *trouble.CHECKS)
