"""Evaluation as a stream: the figures of `evaluate`, whatever the tasks, workers and kills."""

import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from effort import ALL
from PIL import Image

from fsrepro import measures
from fsrepro.codes import ExponentMantissa, by_channel
from fsrepro.conversion import convert, normal_form, with_decoders
from fsrepro.experiments import at_scale, picture_stream, pictures
from fsrepro.experiments.at_scale import evaluate_pictures
from fsrepro.experiments.models import small_cnn, without_background
from fsrepro.experiments.preprocessing import Preprocessing
from fsrepro.experiments.sweep import Sweep
from fsrepro.networks.population import activation_layers

SIZE = 12
WNIDS = list(pictures.imagenet_classes()["wnid"][:5])


def write_pictures(folder, number: int) -> pictures.Pictures:
    rng = np.random.default_rng(0)
    for i in range(number):
        place = folder / WNIDS[i % 5]
        place.mkdir(exist_ok=True)
        picture = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
        Image.fromarray(picture).save(place / f"{i:03d}.png")
    return pictures.find(folder)


def array_of(found, preprocessing) -> np.ndarray:
    (batch,) = picture_stream.batches(found, preprocessing, len(found))
    return batch.images


PREPROCESSING = Preprocessing(SIZE, mean=127.0, scale=64.0)


@pytest.fixture(scope="module")
def networks():
    ann = small_cnn((SIZE, SIZE, 3), 1000, seed=1)
    x = np.random.default_rng(1).normal(size=(50, SIZE, SIZE, 3)).astype(np.float32)
    return ann, convert(ann, x, code="mixed_radix", steps=6)


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"), 50)


@pytest.fixture(scope="module")
def expected(networks, some):
    return evaluate_pictures(*networks, some, PREPROCESSING)


def same(a: at_scale.PictureReport, b: at_scale.PictureReport) -> bool:
    return (
        a.answers.equals(b.answers)
        and a.unreadable.equals(b.unreadable)
        and a.report.layers.equals(b.report.layers)
    )


def test_the_figures_of_evaluate(networks, some, expected):
    ann, snn = networks
    x = array_of(some, PREPROCESSING)
    reference = measures.answers(ann, x, batch_size=16)
    whole = measures.evaluate(snn, x, some.labels, ann=reference, batch_size=16)
    found = expected.report
    assert found.row() == pytest.approx(whole.row())
    np.testing.assert_array_equal(found.predictions, whole.predictions)
    np.testing.assert_allclose(
        found.layers["synops_per_image"], whole.layers["synops_per_image"], rtol=1e-12
    )
    assert found.loss == pytest.approx(found.ann_accuracy - found.accuracy)


@pytest.mark.parametrize("per_task, workers", [(1, 1), (16, 2), (20, 3), (1000, 1)])
def test_tasks_of_any_size(networks, some, expected, per_task, workers):
    found = evaluate_pictures(
        *networks, some, PREPROCESSING, pictures_per_task=per_task, workers=workers
    )
    assert same(found, expected)


def test_a_killed_run_goes_on(networks, some, expected, tmp_path, monkeypatch):
    path = tmp_path / "counts"
    genuine, calls = at_scale._count, deque()  # no list, whose content would count

    def killed(*, start, **task):
        calls.append(start)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return genuine(start=start, **task)

    options = {"checkpoint": path, "pictures_per_task": 16}
    monkeypatch.setattr(at_scale, "_count", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate_pictures(*networks, some, PREPROCESSING, **options)
    found = evaluate_pictures(*networks, some, PREPROCESSING, **options)
    assert list(calls) == [0, 16, 32, 32, 48]  # two tasks were kept
    assert same(found, expected)
    other = evaluate_pictures(*networks, some[:20], PREPROCESSING, **options)
    assert list(calls)[5:] == [0, 16]  # other pictures: from the start
    assert len(other.answers) == 20


def test_unreadable_pictures_are_told_and_left_out(networks, tmp_path):
    found = write_pictures(tmp_path, 40)
    for i in (3, 17, 39):
        found.files[i].write_bytes(found.files[i].read_bytes()[:60])
    result = evaluate_pictures(*networks, found, PREPROCESSING, pictures_per_task=16)
    assert list(result.unreadable["file"]) == [str(found.files[i]) for i in (3, 17, 39)]
    assert result.report.images == len(result.answers) == 37
    kept = np.delete(np.arange(40), [3, 17, 39])
    np.testing.assert_array_equal(result.answers["label"], found.labels[kept])
    for file in found.files:
        file.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"none of the 40 pictures could be read; the .*000"):
        evaluate_pictures(*networks, found, PREPROCESSING)


