"""Fine-tune the spiking networks that are kept here, each by its recipe.

    python checkpoints/fine_tune.py resnet20_cifar10_K4        # resumes if it was interrupted

Progress goes to ``~/.cache/fsrepro/NAME.weights.h5``; the network, its card and its history to this
folder.
"""

import argparse
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # twice as fast where TensorFlow leaves it off

import keras
import pandas as pd

from fsrepro import measures
from fsrepro.conversion import SpikingModel, convert
from fsrepro.experiments import datasets, models, training

HERE = Path(__file__).parent
PROGRESS = Path.home() / ".cache" / "fsrepro"
RECIPES = {
    "resnet8_cifar10_K8": {
        "network": lambda: models.resnet(8),
        "ann": "resnet8_cifar10",
        "convert": {"steps": 8, "spikes_per_neuron": 0.5},
        "fine_tune": {"spikes_per_neuron": 0.28, "epochs": 12, "learning_rate": 1e-3, "seed": 0},
    },
    "resnet20_cifar10_K8": {
        "network": lambda: models.resnet(20),
        "ann": "resnet20_cifar10",
        "convert": {"steps": 8, "spikes_per_neuron": 0.5},
        "fine_tune": {
            "spikes_per_neuron": 0.34,
            "epochs": 14,
            "learning_rate": 1e-3,
            "averaging": 0.0,  # it was made before there was a mean, its scales rounded at the end
            "seed": 0,
        },
    },
    "resnet20_cifar10_K8_round2": {
        "network": lambda: models.resnet(20),
        "ann": "resnet20_cifar10",
        "start": "resnet20_cifar10_K8",  # knows the training images by heart: blend them
        "fine_tune": {
            "spikes_per_neuron": 0.335,
            "epochs": 20,
            "learning_rate": 5e-4,
            "distillation": 1.0,
            "mixup": 0.4,
            "averaging": 1.0,
            "seed": 0,
        },
    },
    "resnet20_cifar10_K8_round3": {
        "network": lambda: models.resnet(20),
        "ann": "resnet20_cifar10",
        "start": "resnet20_cifar10_K8_round2",  # other blends, and the spikes that were left
        "fine_tune": {
            "spikes_per_neuron": 0.3405,
            "epochs": 10,
            "learning_rate": 5e-4,
            "distillation": 1.0,
            "mixup": 0.4,
            "averaging": 1.0,
            "seed": 1,
        },
    },
}


def main(name: str) -> None:
    recipe = RECIPES[name]
    data = datasets.cifar10()
    ann = recipe["network"]()
    models.load_checkpoint(ann, HERE / f"{recipe['ann']}.weights.h5")
    if "start" in recipe:
        snn = SpikingModel.load(HERE / f"{recipe['start']}.fs")
    else:
        x = data.normalise(data.calibration.images)
        snn = convert(ann, x, **recipe["convert"])
    tuned, history = training.fine_tune(
        snn,
        *data.arrays("train"),
        validation=data.arrays("calibration"),
        teacher=ann,
        augmentation=True,
        **recipe["fine_tune"],
        checkpoint=PROGRESS / f"{name}.weights.h5",
    )
    card = {
        **{key: recipe[key] for key in ("ann", "start", "convert") if key in recipe},
        **data.summary(),
        "recipe": history.attrs["recipe"],
        "minutes": round(history["seconds"].sum() / 60, 1),
        **measured(tuned, data, "calibration"),
        **measured(tuned, data, "test"),
        "versions": {"python": platform.python_version(), "keras": keras.version()},
        "licence": "BSD-3-Clause",
    }
    tuned.save(HERE / f"{name}.fs", overwrite=True)
    (HERE / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n")
    history = history.drop(columns="seconds").round(5)
    if "start" in recipe:  # the epochs of earlier rounds come first
        earlier = pd.read_csv(HERE / f"{recipe['start']}.history.csv")
        history["epoch"] += earlier["epoch"].max()
        history = pd.concat([earlier, history])
    history.to_csv(HERE / f"{name}.history.csv", index=False)
    print(card)


def measured(snn, data, part: str) -> dict[str, float]:
    report = measures.evaluate(snn, *data.arrays(part))
    return {
        f"{part}_accuracy": round(report.accuracy, 2),
        f"{part}_spikes_per_neuron": round(report.spikes_per_neuron, 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    main(parser.parse_args().name)
