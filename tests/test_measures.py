"""Every count against a count by other means."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro import codes, measures
from fsrepro.conversion import convert
from fsrepro.experiments import models
from fsrepro.synapses import count_synapses


def random_images(n=20, shape=(6, 6, 2)):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def branching_network():
    """Strides, a skip, both kinds of pooling, depthwise and dense layers."""
    image = keras.Input((6, 6, 2))
    a = layers.Conv2D(3, 3, padding="same", activation="relu", name="a")(image)
    b = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="b")(a)
    c = layers.DepthwiseConv2D(3, padding="same", name="c")(b)
    c = layers.Activation("relu", name="sum")(layers.Add()([c, b]))
    d = layers.AveragePooling2D(2, strides=1)(c)
    d = layers.Conv2D(2, 1, activation="relu", name="d")(d)
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(d)))


@pytest.fixture(scope="module")
def snn():
    return convert(branching_network(), random_images(), steps=5)


def synapses_by_hand():
    """Fan-out of every neuron of ``branching_network``, by walking over output positions."""

    def window(height, kernel, stride):  # TensorFlow's "same" padding puts the odd pixel last
        out = -(-height // stride)
        before = max((out - 1) * stride + kernel - height, 0) // 2
        return [(o, o * stride - before + k) for o in range(out) for k in range(kernel)]

    def reached(height, pairs):
        count = np.zeros(height, int)
        for _, i in pairs:
            if 0 <= i < height:
                count[i] += 1
        return np.outer(count, count)

    pooled = reached(3, [(o, o + k) for o in range(2) for k in range(2)])
    return {
        "a_act": 4 * reached(6, window(6, 3, 2)),
        "b_act": reached(3, window(3, 3, 1)) + 1,  # depthwise, and the skip
        "sum": 2 * pooled,
        "d_act": np.full((2, 2), 5),
    }


def test_fan_out(snn):
    found = count_synapses(snn).fan_out
    expected = synapses_by_hand()
    assert found.keys() == expected.keys()
    for name, fan_out in expected.items():
        assert np.array_equal(found[name], fan_out), name


def test_a_report_has_the_paired_loss():
    ann, x = branching_network(), random_images(200)
    snn = convert(ann, x, steps=2)
    labels = np.random.default_rng(1).integers(0, 5, len(x))
    found = measures.evaluate(snn, x, labels, ann=ann)
    right = [a == labels for a in (measures.answers(ann, x), snn.predict(x).argmax(1))]
    assert (found.loss, found.low, found.high) == measures.paired_loss(*right)
    assert found.loss == pytest.approx(found.ann_accuracy - found.accuracy)
    assert found.low < found.loss < found.high
    assert f"points below ANN   {found.loss:.2f} (95 % interval {found.low:.2f}" in str(found)
    row = found.row()
    assert (row["loss"], row["low"], row["high"]) == (found.loss, found.low, found.high)
    summary = found.summary()
    assert (summary["loss_low"], summary["loss_high"]) == (found.low, found.high)
    assert not {"low", "high"} & set(summary)


@pytest.mark.parametrize("labelled, compared", [(False, True), (True, False)])
def test_without_labels_or_ann_nothing_is_lost(snn, labelled, compared):
    x = random_images()
    labels, ann = np.zeros(len(x), int), branching_network()
    found = measures.evaluate(snn, x, labels if labelled else None, ann=ann if compared else None)
    assert np.isnan([found.loss, found.low, found.high]).all()
    assert "points below" not in str(found)


def test_latency_is_the_longest_path(snn):
    assert count_synapses(snn).latency_steps == 4 * 5
    assert snn.steps == 5


@pytest.mark.parametrize(("depth", "neurons"), [(8, 73_728), (20, 188_416)])
def test_resnet_neurons_and_multiplications(depth, neurons):
    images = random_images(4, (32, 32, 3))
    snn = convert(models.resnet(depth), images, code="binary", scale=1.0, steps=2)
    assert snn.neurons == neurons
    synapses = count_synapses(snn)

    def convolution(size, kernel, cin, cout, stride=1):
        """Products with pixels, none with padding: ``kernel`` taps along each axis of ``size``."""
        out = size // stride
        taps = out * kernel - (0 if kernel == 1 else 2 if stride == 1 else 1)
        return taps**2 * cin * cout

    blocks = (depth - 2) // 6
    macs = convolution(32, 3, 3, 16)
    assert synapses.macs == macs
    for stage, (cin, cout, size) in enumerate([(16, 16, 32), (16, 32, 32), (32, 64, 16)]):
        stride = 1 if stage == 0 else 2
        macs += convolution(size, 3, cin, cout, stride)
        macs += convolution(size, 1, cin, cout, stride) if stage else 0
        macs += (2 * blocks - 1) * convolution(size // stride, 3, cout, cout)
    assert synapses.ann_macs == macs + 64 * 10


def test_spikes_are_those_of_the_specification(snn):
    images = random_images(12)
    labels = np.zeros(12, int)
    report = measures.evaluate(snn, images, labels)
    probe = keras.Model(snn.keras_model.inputs, [layer.input for layer in snn.spiking_layers])
    fan_out = count_synapses(snn).fan_out
    spikes = synops = 0
    for layer, v in zip(snn.spiking_layers, probe.predict(images), strict=True):
        z = layer.code.encode(v).sum(0)  # time step by time step, in NumPy
        row = report.layers.set_index("layer").loc[layer.name]
        assert row["spikes_per_neuron"] == pytest.approx(z.mean())
        spikes += z.sum()
        synops += (z * fan_out[layer.name][..., None]).sum()
    assert report.spikes_per_neuron == pytest.approx(spikes / 12 / snn.neurons)
    assert report.synops_per_image == pytest.approx(synops / 12)


def test_figures_do_not_depend_on_the_batch_size(snn):
    images, labels = random_images(13), np.arange(13) % 5
    reports = [measures.evaluate(snn, images, labels, ann=labels, batch_size=n) for n in (13, 4)]
    for key, value in reports[0].row().items():
        assert reports[1].row()[key] == pytest.approx(value, rel=1e-12), key


def test_accuracy_and_agreement(snn):
    images = random_images(10)
    answers = snn.predict(images).argmax(1)
    labels, reference = answers.copy(), answers.copy()
    labels[:3] = (labels[:3] + 1) % 5
    reference[:1] = (reference[:1] + 1) % 5
    report = measures.evaluate(snn, images, labels, ann=reference)
    assert report.accuracy == pytest.approx(70)
    assert report.agreement == pytest.approx(90)
    assert np.isnan(measures.evaluate(snn, images, labels).agreement)


def test_without_labels_there_is_no_accuracy(snn):
    report = measures.evaluate(snn, random_images(10))
    assert np.isnan(report.accuracy)
    assert report.spikes_per_neuron > 0
    assert "accuracy" not in str(report)


def test_the_ann_is_a_model_or_its_answers(snn):
    ann, images = branching_network(), random_images(10)
    answers = measures.answers(ann, images)
    reports = [measures.evaluate(snn, images, ann=given) for given in (ann, answers)]
    assert reports[0].agreement == reports[1].agreement <= 100
    assert f"same answer as ANN {reports[0].agreement:.2f} %" in str(reports[0])
    with pytest.raises(ValueError, match="10 images need as many answers of the ANN"):
        measures.evaluate(snn, images, ann=answers[:5])


def test_a_stream_of_batches_gives_the_figures_of_the_arrays(snn):
    """From a generator, and from TensorFlow; the ANN answers batch by batch."""
    import tensorflow as tf

    ann, images, labels = branching_network(), random_images(23), np.arange(23) % 5
    expected = measures.evaluate(snn, images, labels, ann=ann)
    cut = [slice(0, 10), slice(10, 20), slice(20, 23)]
    streams = {
        "generator": ((images[part], labels[part]) for part in cut),
        "list": [(images[part], labels[part]) for part in cut],
        "tf.data": tf.data.Dataset.from_tensor_slices((images, labels)).batch(10),
    }
    for stream in streams.values():
        found = measures.evaluate(snn, stream, ann=ann)
        assert found.row() == pytest.approx(expected.row())
        np.testing.assert_array_equal(found.predictions, expected.predictions)
    for stream in ((images[part] for part in cut), [images[part] for part in cut]):
        unlabelled = measures.evaluate(snn, stream)
        assert unlabelled.spikes_per_neuron == pytest.approx(expected.spikes_per_neuron)
        assert np.isnan(unlabelled.accuracy)
    with pytest.raises(ValueError, match="labels of a stream come with it"):
        measures.evaluate(snn, iter([images]), labels)
    with pytest.raises(ValueError, match="the images are empty"):
        measures.evaluate(snn, iter([]))
    with pytest.raises(ValueError, match="labels must be from 0 to 4, got 3 to 7"):
        measures.evaluate(snn, iter([(images, labels + 3)]))


def test_a_list_of_images_is_an_array(snn):
    images, labels = random_images(7), np.arange(7) % 5
    found = measures.evaluate(snn, list(images), labels, ann=labels)
    assert found.row() == measures.evaluate(snn, images, labels, ann=labels).row()


def test_a_sequential_model_with_default_names_is_a_reference():
    """Nobody's layers are named, and many a network is a list of layers."""
    ann = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    images = random_images(10)
    answers = ann.predict(images, verbose=0).argmax(axis=-1)
    snn = convert(ann, images, steps=8)
    found = measures.evaluate(snn, images, answers, ann=ann)
    assert found.row() == measures.evaluate(snn, images, answers, ann=answers).row()
    assert found.accuracy == found.agreement > 50


