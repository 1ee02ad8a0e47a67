"""Train the networks whose weights are kept here, each by the recipe in the card beside them.

    python checkpoints/train.py resnet8_cifar10        # resumes if it was interrupted

Progress goes to ``~/.cache/fsrepro/NAME.training``; the finished weights and their card to
this folder. A new network needs a line in ``NETWORKS`` and ``NAME.json`` with a ``recipe``; with
``weight_bits`` 8 what is kept, and measured, has weights of eight bits.
"""

import argparse
import inspect
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # twice as fast where TensorFlow leaves it off

import keras

from fsrepro import training
from fsrepro.experiments import datasets, models
from fsrepro.files import write_table
from fsrepro.networks.few_bits import round_weights

HERE = Path(__file__).parent
NETWORKS = {
    "resnet8_cifar10": lambda: models.resnet(8),
    "resnet20_cifar10": lambda: models.resnet(20),
    "resnet20_cifar10_seed1": lambda: models.resnet(20),
    "resnet20_silu_cifar10": lambda: models.resnet(20, activation="silu"),
    "plain_cnn_sigmoid_cifar10": lambda: models.plain_cnn(activation="sigmoid"),
    "sigmoid_cnn_cifar10": lambda: models.plain_cnn(activation="sigmoid"),
    "sigmoid_cnn_cifar10_round2": lambda: models.plain_cnn(activation="sigmoid"),
    "vgg16_cifar10": models.vgg16,
    "se_resnet14_cifar10": lambda: models.resnet(14, activation="silu", squeeze=4),
    "gated_resnet14_cifar10": lambda: models.resnet(14, activation="silu", squeeze=4),
}


def card_of(name: str) -> dict:
    return json.loads((HERE / f"{name}.json").read_text())


def arguments(train, name: str, data: datasets.Dataset) -> dict:
    """What ``train`` is called with, by the recipe of ``name``."""
    recipe = card_of(name)["recipe"]
    settings = [key for key in inspect.getfullargspec(train).kwonlyargs if key in recipe]
    return {
        **dict(zip("xy", data.arrays("train"), strict=True)),
        "validation": data.arrays("calibration"),
        "checkpoint": Path.home() / ".cache" / "fsrepro" / f"{name}.training",
        **{key: recipe[key] for key in settings},
    }


def new_card(origin: dict, data: datasets.Dataset, history, measured: dict) -> dict:
    return {
        **origin,
        **data.summary(),
        "recipe": history.attrs["recipe"],
        "minutes": round(history["seconds"].sum() / 60, 1),
        **measured,
        "versions": {"python": platform.python_version(), "keras": keras.version()},
        "licence": "BSD-3-Clause",
    }


def chosen(names) -> str:
    parser = argparse.ArgumentParser(description="Train NAME by the recipe in NAME.json.")
    parser.add_argument("name", choices=names)
    return parser.parse_args().name


def main(name: str) -> None:
    model, data, origin = NETWORKS[name](), datasets.cifar10(), {}
    if start := card_of(name).get("start"):  # the same layers, trained behind another activation
        models.load_checkpoint(model, HERE / f"{start}.weights.h5")
        origin = {"start": start}
    history = training.train(model, **arguments(training.train, name, data))
    if bits := card_of(name).get("weight_bits"):
        round_weights(model, bits)
        origin["weight_bits"] = bits
    measured = {
        f"{part}_accuracy": round(training.accuracy(model, *data.arrays(part)), 2)
        for part in ("train", "calibration", "test")
    }
    card = new_card({"network": model.name, **origin}, data, history, measured)
    model.optimizer = None  # the kept file holds the weights only
    models.save_checkpoint(model, HERE / f"{name}.weights.h5", card)
    history = history.drop(columns="seconds").round(5)
    write_table(history, HERE / f"{name}.history.csv", overwrite=True)
    print(card)


if __name__ == "__main__":
    main(chosen(NETWORKS))
