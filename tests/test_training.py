"""Training depends on its seed alone, survives a kill, and refuses what is not its own."""

import numpy as np
import pytest

from fsrepro import training
from fsrepro.experiments import models

RECIPE = {"epochs": 4, "batch_size": 64, "augmentation": True}


def trained(data, **changes):
    model = models.small_cnn(width=4)
    history = training.train(
        model, *data.arrays("train"), validation=data.arrays("calibration"), **(RECIPE | changes)
    )
    return model, history


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_the_seed_decides(digits):
    first, history = trained(digits, seed=3)
    assert same_weights(first, trained(digits, seed=3)[0])
    assert not same_weights(first, trained(digits, seed=4)[0])
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history.attrs["recipe"]["seed"] == 3


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_killed_run_ends_like_an_uninterrupted_one(digits, tmp_path, monkeypatch, killed_after):
    whole, history = trained(digits)
    file = tmp_path / "run"
    epoch = training.TrainingData.epoch

    def killed_in_mid_epoch(self, number):
        for i, batch in enumerate(epoch(self, number)):
            if number == killed_after + 1 and i == 5:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(training.TrainingData, "epoch", killed_in_mid_epoch)
        with pytest.raises(KeyboardInterrupt):
            trained(digits, checkpoint=file)
    assert file.exists() == (killed_after > 0)
    resumed, resumed_history = trained(digits, checkpoint=file)
    assert same_weights(whole, resumed)
    assert resumed_history.drop(columns="seconds").equals(history.drop(columns="seconds"))


def test_a_finished_run_is_not_run_again(digits, tmp_path, monkeypatch):
    file = tmp_path / "run"
    model, _ = trained(digits, checkpoint=file)
    monkeypatch.setattr(training.TrainingData, "epoch", lambda *a: pytest.fail("trained again"))
    again, _ = trained(digits, checkpoint=file)
    assert same_weights(model, again)


def test_checkpoint_of_another_run_is_refused_and_kept(digits, tmp_path):
    file = tmp_path / "run"
    trained(digits, epochs=1, checkpoint=file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"another run .*seed: 0 there, 1 now"):
        trained(digits, epochs=1, seed=1, checkpoint=file)
    assert file.read_bytes() == before


def test_damaged_checkpoint_is_refused(digits, tmp_path):
    file = tmp_path / "run"
    file.write_bytes(b"weights")
    with pytest.raises(ValueError, match=r"is not a training checkpoint.*; delete it"):
        trained(digits, checkpoint=file)


def test_a_run_goes_on_from_its_own_weights_only(digits, tmp_path):
    """Those that it began with, as in a new process, or those that it had reached."""
    file = tmp_path / "run"
    images, options = digits.arrays("train"), {**RECIPE, "checkpoint": file}
    model = models.small_cnn(width=4, seed=1)
    training.train(model, *images, **options)
    before = [weights.copy() for weights in model.get_weights()]
    training.train(model, *images, **options)  # the cell of a notebook once more
    training.train(models.small_cnn(width=4, seed=1), *images, **options)
    assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.raises(ValueError, match=r"belongs to another run \(weights: .* there, .* now\)"):
        training.train(models.small_cnn(width=4, seed=2), *images, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs and learning_rate must be positive, got 0"),
        ({"learning_rate": float("nan")}, "must be positive"),
        ({"batch_size": 5000}, "batch_size 5000 exceeds the 1097 training images"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1, got 1.0"),
        (
            {"cutout": 4, "augmentation": False},
            "cutout must be 0, or positive with augmentation, got 4",
        ),
        ({"cutout": -1, "augmentation": True}, "cutout must be 0, or positive"),
        ({"schedule": "linear"}, "schedule must be one of cosine, one cycle, restarts, step, got"),
    ],
)
def test_impossible_settings(digits, changes, message):
    with pytest.raises(ValueError, match=message):
        trained(digits, **changes)


def test_labels_that_are_no_classes(digits):
    x, y = digits.arrays("train")
    for labels in (y - 1, y + 1, y + 0.5):
        with pytest.raises(ValueError, match="training labels must be"):
            training.train(models.small_cnn(width=4), x, labels, epochs=1)


def test_model_of_another_image_size(digits):
    message = r"training images must have shape \(N, 32, 32, 3\), got \(1097, 8, 8, 1\)"
    with pytest.raises(ValueError, match=message):
        training.train(models.resnet(8), *digits.arrays("train"), epochs=1)