def right_and_wrong(lost, won, n):
    ann, snn = np.ones((2, n), bool)
    ann[:won], snn[won : won + lost] = False, False
    return ann, snn


def test_the_loss_is_paired():
    """Of 1,000 images 30 are right in the ANN alone, 10 in the SNN alone; the rest do not count."""
    loss, low, high = measures.paired_loss(*right_and_wrong(30, 10, 1000))
    deviation = np.sqrt(0.04 - 0.02**2)  # of differences that are 1, -1 or 0
    error = 1.96 * 100 * deviation / np.sqrt(1000)
    assert loss == pytest.approx(2.0)
    assert (low, high) == pytest.approx((2 - error, 2 + error), abs=0.15)  # where n is large
    assert all(np.isnan(measures.paired_loss(np.full(3, np.nan), np.ones(3, bool))))


@pytest.mark.parametrize("lost, won, n", [(30, 10, 1000), (3, 0, 200), (0, 5, 50), (7, 7, 40)])
def test_the_ends_of_the_interval_are_where_the_score_is_z(lost, won, n):
    """The variance at a difference d takes the most likely chances; here they are searched for."""
    _, *ends = measures.paired_loss(*right_and_wrong(lost, won, n))
    for d, sign in zip(np.array(ends) / 100, (1, -1), strict=True):
        chance = np.linspace(max(0, -d), (1 - d) / 2, 400_001)[1:-1]  # of won; of lost d more
        agree = 1 - 2 * chance - d
        likelihood = (n - lost - won) * np.log(agree)
        likelihood += lost * np.log(chance + d) if lost else 0
        likelihood += won * np.log(chance) if won else 0
        best = chance[likelihood.argmax()]
        deviation = np.sqrt(n * (2 * best + d - d * d))
        assert (lost - won - n * d) / deviation == pytest.approx(sign * 1.96, abs=0.01)