def test_codes_by_channel(networks, some, expected, tmp_path):
    ann, snn = networks
    codes = {
        layer.name: by_channel([layer.code] * layer.output.shape[-1])
        for layer in snn.spiking_layers
    }
    found = evaluate_pictures(
        ann, snn.with_codes(codes), some, PREPROCESSING, checkpoint=tmp_path / "rows"
    )
    pd.testing.assert_frame_equal(found.answers, expected.answers)
    assert found.report.row() == expected.report.row()


def test_what_does_not_fit_is_refused_before_anything_runs(networks, some):
    ann, snn = networks
    with pytest.raises(ValueError, match=r"takes pictures of shape \(12, 12, 3\), .*\(10, 10, 3\)"):
        evaluate_pictures(ann, snn, some, Preprocessing(10))
    with pytest.raises(ValueError, match="pictures_per_task must be at least 1, got 0"):
        evaluate_pictures(ann, snn, some, PREPROCESSING, pictures_per_task=0)
    more = small_cnn((SIZE, SIZE, 3), 1001)
    message = "answers 1001 classes, the pictures have 1000; if its first .*without_background"
    with pytest.raises(ValueError, match=message):
        evaluate_pictures(more, snn, some, PREPROCESSING)
    with pytest.raises(ValueError, match=r"answers 10 classes, the pictures have 1000$"):
        evaluate_pictures(small_cnn((SIZE, SIZE, 3), 10), snn, some, PREPROCESSING)


def test_without_background(some):
    more = small_cnn((SIZE, SIZE, 3), 1001, seed=3)
    x = array_of(some, PREPROCESSING)
    fewer = without_background(more)
    expected = more.predict_on_batch(x)[:, 1:]
    np.testing.assert_allclose(fewer.predict_on_batch(x), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="not made by a Dense layer, but by 'c' \\(Conv2D\\)"):
        inputs = at_scale.keras.Input((4, 4, 3))
        without_background(
            at_scale.keras.Model(inputs, at_scale.keras.layers.Conv2D(2, 1, name="c")(inputs))
        )


def test_pictures_without_labels_have_no_accuracy(networks, some, expected):
    unknown = replace(some, labels=np.full(len(some), -1))
    found = evaluate_pictures(*networks, unknown, PREPROCESSING)
    of = found.report
    assert np.isnan([of.accuracy, of.ann_accuracy, of.loss, of.low, of.high]).all()
    assert found.report.agreement == expected.report.agreement
    assert found.report.spikes_per_neuron == expected.report.spikes_per_neuron


# --- on a cluster --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def distributed():
    return pytest.importorskip("distributed", reason="needs fsrepro[scale]")


@pytest.fixture(scope="module")
def client(distributed):
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client


def on_cluster(client, networks, some, **options):
    return evaluate_pictures(
        *networks, some, PREPROCESSING, client=client, pictures_per_task=16,
        **options,
    )  # fmt: skip


def test_any_number_of_workers(networks, some, expected, client):
    for workers in (1, 2, 4) if ALL else (1, 3):
        client.cluster.scale(workers)
        client.wait_for_workers(workers)
        assert same(on_cluster(client, networks, some), expected)


def test_threads_of_a_process_share_its_networks(networks, some, expected, distributed):
    """As on a node of Slurm: SLURMCluster(cores=4, processes=1)."""
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=4, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        assert same(on_cluster(client, networks, some), expected)
        assert list(client.run(how_often_loaded).values()) == [1]


def how_often_loaded():
    return at_scale._loaded.cache_info().misses


