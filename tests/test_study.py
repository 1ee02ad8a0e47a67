"""What the notebooks share: a network is trained once, and one measurement serves all its codes."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from fsrepro.conversion import convert
from fsrepro.experiments import notebook
from fsrepro.experiments.notebook import Study

OPTIONS = {"images": 100, "epochs": 2, "activation": "relu"}


def weights(study):
    return [weight.tobytes() for weight in study.ann.get_weights()]


def test_what_was_trained_is_not_trained_again(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    first = Study.of(digits, "small_cnn", **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "train_on_batch", lambda *_, **__: pytest.fail("trains again"))
        assert weights(Study.of(digits, "small_cnn", **OPTIONS)) == weights(first)
    for change in ({"epochs": 1}, {"seed": 1}, {"activation": "silu"}):
        assert weights(Study.of(digits, "small_cnn", **(OPTIONS | change))) != weights(first)
    assert len([*tmp_path.rglob("small_cnn-*.training")]) == 4


def test_plans_of_a_study_are_those_of_convert(digits, trained):
    study = Study.on(digits, trained, "", images=50)
    for K in (4, 6):
        found = study.plan(K).network(spikes_per_neuron=0.3)
        again = convert(trained, study.x_calibration, steps=K, spikes_per_neuron=0.3)
        assert found.codes == again.codes
        same = zip(found.keras_model.get_weights(), again.keras_model.get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in same)
    assert study.plan(4).sensitivity is study.plan(6).sensitivity


def test_spikes_at_an_accuracy_lie_between_settings():
    rows = pd.DataFrame(
        {"spikes_per_neuron": [0.8, 0.4, 0.6, 0.7], "accuracy": [91.0, 89.0, 90.0, 89.5]}
    )
    assert notebook.spikes_at(rows, 90.0) == 0.6
    assert notebook.spikes_at(rows, 90.5) == pytest.approx(0.7)  # past the one that is beaten
    assert notebook.spikes_at(rows, 89.5) == pytest.approx(0.5)
    assert np.isnan(notebook.spikes_at(rows, 91.1))


def test_how_far_losses_vary():
    """Trainings 0 and 1 lose 1, 3 and 4, 8: means 2 and 6, variances 2 and 8."""
    rows = pd.DataFrame(
        {"budget": 0.5, "training": [0, 0, 1, 1], "part": [1, 2, 1, 2], "loss": [1.0, 3, 4, 8]}
    )
    found = notebook.varied(rows, "budget")
    assert found.index.tolist() == [0.5]
    np.testing.assert_allclose(found.iloc[0], [4, 1, 8, np.sqrt(5), np.sqrt(8)])
    assert np.isnan(notebook.varied(rows[:2], "budget")["sd over trainings"].item())