def test_any_counts_have_an_interval():
    for n in (1, 2, 3, 15, 16):
        for lost in range(n + 1):
            for won in range(n + 1 - lost):
                loss, low, high = measures.paired_loss(*right_and_wrong(lost, won, n))
                assert -100 <= low <= loss <= high <= 100 and low < high
                mirrored = measures.paired_loss(*right_and_wrong(won, lost, n))
                assert mirrored == pytest.approx((-loss, -high, -low), abs=1e-6)


def test_networks_that_never_differ_have_an_interval_all_the_same():
    found = measures.paired_loss(*right_and_wrong(0, 0, 650))
    end = 100 * 1.96**2 / (650 + 1.96**2)
    assert found == pytest.approx((0, -end, end), rel=1e-3)
    # Then p = (1 + d) / 2 are lost and the others won: the score is sqrt(n (1 - d) / (1 + d)).
    low = 100 * (5 - 1.96**2) / (5 + 1.96**2)
    found = measures.paired_loss(*right_and_wrong(5, 0, 5))
    assert found == pytest.approx((100, low, 100), abs=0.01)


def test_a_silent_network_costs_nothing():
    model = branching_network()
    model.get_layer("a").set_weights([np.zeros((3, 3, 2, 3)), -np.ones(3)])
    with pytest.warns(UserWarning, match="layer 'a_act' is silent"):
        snn = convert(model, random_images(), code=lambda s: codes.binary(4, s))
    report = measures.evaluate(snn, random_images(3), np.zeros(3, int))
    assert report.layers["spikes_per_neuron"][0] == 0
    assert report.layers["synops_per_image"][0] == 0


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (random_images(3, (5, 6, 2)), [0, 0, 0], r"images must have shape \(N, 6, 6, 2\), got"),
        (random_images(3)[..., 0], [0, 0, 0], r"images must have shape \(N, 6, 6, 2\)"),
        (random_images(3) * np.nan, [0, 0, 0], "images hold NaN or infinite values"),
        (random_images(0), [], "images are empty"),
        (random_images(3), [0, 0], "3 images need as many labels"),
        (random_images(3), [0, 1, 5], "labels must be from 0 to 4, got 0 to 5"),
        (random_images(3), [0, -1, 1], "labels must be from 0 to 4, got -1 to 1"),
        (random_images(3), [0.5, 1.0, 2.0], "labels must be integers from 0 to 4, got float64"),
    ],
)
def test_bad_input(snn, images, labels, message):
    with pytest.raises(ValueError, match=message):
        measures.evaluate(snn, images, np.array(labels))


