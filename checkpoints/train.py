"""Train the networks whose weights are kept here, each by its recipe.

    python checkpoints/train.py resnet8_cifar10        # resumes if it was interrupted

Progress goes to ``~/.cache/fsrepro/NAME.weights.h5``; the finished weights and their card to
this folder.
"""

import argparse
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # twice as fast where TensorFlow leaves it off

import keras

from fsrepro.experiments import datasets, models, training

HERE = Path(__file__).parent
PROGRESS = Path.home() / ".cache" / "fsrepro"

RECIPES = {
    "resnet8_cifar10": {
        "data": datasets.cifar10,
        "model": lambda: models.resnet(8),
        "train": {"epochs": 60, "learning_rate": 0.1, "weight_decay": 5e-4, "seed": 0},
    },
    "resnet20_cifar10": {
        "data": datasets.cifar10,
        "model": lambda: models.resnet(20),
        "train": {
            "epochs": 120,
            "learning_rate": 0.1,
            "schedule": "restarts",
            "weight_decay": 5e-4,
            "precision": "mixed_bfloat16",
            "seed": 0,
        },
    },
    "resnet20_silu_cifar10": {
        "data": datasets.cifar10,
        "model": lambda: models.resnet(20, activation="silu"),
        "start": "resnet20_cifar10",  # the same layers behind ReLU
        "train": {"epochs": 18, "learning_rate": 0.03, "weight_decay": 5e-4, "seed": 0},
    },
    "plain_cnn_sigmoid_cifar10": {
        "data": datasets.cifar10,
        "model": lambda: models.plain_cnn(activation="sigmoid"),
        "train": {"epochs": 16, "learning_rate": 0.1, "weight_decay": 5e-4, "seed": 0},
    },
    "se_resnet14_cifar10": {
        "data": datasets.cifar10,
        "model": lambda: models.resnet(14, activation="silu", squeeze=4),
        "train": {"epochs": 10, "learning_rate": 0.1, "weight_decay": 5e-4, "seed": 0},
    },
}


def main(name: str) -> None:
    recipe = RECIPES[name]
    data = recipe["data"]()
    model = recipe["model"]()
    if "start" in recipe:
        models.load_checkpoint(model, HERE / f"{recipe['start']}.weights.h5")
    history = training.train(
        model,
        *data.arrays("train"),
        validation=data.arrays("calibration"),
        augmentation=True,
        **recipe["train"],
        checkpoint=PROGRESS / f"{name}.weights.h5",
    )
    card = {
        "network": model.name,
        **{key: recipe[key] for key in ("start",) if key in recipe},
        **data.summary(),
        "recipe": history.attrs["recipe"],
        "minutes": round(history["seconds"].sum() / 60, 1),
        "train_accuracy": accuracy_of(model, data, "train"),
        "calibration_accuracy": accuracy_of(model, data, "calibration"),
        "test_accuracy": accuracy_of(model, data, "test"),
        "versions": {"python": platform.python_version(), "keras": keras.version()},
        "licence": "BSD-3-Clause",
    }
    model.optimizer = None  # the kept file holds the weights only
    models.save_checkpoint(model, HERE / f"{name}.weights.h5", card)
    history.drop(columns="seconds").round(5).to_csv(HERE / f"{name}.history.csv", index=False)
    print(card)


def accuracy_of(model, data, part: str) -> float:
    return round(training.accuracy(model, *data.arrays(part)), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    main(parser.parse_args().name)