def test_tasks_carry_what_they_need(networks, client, distributed, monkeypatch):
    """50,000 pictures, none of which is there: what goes out are their names, once."""
    files = tuple(Path(f"/data/{i % 1000:03d}/ILSVRC2012_val_{i:08d}.JPEG") for i in range(50_000))
    classes = tuple(pictures.imagenet_classes()["name"])
    many = pictures.Pictures(Path("/data"), files, np.zeros(len(files), np.int64), classes)
    monkeypatch.setattr(pictures.Pictures, "checksum", "of files that are not there")
    tcp = distributed.comm.tcp.TCP
    sent, genuine = [], tcp.write

    async def counted(*arguments, **options):
        sent.append(await genuine(*arguments, **options))
        return sent[-1]

    monkeypatch.setattr(tcp, "write", counted)
    with pytest.raises(ValueError, match="none of the 50000 pictures could be read"):
        evaluate_pictures(*networks, many, PREPROCESSING, client=client)
    assert sum(map(len, map(str, files))) < sum(sent) < 20e6


def test_a_killed_worker_costs_time_and_nothing_else(networks, some, expected, client):
    victim = next(iter(client.run(os.getpid).values()))
    kept = []
    genuine = at_scale.Sweep._keep

    def keep(self, key, row, seconds):
        genuine(self, key, row, seconds)
        kept.append(key)
        if len(kept) == 1:  # in the middle of the work
            os.kill(victim, signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_scale.Sweep, "_keep", keep)
        found = on_cluster(client, networks, some)
    assert len(kept) == 4
    assert same(found, expected)


def row_of(*, network, code, K, images, labels):
    """A row of a sweep, as a user would write it."""
    ann = small_cnn(images.shape[1:], 10, width=4, seed=network)
    snn = convert(ann, images, code=code, steps=K)
    return measures.evaluate(snn, images, labels).row()


def test_a_sweep_over_networks_codes_and_time_steps(client, tmp_path):
    rng = np.random.default_rng(0)
    shared = {
        "images": rng.normal(size=(20, 8, 8, 3)).astype(np.float32),
        "labels": rng.integers(0, 10, 20),
    }
    settings = [
        {"network": network, "code": code, "K": K}
        for network in (1, 2)
        for code, K in (("binary", 3), ("mixed_radix", 5))
    ]
    here = Sweep(None).table("codes", settings, row_of, shared=shared)
    sweep = Sweep(tmp_path / "kept")
    there = sweep.table("codes", settings, row_of, shared=shared, client=client)
    pd.testing.assert_frame_equal(there, here)
    assert here["spikes_per_neuron"].nunique() == len(settings)
    # All rows are kept, so nothing is computed, which would need images:
    again = Sweep(tmp_path / "kept").table("codes", settings, row_of)
    pd.testing.assert_frame_equal(again, here)


def test_networks_with_decoders_stay_here(networks, some, client):
    ann, _ = networks
    names = activation_layers(normal_form(ann))
    decoded = with_decoders(ann, dict.fromkeys(names, ExponentMantissa(2, 2, 4.0)))
    found = evaluate_pictures(ann, decoded, some[:3], PREPROCESSING)
    assert found.report.images == 3
    with pytest.raises(TypeError, match="needs decoders"):
        on_cluster(client, (ann, decoded), some[:3])


# --- memory --------------------------------------------------------------------------------------

MEASURE = """
import resource, sys

import numpy as np
from fsrepro.experiments import pictures
from fsrepro.experiments.at_scale import evaluate_pictures
from fsrepro.conversion import convert
from fsrepro.experiments.models import small_cnn
from fsrepro.experiments.preprocessing import Preprocessing

ann = small_cnn((32, 32, 3), 1000, width=4)
x = np.random.default_rng(0).normal(size=(20, 32, 32, 3)).astype(np.float32)
snn = convert(ann, x, steps=4)
found = pictures.find(sys.argv[1])
scaled = Preprocessing(32, mean=127.0, scale=64.0)
for number in map(int, sys.argv[2:]):
    report = evaluate_pictures(ann, snn, found[:number], scaled)
    assert report.report.images == number
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_depend_on_the_number_of_pictures(tmp_path):
    """10,000 would be 123 MB as float32, beyond the tenth that is allowed over 1,000."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    original = tmp_path / WNIDS[0] / "0000.png"
    original.parent.mkdir()
    Image.fromarray(picture).save(original)
    for i in range(1, 10_000):
        (original.parent / f"{i:04d}.png").hardlink_to(original)
    command = [sys.executable, "-c", MEASURE, str(tmp_path), "1000", "10000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    fewer, all_of_them = map(int, done.stdout.split()[-2:])
    assert all_of_them < 1.1 * fewer
