"""Without pygenn everything else works, and the simulator says what to install."""

import numpy as np
import pytest

from fsrepro import genn, measures
from fsrepro.conversion import convert


@pytest.fixture
def snn(trained, calibration_images):
    return convert(trained, calibration_images, code="binary", steps=4)


def test_says_what_to_install(snn, test_images, monkeypatch):
    monkeypatch.setattr(genn, "find_spec", lambda name: None)
    assert not genn.available()
    with pytest.raises(ImportError, match=r"needs pygenn and ml_genn.*environment\.yml"):
        measures.evaluate(snn, test_images[:2], np.zeros(2, int), simulator="genn")


def test_unknown_simulators(snn, test_images):
    with pytest.raises(ValueError, match="simulator must be keras or genn, got 'nest'"):
        measures.evaluate(snn, test_images[:2], np.zeros(2, int), simulator="nest")
