r"""Design an FS neuron for any activation function: thresholds, resets and weights.

The objective, over the points x_i and weights w_i of a distribution, is

.. math:: J = \sum_i w_i \Big[ \big(f(x_i) - \sum_t d_t z_t(x_i)\big)^2
              + \lambda \sum_t z_t(x_i) \Big]

It is piecewise constant in T and h, so gradients say nothing about them. But with all other steps
held, and for a candidate reset h_t, the jointly best threshold T_t and weight d_t are found
exactly in one pass over the points in the order of v_t (:mod:`fsrepro.fitting._kernels`). Sweeps of
this over t, each followed by a least-squares refit of all d, descend to a local minimum; steps are
inserted one by one until there are K; then one step at a time is disturbed and the descent
repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..codes.checks import check_steps
from ..codes.spike_code import SpikeCode
from .distributions import Distribution, apply

__all__ = ["fit"]

WORK_PER_SECOND = 3.5e8
"""Candidate-point pairs that one core is taken to score in a second, to budget by count."""

_SEARCH_POINTS = 600  # while searching; the last descent sees _FINAL_POINTS
_FINAL_POINTS = 4096
_SILENT = float(np.finfo(np.float32).max)  # the threshold of a step that never fires
_HEAT = 0.02  # by how much of its cost a code may get worse, at first
_RIDGE = 1e-10
_COST = attrgetter("cost")


def fit(
    f: Callable[[NDArray], NDArray],
    steps: int,
    distribution: Distribution,
    *,
    spike_penalty: float = 0.0,
    seconds: float = 30.0,
    seed: int = 0,
    start: SpikeCode | None = None,
) -> SpikeCode:
    r"""The FS neuron of K = ``steps`` that best stands for ``f`` under ``distribution``.

    Minimises MSE + ``spike_penalty`` x mean spikes (module docstring), and shows a bar.

    Parameters
    ----------
    f : callable
        Maps an array to an array of its shape. The code has no offset, so f should tend to zero
        where it is to be silent.
    steps : int
        K, from 1 to 64.
    distribution : Distribution
        Of x: mix in a uniform over the range that matters, or rare inputs are fitted badly.
    spike_penalty : float
        :math:`\lambda`, in squared units of f.
    seconds : float
        The budget on a core that does 3.5e8 units of work in a second. Work is counted, not
        timed, so the same arguments and seed give the same code on a fast machine and on a slow
        or busy one. One code is grown to K steps however small the budget.
    seed : int
    start : SpikeCode, optional
        A code of at most K steps to improve on, beside codes grown from nothing.

    Raises
    ------
    ValueError
        For steps outside 1..64, a penalty that is negative or not finite, a budget that is not
        positive and finite, a start with more than K steps or with ``max_spikes``, and an ``f``
        that does not return one finite number per point.

    References
    ----------
    Alternating exact minimisation as in Lloyd (1982), here over the steps of the neuron of
    Stöckl & Maass (2021), who used gradient descent.
    """
    steps = check_steps(steps)
    if not (np.isfinite(spike_penalty) and spike_penalty >= 0):
        raise ValueError(f"spike_penalty must be finite and at least 0, got {spike_penalty}")
    if not (np.isfinite(seconds) and seconds > 0):
        raise ValueError(f"seconds must be positive and finite, got {seconds}")
    if start is not None and (start.steps > steps or start.max_spikes is not None):
        raise ValueError(f"start must have at most {steps} steps and no max_spikes, got {start}")
    coarse = _Problem.of(f, distribution.thin(_SEARCH_POINTS), spike_penalty, steps)
    fine = _Problem.of(f, distribution.thin(_FINAL_POINTS), spike_penalty, steps)
    rng = np.random.default_rng(seed)
    with tqdm(total=seconds, unit="s", desc="fit") as bar:
        budget = _Budget(seconds * WORK_PER_SECOND, bar)
        given = [] if start is None else [_Tables.of(start, coarse)]
        pool = _grow_pool(coarse, steps, given, rng, budget)
        pool = _search(coarse, pool, rng, budget)
        finished = [_descend(fine, t.scored(fine), rng, budget, sweeps=12) for t in pool[:2]]
        best = min(finished, key=_COST)
    T = np.where(np.isfinite(best.T), best.T, _SILENT)
    return SpikeCode(T, best.h, best.d, name=f"fitted {getattr(f, '__name__', 'f')}")


class _Budget:
    """Counts work, and shows it in seconds."""

    def __init__(self, total: float, bar):
        self.total, self.used, self._bar = total, 0.0, bar

    def spend(self, work: float) -> None:
        shown = min(self.used + work, self.total) - min(self.used, self.total)
        self.used += work
        self._bar.update(shown / WORK_PER_SECOND)

    def left(self, until: float = 1.0) -> bool:
        return self.used < until * self.total


@dataclass(frozen=True)
class _Problem:
    x: NDArray
    f: NDArray
    w: NDArray
    penalty: float
    room: tuple

    @classmethod
    def of(cls, f, distribution, penalty, steps):
        from ._kernels import MAX_PIECES  # Numba is loaded by fits only

        table = np.empty((steps + 1, MAX_PIECES))
        room = (table, table.copy(), table.copy(), np.empty(steps + 1, np.int64))
        x, w = (a[distribution.weights > 0] for a in (distribution.points, distribution.weights))
        return cls(x, apply(f, x), w, float(penalty), room)

    @property
    def span(self) -> float:
        return float(self.x[-1] - self.x[0]) or 1.0


@dataclass(frozen=True)
class _Tables:
    T: NDArray
    h: NDArray
    d: NDArray
    cost: float = np.inf

    @classmethod
    def of(cls, code: SpikeCode, problem: _Problem):
        T, h, d = (np.array(a, np.float64) for a in (code.threshold, code.reset, code.weight))
        return cls(T, h, d).scored(problem)

    def scored(self, problem: _Problem) -> _Tables:
        """With the weights d refitted by least squares, and the cost of that."""
        from ._kernels import normal_equations

        gram, moment = normal_equations(problem.x, problem.f, problem.w, self.T, self.h)
        d = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), moment)
        mse = problem.w @ problem.f**2 - 2 * d @ moment + d @ gram @ d
        return replace(self, d=d, cost=float(mse + problem.penalty * np.trace(gram)))

    def picked(self, order) -> _Tables:
        return _Tables(self.T[order], self.h[order], self.d[order])

    def inserted(self, position: int, T: float, h: float) -> _Tables:
        return _Tables(
            np.insert(self.T, position, T),
            np.insert(self.h, position, h),
            np.insert(self.d, position, 0.0),
        )


def _descend(problem, tables, rng, budget, sweeps, *, candidates=24, beat=np.inf) -> _Tables:
    """Sweep until the gain fades, or until ``beat`` is out of reach; never worse than given."""
    from ._kernels import sweep

    best = tables
    for n in range(sweeps):
        T, h, d = best.T.copy(), best.h.copy(), best.d.copy()
        tries = _candidates(h, d, problem.span, rng, candidates)
        work = sweep(problem.x, problem.f, problem.w, T, h, d, problem.penalty, tries, problem.room)
        budget.spend(work + 40.0 * max(len(problem.x), 500))  # the refit, and calling both
        if work == 0:
            break
        new = _Tables(T, h, d).scored(problem)
        gain = best.cost - new.cost
        if gain > 0:
            best = new
        if gain < 2e-3 * best.cost or (n >= 1 and best.cost > 2.0 * beat):
            break
    return best


def _candidates(h, d, span, rng, number) -> NDArray:
    """Resets to try, (K, number): as they are, the weights, near misses, and anything."""
    K, near = len(h), (number - 2) // 2
    width = np.exp(rng.uniform(np.log(1e-3), np.log(0.5), (K, near)))
    close = h[:, None] + (np.abs(h[:, None]) + 1e-3) * width * rng.standard_normal((K, near))
    far = np.exp(rng.uniform(np.log(1e-3), 0.0, (K, number - 2 - near))) * span
    far *= rng.choice([-1.0, 1.0], far.shape, p=[0.2, 0.8])
    return np.concatenate([h[:, None], d[:, None], close, far], 1)


def _grow_pool(problem, steps, given, rng, budget) -> list[_Tables]:
    """Up to four codes of K steps, grown for at most a quarter of the budget; best first."""
    pool: list[_Tables] = []
    while not pool or (budget.left(until=0.25) and len(pool) < 4):
        seedling = given.pop() if given else None
        pool.append(_grow(problem, steps, seedling, rng, budget))
    return sorted(pool, key=_COST)


def _grow(problem, steps, tables, rng, budget) -> _Tables:
    empty = np.empty(0)
    tables = tables or _Tables(empty, empty, empty, cost=float(problem.w @ problem.f**2))
    while (K := len(tables.T)) < steps:
        places = sorted({0, K, *(int(p) for p in rng.integers(0, K + 1, 2))})
        tried = []
        for place in places:
            longer = replace(tables.inserted(place, np.inf, 0.0), cost=tables.cost)
            tried.append(_descend(problem, longer, rng, budget, sweeps=3, candidates=48))
        tables = min(tried, key=_COST)
    return _descend(problem, tables, rng, budget, sweeps=10)


def _search(problem, pool, rng, budget) -> list[_Tables]:
    """Disturb and descend until 95 % of the budget is gone: annealing on a narrowing pool.

    A code that is worse by a fraction of its cost replaces its parent with a probability that
    falls to zero; the best codes seen are kept apart.
    """
    alive, best, turn = list(pool), list(pool), 0
    while budget.left(until=0.95):
        progress = budget.used / budget.total
        size = max(1, round(len(pool) * (1 - 1.5 * progress)))
        if size < len(alive):
            alive = sorted(alive, key=_COST)[:size]
        i = turn % len(alive)
        turn += 1
        worse = 1 + _HEAT * (1 - progress) * rng.exponential()
        new = _disturb(alive[i], problem, rng).scored(problem)
        new = _descend(problem, new, rng, budget, sweeps=10, beat=alive[i].cost)
        if new.cost < alive[i].cost * worse:
            alive[i] = new
            best = sorted([*best, new], key=_COST)[: len(pool)]
    return best


def _disturb(tables, problem, rng) -> _Tables:
    K, span = len(tables.T), problem.span
    t = int(rng.integers(K))
    others = [i for i in range(K) if i != t]
    kind = rng.integers(5)
    if kind < 2:  # jitter everything, or one step and those next to it
        low, high, reach = [(-2.5, -0.7, K), (-2.0, 0.0, 1)][kind]
        size = 10 ** rng.uniform(low, high) * (np.abs(np.arange(K) - t) <= reach)
        T = tables.T * (1 + size * rng.standard_normal(K))
        return _Tables(T, tables.h * (1 + size * rng.standard_normal(K)), tables.d)
    if kind == 2:  # move one step
        others.insert(int(rng.integers(K)), t)
        return tables.picked(others)
    place = int(rng.integers(K))
    rest = tables.picked(others)
    if kind == 3:  # silence one step and put a fresh one anywhere
        return rest.inserted(place, np.inf, 0.0)
    reset = span * rng.random() ** 3 * rng.choice([-1.0, 1.0], p=[0.2, 0.8])
    return rest.inserted(place, rng.uniform(*problem.x[[0, -1]]) * rng.random(), reset)
