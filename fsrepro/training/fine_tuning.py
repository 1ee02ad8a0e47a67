"""Fine-tuning a spiking network through its codes, under a budget of spikes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
import pandas as pd

from ..archive import checksum
from ..codes import SpikeCode
from ..conversion import SpikingModel, UnsupportedLayerError, normal_form
from ..frontends import read
from ..networks.population import Population
from .batches import TrainingData, mix
from .checkpointing import resume, run
from .from_scratch import check_settings
from .learned_code import LearnedCode, counted, in_units
from .objective import Objective
from .schedules import cosine_schedule
from .twin import bring_back, twin

__all__ = ["fine_tune"]

_PROPORTIONAL, _INTEGRAL = 10.0, 150.0  # of the controller that holds the budget
_FEW = 32  # images on which what is read of a network is held against it
_DESCENT = 0.25  # of the training, in which the budget falls to its target
_STATE = ("price", "price_sum", "first_spikes")


Network = TypeVar("Network", SpikingModel, keras.Model)


def fine_tune(
    network: Network,
    x: np.ndarray | Iterable,
    y: np.ndarray | None = None,
    *,
    epochs: int,
    spikes_per_neuron: float | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    teacher=None,
    distillation: float = 0.5,
    mixup: float = 0.0,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    averaging: float = 1.0,
    augmentation: bool = False,
    precision: str = "float32",
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> tuple[Network, pd.DataFrame]:
    r"""Train weights, scales and dead zones of a spiking network; return a new one and the history.

    Adam (which does not mind that folded weights differ in size) and a cosine schedule, on

    .. math:: L = \mathrm{CE}(\text{targets}, \text{logits})
              + \lambda \cdot \text{spikes per neuron}

    (in regression, with the squared error over the variance of the targets in place of the
    cross-entropy), with the codes themselves forward and stand-ins for their gradients backward,
    see :mod:`~fsrepro.training.learned_code`. :math:`\lambda` is controlled: the budget
    falls in a straight line from the spikes of the first batch to ``spikes_per_neuron`` over the
    first quarter of the training and stays there. Needs the TensorFlow backend.

    Parameters
    ----------
    network : SpikingModel or keras.Model
        Of codes with positive weights, of ReLUs, of somas, of pairs, for layers or channels. Left
        unchanged. Or an ANN, for the control: the same training without codes.
    x, y : array
        Images (N, ...) as the network takes them, and labels as for
        :func:`~fsrepro.measures.evaluate`, or None: then the teacher's answers are the targets.
        Or ``x`` is a stream of batches of both, see
        :class:`~fsrepro.training.TrainingData`.
    spikes_per_neuron : float
        The budget; of a spiking network, and of no other.
    learning_rate, weight_decay : float
    epochs, batch_size, seed : int
    validation : pair of arrays
        Held-out images and labels, to be answered after every epoch.
    teacher : keras.Model, torch.nn.Module, or path
        Usually the ANN; from PyTorch and ONNX only beside arrays.
    distillation : float
        The targets are the teacher's probabilities with this weight, and the labels with the rest
        (Hinton et al. 2015, temperature 1).
    mixup : float
        Alpha of the Beta distribution by which images are blended, 0 for none, see
        :func:`~fsrepro.training.batches.mix`; the teacher answers the blended ones, as
        in Beyer et al. (2022), so that a network that knows its images by heart goes on learning.
    averaging : float
        The network that is measured and returned has the exponential mean of weights and scales
        over so many epochs (Polyak & Juditsky 1992); 0 for the last ones. Weights behind coarse
        codes go on jumping between levels, their mean does not.
    augmentation : bool
    precision : str
        What synapses and teacher compute in, see :func:`~fsrepro.training.twin.twin`;
        neurons compute in float32.
    checkpoint : str or Path
        A file written after every epoch; if it exists, training goes on from there.

    Returns
    -------
    SpikingModel or keras.Model
        Of the same codes with other dead zones and scales, these of eight significant bits; or an
        ANN, its batch norm folded.
    pandas.DataFrame
        The history, a row per epoch: epoch, loss, calibration_accuracy (percent of the held-out
        images answered rightly; in regression, of their variance explained), spikes_per_neuron
        (mean over the training images), price (lambda), learning_rate, seconds. Both are the same
        for the same seed.

    Raises
    ------
    ValueError
        For impossible settings, labels that do not fit, neither labels nor a teacher, a network
        with decoders or of other codes, and a checkpoint that is damaged, or belongs to another
        network, recipe or data set.
    """
    data = TrainingData(x, y, batch_size, augmentation, seed)
    steps = epochs * data.steps
    few = None if data.is_stream else data.x[:_FEW]
    _check(network, spikes_per_neuron, distillation, mixup, averaging)
    if isinstance(network, SpikingModel):
        begun, task, codes = network.keras_model, network.task, network.codes
    else:
        ann = read(network, few)
        begun, task, codes = normal_form(ann.graph, analog="allowed"), ann.task, {}
    check_settings(begun, data, validation, epochs, learning_rate)
    price = keras.Variable(0.0, trainable=False, autocast=False, name="price")
    model = _trainable(begun, price, precision)
    teaches = None
    if teacher is not None:
        teacher = read(teacher, few).graph
        teaches = checksum(*teacher.get_weights())
        teacher = twin(_folded(teacher), precision)
    objective = Objective(task, model.output_shape[1:], teacher, distillation)
    first, labels = next(iter(data.epoch(1)))
    wanted = objective.taught(first, objective.targets(labels, len(first)))
    objective.variance = float(wanted.var(0).mean()) or 1.0
    rate = cosine_schedule(learning_rate, steps)
    momentum = max(0.0, 1 - 1 / max(1.0, averaging * data.steps))
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=weight_decay, use_ema=averaging > 0, ema_momentum=momentum
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "log_scale", "dead_zone"])
    model.compile(optimizer, loss=objective.loss)
    optimizer.build(model.trainable_variables)
    recipe = {
        "model": model.name, "weights": checksum(*begun.get_weights()),
        "teacher": teaches, "codes": [f"{name}: {code.name}" for name, code in codes.items()],
        "data": data.identity, "spikes_per_neuron": spikes_per_neuron, "epochs": epochs,
        "distillation": objective.distillation, "mixup": mixup,
        "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay,
        "averaging": averaging, "augmentation": augmentation, "precision": precision, "seed": seed,
    }  # fmt: skip
    history = resume(model, checkpoint, recipe)
    kept = [history[-1][name] for name in _STATE] if history else []
    budget = _Budget(spikes_per_neuron or 0.0, steps, *kept)
    layers = [layer for layer in model.layers if isinstance(layer, LearnedCode)]

    def learn(epoch, batches):
        losses, spikes = [], []
        shares = np.random.default_rng([seed, epoch, 1])
        for images, labels in batches:
            price.assign(budget.price)
            targets = objective.targets(labels, len(images))
            if mixup:  # but where spikes are counted: a blend has others than an image
                whole = int(counted(len(images)))
                blends = mix(images, targets, mixup, shares)
                images, targets = (
                    np.concatenate([plain[:whole], blended[whole:]])
                    for plain, blended in zip((images, targets), blends, strict=True)
                )
            targets = objective.taught(images, targets)
            losses.append(float(model.train_on_batch(images, targets)))
            spikes.append(sum(layer.share * float(layer.spikes) for layer in layers))
            budget.observe(spikes[-1], (epoch - 1) * data.steps + len(spikes))
        with _mean_weights(model, averaging):
            held_out = objective.quality(model, validation)
        loss, fired = float(np.mean(losses)), float(np.mean(spikes))
        return {"loss": loss, "calibration_accuracy": held_out, "spikes_per_neuron": fired}

    table = run(
        f"fine-tune {model.name}", model, data, learn, rate=rate, recipe=recipe, history=history,
        checkpoint=checkpoint, state=budget.state,
        status="{calibration_accuracy:.2f} %, {spikes_per_neuron:.3f} spikes",
    )  # fmt: skip
    with _mean_weights(model, averaging):
        trained = keras.models.clone_model(begun)  # in layers of the kinds that it was made of
        bring_back(model, trained)
        return _exported(model, trained, network), table


@contextmanager
def _mean_weights(model: keras.Model, averaging: float) -> Iterator[None]:
    """The mean of the weights stands in the model; afterwards the weights themselves again."""
    if not averaging:
        yield
        return
    variables = model.trainable_variables
    now = [variable.numpy() for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, now, strict=True):
            variable.assign(value)


@dataclass
class _Budget:
    """The price of a spike, raised while too many are fired: a PI controller."""

    target: float
    steps: int
    price: float = 0.0
    price_sum: float = 0.0
    first_spikes: float | None = None

    def observe(self, spikes: float, step: int) -> None:
        first = self.first_spikes = spikes if self.first_spikes is None else self.first_spikes
        share = min(1.0, step / (_DESCENT * self.steps))
        excess = spikes - (first + share * min(0.0, self.target - first))
        self.price_sum = max(0.0, self.price_sum + _INTEGRAL / self.steps * excess)
        self.price = max(0.0, self.price_sum + _PROPORTIONAL * excess)

    def state(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in _STATE}


def _trainable(begun: keras.Model, price: keras.Variable, precision: str) -> keras.Model:
    populations = [layer for layer in begun.layers if isinstance(layer, Population)]
    sizes = {layer.name: float(np.prod(layer.output.shape[1:])) for layer in populations}

    def learned(layer):
        if layer not in populations:
            return None
        share = sizes[layer.name] / sum(sizes.values())
        return LearnedCode(layer.code, price=price, share=share, name=layer.name, dtype=precision)

    return twin(begun, precision, learned)


def _folded(teacher: keras.Model) -> keras.Model:
    """The teacher without batch norm, which answers in half the time; as it is if that fails."""
    try:
        return normal_form(teacher, analog="allowed")
    except UnsupportedLayerError:
        return teacher


def _exported(model: keras.Model, trained: keras.Model, begun: Network) -> Network:
    """The ``trained`` synapses with the codes of ``model``, as the network that was ``begun``."""
    if not isinstance(begun, SpikingModel):
        return trained
    learned = {layer.name: layer for layer in model.layers if isinstance(layer, LearnedCode)}
    scales = {name: float(layer.scale) for name, layer in learned.items() if layer.scale.ndim == 0}
    tuned = SpikingModel(trained, scales, task=begun.task, inputs=begun.inputs).with_codes(
        {name: layer.exported() for name, layer in learned.items()}
    )
    tuned.scales = scales
    return tuned


def _check(network, spikes_per_neuron, distillation, mixup, averaging) -> None:
    codes = network.codes if isinstance(network, SpikingModel) else {}
    for name, code in codes.items():
        if not isinstance(code, SpikeCode):
            raise ValueError(
                f"layer {name!r} has the code {code.name!r}, which needs decoders; only networks "
                "of linear codes can be fine-tuned"
            )
        if code.activation not in ("relu", "linear") and not code.soma:
            raise ValueError(
                f"layer {name!r} writes {code.activation} by its tables alone; only neurons whose "
                "soma computes it can be fine-tuned: convert with a code of max(x, 0)"
            )
        in_units(code)
    if not codes and spikes_per_neuron is not None:
        raise ValueError("an ANN has no spikes; leave spikes_per_neuron out")
    if codes and spikes_per_neuron is None:
        raise ValueError("a spiking network needs a budget: spikes_per_neuron=")
    if codes and not (np.isfinite(spikes_per_neuron) and spikes_per_neuron > 0):
        raise ValueError(f"spikes_per_neuron must be positive and finite, got {spikes_per_neuron}")
    if not 0 <= distillation <= 1:
        raise ValueError(f"distillation must be between 0 and 1, got {distillation}")
    if not (np.isfinite(mixup) and mixup >= 0):
        raise ValueError(f"mixup must be 0 for none, or positive, got {mixup}")
    if not (np.isfinite(averaging) and averaging >= 0):
        raise ValueError(f"averaging must be a number of epochs, 0 or more, got {averaging}")
