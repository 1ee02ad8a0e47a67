"""What benchmarks compare with is what it is said to be."""

import numpy as np
from scripts import script

from fsrepro.codes import binary


def test_the_published_loop_writes_the_binary_code():
    loop, code = script("benchmarks/peers.py").FewSpikesLoop(10, 25.0), binary(10, 25.0)
    x = np.random.default_rng(0).normal(3, 10, (1, 5000)).astype(np.float32)
    x[0, :1024] = np.arange(1024) * 25 / 1024  # on its thresholds
    y, spikes = loop(x)
    np.testing.assert_array_equal(y, code.quantise(x))
    assert float(spikes[0]) == code.count(x).sum()