def test_spikes_are_those_that_are_counted(snn):
    images = random_images()
    trains = snn.spike_trains(images[:3])
    _, counts = snn.count(images[:3])
    for (name, z), count in zip(trains.items(), counts.values(), strict=True):
        assert z.shape[0] == snn.codes[name].steps
        np.testing.assert_array_equal(z.sum(0).sum(-1), count)


def test_sampled_words_are_what_the_neurons_send(snn):
    image = random_images()[0]
    table = measures.sample_words(snn, image, neurons=10, seed=3)
    trains = snn.spike_trains(image[None])
    for name, rows in table.groupby("layer", sort=False):
        z = trains[name].reshape(5, -1)
        assert len(rows) == min(10, z.shape[1])
        assert rows["neuron"].is_unique
        for row in rows.itertuples():
            np.testing.assert_array_equal([int(letter) for letter in row.word], z[:, row.neuron])
    assert list(table["layer"].unique()) == list(snn.codes)
    assert table.equals(measures.sample_words(snn, image, neurons=10, seed=3))
    with pytest.raises(ValueError, match="the image"):
        measures.sample_words(snn, image[:3])


def test_options_of_a_simulator(snn):
    x, labels = random_images(2), np.zeros(2, int)
    with pytest.raises(ValueError, match="'keras' has no option backend; it has none"):
        measures.evaluate(snn, x, labels, options={"backend": "cuda"})
    with pytest.raises(ValueError, match="'genn' has no option gpu; it has optimize_code, backend"):
        measures.evaluate(snn, x, labels, simulator="genn", options={"gpu": True})