def test_a_stream_of_batches_trains_as_arrays_do(digits):
    """The same batches, handed over as a stream: the same network."""
    x, y = digits.arrays("train")
    arrays = training.TrainingData(x, y, 64, False, 0)

    class Stream:
        epoch = 0

        def __len__(self):
            return arrays.steps

        def __iter__(self):
            self.epoch += 1
            return arrays.epoch(self.epoch)

    networks = [models.small_cnn(width=4) for _ in range(2)]
    training.train(networks[0], x, y, epochs=2, batch_size=64)
    training.train(networks[1], Stream(), epochs=2)
    assert same_weights(*networks)
    with pytest.raises(ValueError, match="a stream of \\(images, labels\\) that has a length"):
        training.train(networks[0], iter([]), epochs=1)
    with pytest.raises(ValueError, match="has its own augmentation"):
        training.train(networks[0], Stream(), epochs=1, augmentation=True)
    with pytest.raises(ValueError, match="1097 images need as many labels"):
        training.train(networks[0], x, y[:5], epochs=1)


def test_augmented_images_are_shifted_or_flipped_originals():
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (40, 8, 8, 1)).astype(np.float32)
    augmented = training.augment(images, np.random.default_rng(1))
    kinds = set()
    for image, result in zip(images, augmented, strict=True):
        matches = [
            (flip, dy, dx)
            for flip in (False, True)
            for dy in range(9)
            for dx in range(9)
            if np.array_equal(shifted(image, dy, dx, flip), result)
        ]
        assert matches
        kinds.update(matches)
    assert {kind[0] for kind in kinds} == {False, True}
    assert len(kinds) > 20


def shifted(image, dy, dx, flip):
    """The 8x8 window at (dy, dx) of the image padded with four zeros, mirrored or not."""
    window = np.pad(image, ((4, 4), (4, 4), (0, 0)))[dy : dy + 8, dx : dx + 8]
    return window[:, ::-1] if flip else window


def test_schedules():
    cosine = training.cosine_schedule(0.1, 100)
    assert [float(cosine(s)) for s in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0.0], abs=1e-8)
    restarts = training.restarts_schedule(0.1, 90)
    np.testing.assert_allclose(
        [restarts(i) for i in (0, 15, 30, 60, 90)], [0.1, 0.05, 0.1, 0.05, 0.1], rtol=1e-6
    )
    step = training.step_schedule(0.1, 100)
    assert [float(step(s)) for s in (0, 51, 76)] == pytest.approx([0.1, 0.01, 0.001])

    cycle = training.one_cycle_schedule(0.1, 100)
    rates = [float(cycle(s)) for s in (0, 25, 62.5, 100)]
    assert rates == pytest.approx([0.01, 0.1, 0.05, 0.0], abs=1e-6)


def test_cutout_takes_a_square_and_nothing_else():
    images = np.random.default_rng(0).uniform(1, 2, (60, 10, 9, 2)).astype(np.float32)
    options = {"shift": 0}
    plain = training.augment(images, np.random.default_rng(1), **options)
    cut = training.augment(images, np.random.default_rng(1), cutout=4, **options)
    for before, after in zip(plain, cut, strict=True):
        lost = (after != before).any(-1)
        assert (after[lost] == 0).all()
        rows, columns = lost.any(1).nonzero()[0], lost.any(0).nonzero()[0]
        assert lost.sum() == len(rows) * len(columns) and lost[np.ix_(rows, columns)].all()
        assert 2 <= len(rows) <= 4 and 2 <= len(columns) <= 4  # less at the border
    assert ((cut == 0).sum((1, 2, 3)) == 32).any()
    with pytest.raises(ValueError, match="a stream has its own augmentation"):
        training.TrainingData([images], None, 1, False, 0, cutout=4)


def test_labels_that_are_smoothed(digits):
    """No loss is below the entropy of its targets."""
    x, y = digits.arrays("train")
    histories = [
        training.train(
            models.small_cnn(width=8), x, y, epochs=8, learning_rate=0.05, label_smoothing=share
        )
        for share in (0.0, 0.2)
    ]
    sharp, smooth = (history["loss"].iloc[-1] for history in histories)
    entropy = -(0.82 * np.log(0.82) + 9 * 0.02 * np.log(0.02))
    assert sharp < entropy < smooth


def test_accuracy_counts_right_answers(digits):
    model = models.small_cnn()
    part = digits.test[:70]
    answers = model.predict_on_batch(digits.normalise(part.images)).argmax(1)
    expected = 100 * (answers == part.labels).mean()
    assert training.accuracy(
        model, digits.normalise(part.images), part.labels, batch_size=32
    ) == pytest.approx(expected)
