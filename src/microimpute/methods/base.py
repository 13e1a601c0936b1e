"""What a method is."""

from __future__ import annotations

import importlib.util
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from microimpute import registry
from microimpute.errors import MethodError, MissingExtraError, closest
from microimpute.keyed import RowRandom
from microimpute.kinds import Kind, Table, Variable

__all__ = ["ALL_KINDS", "DonorMethod", "Method", "method", "methods"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALL_KINDS = frozenset(Kind)


class Method(ABC):
    """One way to draw targets given predictors.

    A subclass in a file of its own in ``methods/`` is a method: it states its facts, takes its settings as
    keyword arguments of its constructor (kept as attributes of the same names), and implements `fit`,
    `draw`, `state` and `from_state`.
    """

    #: Set by `fit`: what the columns of X and Y are.
    predictors: tuple[Variable, ...]
    targets: tuple[Variable, ...]

    #: Name in recipes and on the command line.
    name: ClassVar[str]
    #: One line on the idea.
    summary: ClassVar[str]
    #: Where it is described.
    reference: ClassVar[str]
    #: When to choose it, and when not: one to three sentences for its page in the docs.
    advice: ClassVar[str]
    #: Whether a row's targets are drawn jointly.
    joint: ClassVar[bool]
    #: Whether pooled intervals are right: implicates, each with its own donor resample or parameters, carry the donor's
    #: sampling error, and a study (docs/coverage.md) found them to cover, with little bias. None: no study did.
    proper: ClassVar[bool | None] = None
    #: What speaks against it, or how far it goes: a sentence or two. Required where `proper` is False.
    coverage: ClassVar[str] = ""
    #: Whether `fit` gets the donors' weights after a Bayesian bootstrap. False for a method that draws its
    #: parameters from a posterior: on resampled donors it would count the sampling error twice.
    resampled: ClassVar[bool] = True
    #: Whether it makes draws. False for point predictions, which are for comparison only: `impute` refuses them.
    valid: ClassVar[bool] = True
    #: Whether donor weights shape the draws.
    uses_weights: ClassVar[bool]
    #: Whether it looks at the predictors at all.
    uses_predictors: ClassVar[bool] = True
    #: Whether a row's draw depends on the row alone, however many others are drawn with it. False for a method
    #: that shares donors out among all rows: `impute` then draws all in one call. Their order never matters.
    rowwise: ClassVar[bool] = True
    #: Kinds of targets that it can draw.
    kinds: ClassVar[frozenset[Kind]] = ALL_KINDS
    #: Optional packages that it needs.
    requires: ClassVar[tuple[str, ...]] = ()
    #: Whether methods that choose among others may try it. False for those themselves, and for what is there to show
    #: what an idea loses.
    candidate: ClassVar[bool] = True
    #: Rough seconds on one core to fit to 1,000 donors and draw 10 values for each of 1,000 rows, per target. Methods
    #: that choose among others go by it, never by a clock, so that machines agree; the default stands for "unknown,
    #: taken to be slow".
    cost: ClassVar[float] = 1.0
    #: Extra of this package that brings them, as in ``pip install 'microimpute[extra]'``; empty for others' methods.
    extra: ClassVar[str] = ""
    #: Settings that make it quick for the conformance suite, which looks at the contract, not at quality.
    quick: ClassVar[Mapping[str, Any]] = {}
    #: Settings on top of those for checks that nothing depends on how much is learnt in: seeds, orders, types, files.
    brief: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def fit(self, X: Table, Y: Table, weight: FloatArray, rng: np.random.Generator) -> Self:
        """Learn from donors; sets `predictors` and `targets`.

        Parameters
        ----------
        X, Y
            Predictors and targets of the donors, in an order that does not depend on the donor file's.
        weight
            float64, shape (donors,), not negative, resampled for this implicate already if `resampled`.
        rng
            For everything random while learning.

        Returns
        -------
        Self
        """

    @abstractmethod
    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Draw one joint value of all targets per row.

        Parameters
        ----------
        X
            Predictors of the receivers.
        rng
            Uniform numbers keyed by row; nothing else may be random here.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, targets)
            Amounts, and codes of classes.
        """

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that `fit` learnt as plain arrays, by name."""

    @abstractmethod
    def set_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Take what `state` returned, after checking that it can't read outside its bounds.

        Raises
        ------
        MethodError
            If the arrays do not fit together.
        """

    def learnt(self) -> dict[str, Any]:
        """Say in plain values (JSON) what a user should know of what `fit` found; it goes into the manifest."""
        return {}

    def save(self, path: str | Path) -> None:
        """Write a fitted method to one safetensors file: arrays and a JSON header, no code.

        Raises
        ------
        MethodError
            If it is not fitted.
        """
        from safetensors.numpy import save_file

        if not hasattr(self, "targets"):
            raise MethodError(f"method {self.name!r} is not fitted", "Call fit first.")
        header = {
            "name": self.name,
            "settings": self.settings,
            "predictors": [_to_plain(v) for v in self.predictors],
            "targets": [_to_plain(v) for v in self.targets],
        }
        arrays = {name: np.ascontiguousarray(values) for name, values in self.state().items()}
        save_file(arrays, str(path), metadata={"microimpute": json.dumps(header)})

    @staticmethod
    def load(path: str | Path) -> Method:
        """Read a method that `save` wrote; nothing in the file is run.

        Raises
        ------
        MethodError
            If the file is not such a file, or its arrays do not fit together.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                header = json.loads((file.metadata() or {})["microimpute"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise MethodError(f"{path} is not a saved method: {error}", "Save the model again.") from None
        loaded = method(header["name"], header["settings"])
        loaded.predictors = tuple(map(_from_plain, header["predictors"]))
        loaded.targets = tuple(map(_from_plain, header["targets"]))
        try:
            return loaded.set_state(arrays)
        except (KeyError, IndexError) as error:
            raise MethodError(f"{path} lacks what {loaded.name!r} needs: {error}", "Save the model again.") from None

    @classmethod
    def setting_names(cls) -> tuple[str, ...]:
        """Names of the settings: the constructor's keyword arguments."""
        if cls.__init__ is object.__init__:  # an inherited constructor's settings are settings, too
            return ()
        return tuple(p for p in inspect.signature(cls).parameters)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings by name."""
        return {name: getattr(self, name) for name in self.setting_names()}

    def fresh(self) -> Self:
        """Return an unfitted copy with the same settings.

        Raises
        ------
        MissingExtraError
            If a package that it needs is not installed.
        """
        self.check_packages()
        return type(self)(**self.settings)

    @classmethod
    def missing(cls) -> tuple[str, ...]:
        """List the optional packages that it needs and that are not installed."""
        return tuple(package for package in cls.requires if importlib.util.find_spec(package) is None)

    @classmethod
    def check_packages(cls) -> None:
        """Refuse to go on without the packages that it needs.

        Raises
        ------
        MissingExtraError
            Names the first that is missing and the command that installs it.
        """
        missing = cls.missing()
        if missing:
            install = f"'microimpute[{cls.extra}]'" if cls.extra else " ".join(missing)
            raise MissingExtraError(missing[0], f"method {cls.name!r}", f"pip install {install}")


class DonorMethod(Method):
    """A method that gives a row all targets of one donor: a hot deck.

    A subclass sets `bundles` in `fit` and implements `choose` instead of `draw`. How often donors are used, and
    how many rows had to be served from farther off than the settings ask, is then counted and goes into the
    manifest and the report.
    """

    #: Set by `fit`: the donors' targets, float64, shape (donors, targets).
    bundles: FloatArray

    @property
    def whole(self) -> bool:
        """Whether `choose` says all about the draws: not where a subclass has a `draw` of its own, or says no."""
        return type(self).draw is DonorMethod.draw

    @abstractmethod
    def choose(self, X: Table, rng: RowRandom) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Choose a donor for each row; parameters as for `draw`.

        Returns
        -------
        donor
            int64, shape (rows,): positions in `bundles`.
        fell_back
            bool, shape (rows,): where the donor is from outside the row's own donor class, or farther off than
            was asked, because nobody there could be drawn.
        """

    def draw(self, X: Table, rng: RowRandom) -> FloatArray:
        """Give each row the bundle of its donor, shape (rows, targets)."""
        return np.asarray(self.bundles[self.choose(X, rng)[0]])


def _to_plain(variable: Variable) -> dict[str, Any]:
    return {"name": variable.name, "kind": variable.kind.value, "levels": list(variable.levels)}


def _from_plain(plain: Mapping[str, Any]) -> Variable:
    return Variable(plain["name"], Kind(plain["kind"]), tuple(plain["levels"]))


def methods() -> Mapping[str, type[Method]]:
    """List all methods by name."""
    return registry.collect("methods", Method)


def method(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """Make the method of that name.

    Parameters
    ----------
    name
        See `methods`.
    settings
        Keyword arguments of its constructor.

    Raises
    ------
    MethodError
        If there is no such method or it has no such setting.
    MissingExtraError
        If a package that it needs is not installed.
    """
    cls = registry.find("methods", Method, name, MethodError)  # type: ignore[type-abstract]
    chosen = dict(settings or {})
    for key in chosen:
        if key not in cls.setting_names():
            raise MethodError(f"method {name!r} has no setting {key!r}", closest(key, cls.setting_names()))
    cls.check_packages()
    return cls(**chosen)
