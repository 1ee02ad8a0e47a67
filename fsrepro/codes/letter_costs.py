"""Prefix codes for a price list: a spike and a time step cost different amounts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import MAX_STEPS
from .huffman import huffman_words
from .prefix_code import check_probability

__all__ = ["letter_cost_words"]

_TINY = 1e-12
_WIDTH = 300  # the largest number of partial trees kept at a time


def letter_cost_words(probability: ArrayLike, *, spike_cost: float) -> list[str]:
    r"""The cheapest prefix-free words when 0 costs a step and 1 costs a step and a spike.

    The result is optimal among words of up to 64 letters, unless more than 300 partial
    trees were left at some cost, as happens with hundreds of levels; then the most promising are
    kept. It is never worse than Huffman's words under these costs.

    Parameters
    ----------
    probability : (L,) array_like
    spike_cost : float
        0 or more; a step costs 1.

    Raises
    ------
    ValueError
        For probabilities that are negative, not finite or do not sum to 1, and for a cost that is
        negative or not finite.

    Notes
    -----
    The tree grows from the root in the order of cost. At each cost, the nodes that it reaches
    become words for the most probable levels left, or branch; partial trees with equal numbers
    of words and open nodes are interchangeable, and the cheapest stands for all. A partial tree
    whose remaining probability W has open nodes at costs :math:`C_j` costs at least

    .. math:: \frac1\lambda \Bigl( \sum_i p_i \log_2 \frac{W}{p_i}
              - W \log_2 \sum_j 2^{-\lambda C_j} \Bigr) \text{ more},
              \qquad 2^{-\lambda c_0} + 2^{-\lambda c_1} = 1,

    by Kraft's inequality for these letters; trees that cannot beat the best known are dropped.

    References
    ----------
    The problem, Karp (1961); trees level by level with interchangeable states, Golin & Rote
    (1998); the bound is the entropy bound of Krause (1962) for a forest.
    """
    p = check_probability(probability)
    if not (np.isfinite(spike_cost) and spike_cost >= 0):
        raise ValueError(f"spike_cost must be finite and not negative, got {spike_cost}")
    rank = np.argsort(-p, kind="stable")
    descending = np.maximum(p[rank], _TINY)  # levels of probability zero still want short words
    descending /= descending.sum()
    # Any tree serves best when its cheaper words go to the more probable levels.
    known = _by_cost(huffman_words(p), spike_cost)
    best = float(descending @ [_cost(word, spike_cost) for word in known])
    found = _Forest(descending, spike_cost).cheapest(best)
    ordered = _by_cost(found or known, spike_cost)
    words = [""] * len(p)
    for level, word in zip(rank, ordered, strict=True):
        words[level] = word
    return words


class _Forest:
    """Partial trees, grown together in the order of cost."""

    def __init__(self, p: NDArray[np.float64], spike_cost: float):
        self.n = len(p)
        self.rate = _letter_rate(1.0 + spike_cost)  # lambda
        self.sum = np.append(0.0, np.cumsum(p))  # [m]: probability of the first m levels
        self.left = np.append(np.cumsum(p[::-1])[::-1], 0.0)  # [m]: of all the others
        information = np.append(np.cumsum((-p * np.log2(p))[::-1])[::-1], 0.0)
        self.least = information + self.left * np.log2(np.maximum(self.left, 1e-300))
        self.depth, self.child = _depths(1.0 + spike_cost, min(len(p) - 1, MAX_STEPS))

    def cheapest(self, best: float) -> list[str] | None:
        """Words of the cheapest complete tree below ``best``, or None if there is none."""
        best, chosen = best * (1 - 1e-12), None
        # If some must be dropped, the bound alone favours trees that have hardly any words yet:
        # it forgives what is left its rounding losses. So try a few sizes of such a loss.
        for loss in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
            best, better, dropped = self._search(best, loss / self.rate)
            chosen = better or chosen
            if not dropped:
                break
        return None if chosen is None else self._words(chosen)

    def _search(self, best: float, loss: float) -> tuple[float, list[int] | None, bool]:
        """The lower cost, the branching nodes of its tree, and whether any tree was dropped."""
        chosen, dropped = None, False
        # A state: words so far, open[k] nodes waiting at the k-th depth from here, cost so far.
        words, open_, cost = np.zeros(1, int), np.ones((1, 1), int), np.zeros(1)
        # Per depth: where each state came from, and how many nodes branched.
        history: list[tuple[NDArray, NDArray]] = []
        for index, here in enumerate(self.depth):
            low, high = self.child[index] - index
            ahead = self.depth[index : index + max(low, high, open_.shape[1] - 1) + 1]
            open_ = np.pad(open_, ((0, 0), (0, len(ahead) - open_.shape[1])))
            # Each state once for every number of branching nodes that leaves enough levels.
            most = np.minimum(open_[:, 0], self.n - words - open_.sum(1)) if low > 0 else 0 * words
            parent = np.repeat(np.arange(len(words)), most + 1)
            branch = np.arange(len(parent)) - np.repeat(np.cumsum(most + 1) - most - 1, most + 1)
            grown = words[parent] + open_[parent, 0] - branch
            spent = cost[parent] + here * (self.sum[grown] - self.sum[words[parent]])
            # The bound of the docstring, from here: what remains costs at least this much more.
            weight = np.exp2(-self.rate * ahead)
            kraft = (open_[:, 1:] @ weight[1:])[parent] + branch * (weight[low] + weight[high])
            share = self.left[grown] * np.log2(np.maximum(kraft, 1e-300))
            bound = spent + (self.least[grown] - share) / self.rate

            keep = np.flatnonzero((bound < best) & (kraft > 0))
            promise = (bound + loss * self.left[grown])[keep]
            if len(keep) > 4 * _WIDTH:
                few, dropped = np.argpartition(promise, 4 * _WIDTH)[: 4 * _WIDTH], True
                keep, promise = keep[few], promise[few]
            keep = keep[np.argsort(promise, kind="stable")]
            parent, branch, words, cost = parent[keep], branch[keep], grown[keep], spent[keep]
            open_ = open_[parent]
            open_[:, low] += branch
            open_[:, high] += branch
            open_, ahead = open_[:, 1:], ahead[1:]

            full = words + open_.sum(1) == self.n  # every open node will be a word
            total = self._total(words[full], open_[full], cost[full], ahead)
            if len(total) and total.min() < best:
                best, last = total.min(), np.flatnonzero(full)[total.argmin()]
                chosen = _branches([*history, (parent, branch)], last)
            # In the order of their promise: of equal states, the first is the cheapest.
            state = np.concatenate([words[:, None], open_], 1)[~full]
            first = np.sort(np.unique(state, axis=0, return_index=True)[1])
            dropped |= len(first) > _WIDTH
            first = np.flatnonzero(~full)[first[:_WIDTH]]
            if not len(first):
                break
            history.append((parent[first], branch[first]))
            words, open_, cost = words[first], open_[first], cost[first]
        return best, chosen, dropped

    def _total(self, words, open_, cost, depth):
        end = words[:, None] + np.cumsum(open_, 1)
        return cost + (self.sum[end] - self.sum[end - open_]) @ depth

    def _words(self, branches: list[int]) -> list[str]:
        """The words of the tree in which so many nodes of each depth branch."""
        nodes, words = {0: [""]}, []
        for index, branching in enumerate(branches):
            here = nodes.pop(index, [])
            for child, letter in zip(self.child[index], "01", strict=True):
                nodes.setdefault(int(child), []).extend(w + letter for w in here[:branching])
            words += here[branching:]
        return words + [word for waiting in nodes.values() for word in waiting]


def _depths(one: float, letters: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The costs that words of up to ``letters`` letters can have, ascending, (D,), and the
    places in that list of the two children, (D, 2); the node itself if they are not in it."""
    ones, zeros = np.meshgrid(np.arange(letters + 1), np.arange(letters + 1))
    cost = (zeros + one * ones)[zeros + ones <= letters]
    depth = np.sort(cost)
    depth = depth[np.append(True, np.diff(depth) > 1e-9)]
    place = np.stack([np.searchsorted(depth, depth + c - 1e-9) for c in (1.0, one)], 1)
    known = place < len(depth)
    near = np.abs(depth[np.minimum(place, len(depth) - 1)] - depth[:, None] - (1, one)) < 1e-8
    both = (known & near).all(1)
    return depth, np.where(both[:, None], place, np.arange(len(depth))[:, None])


def _branches(history: list[tuple[NDArray, NDArray]], state: int) -> list[int]:
    """How many nodes branched at each depth on the way to ``state`` of the last entry."""
    branches = []
    for parent, branch in reversed(history):
        branches.append(int(branch[state]))
        state = parent[state]
    return branches[::-1]


def _letter_rate(one: float) -> float:
    """The lambda with 2^(-lambda) + 2^(-lambda one) = 1."""
    from scipy.optimize import brentq  # half a second, which no other code needs

    return brentq(lambda x: 2**-x + 2 ** (-x * one) - 1, 0, 1, xtol=1e-30)


def _by_cost(words: Sequence[str], spike_cost: float) -> list[str]:
    return sorted(words, key=lambda word: _cost(word, spike_cost))


def _cost(word: str, spike_cost: float) -> float:
    return len(word) + spike_cost * word.count("1")
