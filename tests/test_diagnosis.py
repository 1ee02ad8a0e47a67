"""Diagnosis: figures against computations of the test's own, and a planted fault is found."""

import numpy as np
import pytest

from fsrepro import measures
from fsrepro.codes import ExponentMantissa, binary
from fsrepro.conversion import convert, diagnose, normal_form, with_decoders
from fsrepro.experiments import models
from fsrepro.networks.population import activation_layers


@pytest.fixture(scope="module")
def ann(trained):
    return trained


@pytest.fixture(scope="module")
def images(calibration_images):
    return calibration_images


@pytest.fixture(scope="module")
def snn(ann, images):
    return convert(ann, images, code="mixed_radix", steps=6, snr=20)


def test_figures_of_the_first_layer(ann, snn, images):
    table = diagnose(ann, snn, images)
    graph = normal_form(ann)
    name = activation_layers(graph)[0]
    first = next(layer for layer in graph.layers if layer.name == name)
    import keras

    v = keras.Model(graph.inputs, first.input).predict(images, verbose=0)
    code = snn.codes[name]
    y, row = code.quantise(v), table.iloc[0]
    relu = np.maximum(v, 0)
    error = ((y - relu).astype(np.float64) ** 2).sum()
    snr = 10 * np.log10((relu.astype(np.float64) ** 2).sum() / error)
    np.testing.assert_allclose(row["snr"], snr, rtol=1e-5)
    np.testing.assert_allclose(row["snr_to_ann"], snr, rtol=1e-3)  # nothing spikes before it
    np.testing.assert_allclose(row["saturated"], 100 * (v > code.staircase.value.max()).mean())
    np.testing.assert_allclose(row["dead"], 100 * (~(y > 0).any(0)).mean())
    np.testing.assert_allclose(row["spikes_per_neuron"], code.count(v).mean(), rtol=1e-6)


def test_spikes_are_those_of_evaluate_and_errors_add_up(ann, snn, images, digits):
    labels = digits.calibration.labels
    table = diagnose(ann, snn, images, labels)
    report = measures.evaluate(snn, images, labels)
    np.testing.assert_allclose(
        table["spikes_per_neuron"], report.layers["spikes_per_neuron"], rtol=1e-9
    )
    assert (table["snr_to_ann"][1:] < table["snr"][1:]).all()
    assert list(table["layer"]) == list(snn.codes)
    assert table["agreement_alone"].between(0, 100).all()


def test_finds_the_layer_whose_scale_is_wrong(ann, snn, images, digits):
    for culprit in snn.codes:
        codes = snn.codes | {culprit: snn.codes[culprit].scaled(0.02)}
        broken = convert(ann, images, code=codes)
        table = diagnose(ann, broken, images, digits.calibration.labels)
        table = table.set_index("layer")
        assert table["snr"].idxmin() == culprit
        assert table["saturated"].idxmax() == culprit
        assert table["agreement_alone"].idxmin() == culprit
        assert table["accuracy_lost_alone"].idxmax() == culprit


def test_finds_a_silent_layer(ann, snn, images):
    culprit = list(snn.codes)[1]
    codes = snn.codes | {culprit: binary(4, 1e6)}
    table = diagnose(ann, convert(ann, images, code=codes), images).set_index("layer")
    assert table["dead"][culprit] == 100
    assert table["spikes_per_neuron"][culprit] == 0
    assert table["snr"][culprit] == pytest.approx(0)


def test_networks_with_decoders_too(ann, images):
    names = activation_layers(normal_form(ann))
    decoded = with_decoders(ann, dict.fromkeys(names, ExponentMantissa(2, 3, 8.0)))
    table = diagnose(ann, decoded, images[:50])
    assert (table["snr"] > 5).all()


def test_refuses_what_does_not_fit(ann, snn, images):
    with pytest.raises(ValueError, match="was not converted from model 'resnet8'"):
        diagnose(models.resnet(8, (8, 8, 1)), snn, images)
    with pytest.raises(ValueError, match=r"200 images need as many labels, of shape \(200,\)"):
        diagnose(ann, snn, images, np.zeros(3))
    with pytest.raises(ValueError, match="the images must have shape"):
        diagnose(ann, snn, images[..., 0])
