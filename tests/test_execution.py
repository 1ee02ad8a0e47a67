"""Networks of one structure are traced once, and count what each of them alone would."""

import keras
import numpy as np
import pytest

from fsrepro.codes import binary, by_channel, mixed_radix, rate
from fsrepro.conversion import SpikingModel, convert, few_spikes, plan
from fsrepro.experiments.models import resnet
from fsrepro.networks import execution
from fsrepro.networks.graph import predict

IMAGES = np.random.default_rng(0).normal(0, 1, (40, 12, 12, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def planned():
    return plan(resnet(8, (12, 12, 3), width=8), IMAGES, steps=6)


@pytest.fixture(autouse=True)
def traces(monkeypatch):
    """Of the networks that were traced, their names."""
    found, made = [], execution._Graph.__init__
    monkeypatch.setattr(execution, "_KEPT", type(execution._KEPT)())

    def noted(graph, model, how):
        found.append(model.name)
        made(graph, model, how)

    monkeypatch.setattr(execution._Graph, "__init__", noted)
    return found


def check(snn):
    """What is counted is what the trains hold, and the outputs are those of the network alone."""
    outputs, counts = snn.count(IMAGES[:7])
    assert outputs.tobytes() == snn.predict(IMAGES[:7]).tobytes()
    for name, trains in snn.spike_trains(IMAGES[:7]).items():
        assert (counts[name] == trains.sum(0).sum(-1)).all()


def test_another_budget_code_or_bias_is_traced_once(planned, traces):
    for criterion in (
        {"spikes_per_neuron": 0.2}, {"spikes_per_neuron": 0.4, "bias_correction": False},
        {"snr": 15}, {"penalty": 0.001},
    ):  # fmt: skip
        check(planned.network(**criterion))
    found = planned.network(spikes_per_neuron=0.3)
    check(found.with_codes({name: mixed_radix((2, 4), 3.0) for name in found.codes}))
    assert len(traces) == 1


def test_another_structure_is_another_graph(planned, traces):
    found = planned.network(spikes_per_neuron=0.3)
    for code in (
        binary(6, 3.0), binary(5, 3.0), rate(6, 3.0), by_channel([binary(6, 3.0)] * 8),
    ):  # fmt: skip
        wide = code.threshold.ndim == 1  # else of as many channels as the first layers have
        codes = {
            name: code if wide or name.startswith(("stem", "stage1")) else own
            for name, own in found.codes.items()
        }
        check(found.with_codes(codes))
    assert len(traces) == 3  # the first and the third have the same


def test_weights_that_are_changed_later_are_read(planned):
    snn = planned.network(spikes_per_neuron=0.3)
    check(snn)
    layer = next(layer for layer in snn.keras_model.layers if layer.weights)
    layer.set_weights([1.5 * weight for weight in layer.get_weights()])
    check(snn)


def test_only_so_many_graphs_are_kept(planned, traces, monkeypatch):
    monkeypatch.setattr(execution, "_MOST", 1)
    a, b = planned.network(snr=10), convert(resnet(8, (12, 12, 3), width=4), IMAGES, steps=4)
    for snn in (a, b, a):
        check(SpikingModel(snn.keras_model, {}))
    assert len(traces) == 3 and len(execution._KEPT) == 1


@pytest.mark.parametrize("counting", ["", "sum", "each"])
@pytest.mark.parametrize("few", [0, 1 << 20])
@pytest.mark.parametrize(
    "code",
    [
        binary(5, 2.0), mixed_radix((1, 3), 2.0, dead_zone=1.5),
        by_channel([binary(4, 1.0 + c) for c in range(6)]),
    ],
    ids=lambda code: code.name,
)  # fmt: skip
def test_few_neurons_and_many_run_the_same_steps(code, few, counting, monkeypatch):
    monkeypatch.setattr(few_spikes, "_FEW", few)
    layer = few_spikes.FewSpikes(code, counting=counting)
    unit = float(code.weight.min())
    x = np.concatenate([IMAGES[:2].reshape(-1, 6), np.arange(-60, 60).reshape(-1, 6) * unit / 2])
    found = layer(x.astype(np.float32))
    z = code.encode(x)
    y, count = found if counting else (found, None)
    assert keras.ops.convert_to_numpy(y).tobytes() == code.decode(z).tobytes()
    if counting:
        wanted = z.sum(0) if counting == "each" else z.sum(0).sum(-1)
        assert (keras.ops.convert_to_numpy(count) == wanted).all()


def test_a_single_batch_is_answered_without_a_graph(trained, test_images, monkeypatch):
    several = predict(trained, test_images[:20], batch_size=10)
    monkeypatch.setattr(keras.Model, "predict_on_batch", None)
    single = predict(trained, test_images[:20])
    np.testing.assert_allclose(single, several, rtol=1e-5, atol=1e-5)
