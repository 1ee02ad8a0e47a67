"""The inner loops of :mod:`fsrepro.fitting.fit` and its search, compiled by Numba.

Step t acts on a membrane potential v by "if v >= T, subtract h and add d"; the steps after it are a
staircase of v, compiled once per sweep. Points are kept sorted by v, so that walking along them
and along the staircase together costs O(points + pieces) for each candidate reset, whatever K is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAX_PIECES = 4096


@njit(cache=True, error_model="numpy")
def compile_suffixes(T, h, d, low, high, start, value, count, pieces):
    """Staircases of steps t..K for every t; False if one has more than ``MAX_PIECES`` pieces.

    ``start``, ``value``, ``count``: (K + 1, MAX_PIECES), piece i of suffix t begins at
    ``start[t, i]``; ``pieces``: (K + 1,). Pieces outside ``low..high`` are dropped.
    """
    K = T.size
    start[K, 0], value[K, 0], count[K, 0], pieces[K] = -np.inf, 0.0, 0.0, 1
    for t in range(K - 1, -1, -1):
        n, later = 0, pieces[t + 1]
        for fired in range(2):
            shift = h[t] if fired else 0.0
            for i in range(later):
                begin = start[t + 1, i] + shift
                end = start[t + 1, i + 1] + shift if i + 1 < later else np.inf
                if fired:
                    begin = max(begin, T[t])
                else:
                    end = min(end, T[t])
                if begin >= end or begin > high or end <= low:
                    continue
                y = value[t + 1, i] + (d[t] if fired else 0.0)
                c = count[t + 1, i] + fired
                if n > 0 and value[t, n - 1] == y and count[t, n - 1] == c:
                    continue
                if n == MAX_PIECES:
                    return False
                start[t, n], value[t, n], count[t, n] = begin, y, c
                n += 1
        if n == 0:  # everything lies outside the window
            start[t, 0], value[t, 0], count[t, 0] = -np.inf, value[t + 1, 0], count[t + 1, 0]
            n = 1
        start[t, 0] = -np.inf
        pieces[t] = n
    return True


@njit(cache=True, error_model="numpy")
def sweep(x, f, w, T, h, d, penalty, candidates, room):
    """Optimise every step in turn, in place; return the work done (0.0: given up).

    ``x``, ``f``, ``w``: (N,), sorted by x. ``candidates``: (K, C) resets to try for each step.
    For each the best threshold (a cut between two points) and weight (the mean residual of those
    that fire) follow from suffix sums.
    """
    start, value, count, pieces = room
    N, K, C = x.size, T.size, candidates.shape[1]
    span = x[-1] - x[0]
    if not compile_suffixes(T, h, d, x[0] - span, x[-1] + span, start, value, count, pieces):
        return 0.0
    v, r, q = x.copy(), f.copy(), w.copy()  # potential, what is left of f, weight of each point
    v2, r2, q2 = np.empty(N), np.empty(N), np.empty(N)
    silent = np.zeros(N + 1)  # cost of points 0..k-1 if they do not fire
    mass = np.zeros(N + 1)  # weight of points k..N-1
    work = 0.0
    for t in range(K):
        n = pieces[t + 1]
        edge, y, c = start[t + 1], value[t + 1], count[t + 1]
        j = 0
        for k in range(N):
            while j + 1 < n and edge[j + 1] <= v[k]:
                j += 1
            e = r[k] - y[j]
            silent[k + 1] = silent[k] + q[k] * (e * e + penalty * c[j])
        for k in range(N - 1, -1, -1):
            mass[k] = mass[k + 1] + q[k]
        best, cut, weight, reset = silent[N], N, 0.0, 0.0
        for i in range(C):
            hc = candidates[t, i]
            j = n - 1
            first, second = 0.0, 0.0
            for k in range(N - 1, -1, -1):
                u = v[k] - hc
                while j > 0 and edge[j] > u:
                    j -= 1
                e = r[k] - y[j]
                first += q[k] * e
                second += q[k] * (e * e + penalty * c[j])
                J = silent[k] + second + penalty * mass[k] - first * first / mass[k]
                if best > J and (k == 0 or v[k - 1] < v[k]):
                    best, cut, weight, reset = J, k, first / mass[k], hc
        work += (C + 2.0) * (N + n)
        h[t], d[t] = reset, weight
        if cut == N:
            T[t] = np.inf
        elif cut == 0:
            T[t] = v[0] - 1e-3 * span
        else:
            T[t] = 0.5 * (v[cut - 1] + v[cut])
        a, b = 0, cut  # merge the silent and the firing points, each already in order
        for k in range(N):
            if b == N or (a < cut and v[a] <= v[b] - reset):
                v2[k], r2[k], q2[k] = v[a], r[a], q[a]
                a += 1
            else:
                v2[k], r2[k], q2[k] = v[b] - reset, r[b] - weight, q[b]
                b += 1
        v, v2 = v2, v
        r, r2 = r2, r
        q, q2 = q2, q
    return work


@njit(cache=True, error_model="numpy")
def normal_equations(x, f, w, T, h):
    """Gram matrix E[z z^T] (K, K) and moments E[z f] (K,) of the spikes z."""
    K = T.size
    gram, moment = np.zeros((K, K)), np.zeros(K)
    fired = np.empty(K, np.int64)
    for i in range(x.size):
        v, n = x[i], 0
        for t in range(K):
            if v >= T[t]:
                v -= h[t]
                fired[n] = t
                n += 1
        for a in range(n):
            moment[fired[a]] += w[i] * f[i]
            for b in range(n):
                gram[fired[a], fired[b]] += w[i]
    return gram, moment


@njit(cache=True, error_model="numpy")
def add_moments(x, w, step, probability, rounding, mse):
    """Of points x > 0 with weights w, and steps q (Q,): w and w (x - n q), by part of level n.

    ``probability``, ``rounding``: (parts, levels, Q), zeros at first, as is ``mse``, (Q,).
    """
    parts, levels = probability.shape[:2]
    for k in range(step.size):
        q = step[k]
        for i in range(x.size):
            n = min(int(np.floor(x[i] / q + 0.5)), levels - 1)
            error = x[i] - n * q
            part = min(max(int((error / q + 0.5) * parts), 0), parts - 1)
            probability[part, n, k] += w[i]
            rounding[part, n, k] += w[i] * error
            mse[k] += w[i] * error * error


@njit(cache=True, error_model="numpy")
def measure_scaled(x, y, w, edge, value, count, factors, mse, spikes):
    """Squared error and spikes of a staircase at several scales, into ``mse`` and ``spikes``.

    ``x``, ``y``, ``w``: (N,) sorted inputs, what is to be written, weights.
    """
    for j in range(factors.size):
        f, piece = factors[j], 0
        error = fired = 0.0
        for i in range(x.size):
            while piece < edge.size and edge[piece] * f <= x[i]:
                piece += 1
            e = y[i] - f * value[piece]
            error += w[i] * e * e
            fired += w[i] * count[piece]
        mse[j], spikes[j] = error, fired


@njit(cache=True, error_model="numpy")
def keep_best(mse, spikes, per_spike, block, best, fired, in_block, in_row, in_column):
    """Of candidates (rows, columns), note the one of least error in each interval of spikes."""
    for i in range(mse.shape[0]):
        for j in range(mse.shape[1]):
            b = int(spikes[i, j] * per_spike)
            if mse[i, j] < best[b]:
                best[b], fired[b] = mse[i, j], spikes[i, j]
                in_block[b], in_row[b], in_column[b] = block, i, j
