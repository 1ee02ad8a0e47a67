"""What conversion is compared with: quantised ANNs, and energies under stated models."""

import keras
import numpy as np
from keras import layers

from fsrepro.conversion import normal_form
from fsrepro.energy import PICOJOULES, energy
from fsrepro.experiments import models
from fsrepro.experiments.rivals import mlgenn_scales, quantised_ann
from fsrepro.measures import Report
from fsrepro.networks.population import activation_layers
from fsrepro.tasks import Task


def network():
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="a")(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="b")(x)
    x = layers.Dense(4, name="c")(layers.Flatten()(x))
    model = keras.Model(image, x)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    return model


IMAGES = np.random.default_rng(1).normal(size=(40, 6, 6, 3)).astype(np.float32)


def test_activations_take_so_many_values():
    model = network()
    quantised = quantised_ann(model, IMAGES, bits=3, weight_bits=16)
    for name in ("a_act", "b_act"):
        values = keras.Model(quantised.inputs, quantised.get_layer(name).output).predict(
            IMAGES, verbose=0
        )
        assert 4 < len(np.unique(values)) <= 8


def test_many_bits_are_the_ann():
    model = network()
    exact = model.predict(IMAGES, verbose=0)
    fine = quantised_ann(model, IMAGES, bits=14, weight_bits=16)
    np.testing.assert_allclose(fine.predict(IMAGES, verbose=0), exact, atol=2e-2)
    coarse = quantised_ann(model, IMAGES, bits=3, weight_bits=3)
    errors = [np.abs(m.predict(IMAGES, verbose=0) - exact).mean() for m in (fine, coarse)]
    assert errors[0] < 0.05 * errors[1]
    assert activation_layers(normal_form(model)) == ["a_act", "b_act"]


def test_weights_may_stay_as_they_are():
    model = network()
    quantised = quantised_ann(model, IMAGES, bits=3, weight_bits=None)
    for name in "abc":
        np.testing.assert_array_equal(
            quantised.get_layer(name).kernel, model.get_layer(name).kernel
        )


def test_energy_is_counts_times_costs():
    report = Report(
        images=1, task=Task(), quality={}, ann_quality={}, agreement=0,
        spikes_per_neuron=0, synops_per_image=2e6, macs_per_image=100, first_macs_per_image=0,
        ann_macs_per_image=10**6, steps=1, latency_steps=1, neurons=1000, neuron_updates=8000,
        layers=None, predictions=None,
    )  # fmt: skip
    table = energy(report).set_index("arithmetic")
    floats = table.loc["32-bit floats"]
    np.testing.assert_allclose(floats["ann_nj"], 4.6e3)
    np.testing.assert_allclose(floats["snn_nj"], 1.8e3 + 0.46)
    np.testing.assert_allclose(floats["ratio"], (1.8e3 + 0.46) / 4.6e3)
    np.testing.assert_allclose(floats["updates_nj"], 7.2)
    np.testing.assert_allclose(floats["ratio_with_updates"], (1.8e3 + 0.46 + 7.2) / 4.6e3)
    np.testing.assert_allclose(report.energy_with_updates, floats["ratio_with_updates"])
    np.testing.assert_allclose(report.energy, floats["ratio"])
    eight = table.iloc[1]
    np.testing.assert_allclose(eight["ratio"], (0.1 * 2e3 + 0.3 * 0.1) / 300)
    np.testing.assert_allclose(eight["ratio_with_updates"], (0.1 * 2008 + 0.3 * 0.1) / 300)
    assert PICOJOULES["float32 addition"] == 0.9


def test_mlgenn_scales_are_maxima_shared_by_what_is_added():
    graph = normal_form(models.resnet(8, (8, 8, 3), width=4))
    names = activation_layers(graph)
    recorded = {name: np.float32([i + 1.0, -3]) for i, name in enumerate(names)}
    alpha = {
        name: value * (1 - 2.0**-4) for name, value in mlgenn_scales(graph, recorded, 4).items()
    }
    # Stem and the first layer of stage 1 meet in an addition; likewise in the other stages.
    expected = [2, 2, 4, 4, 6, 6, 7]
    np.testing.assert_allclose([alpha[name] for name in names], expected)
