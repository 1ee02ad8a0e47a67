"""Train the networks that are kept here through their codes, each by the recipe in its card.

    python checkpoints/fine_tune.py resnet20_cifar10_K8_s28    # resumes if it was interrupted

Progress goes to ``~/.cache/fsrepro/NAME.training``; the network, its card and its history to this
folder. A new network needs ``NAME.json`` with its ``ann`` (a name of ``train.py``), a ``recipe``,
and how to ``convert`` the ANN or the spiking network to ``start`` from. With ``calibrated_on``
it is calibrated on so many images, without labels; with ``control`` the ANN itself is trained on.
The ANN is the ``teacher``, unless another is named.
"""

import json

import pandas as pd
from train import HERE, NETWORKS, arguments, card_of, chosen, new_card

from fsrepro import measures, training
from fsrepro.conversion import SpikingModel, convert
from fsrepro.experiments import datasets, models
from fsrepro.files import write_table, write_text


def trained(name: str):
    network = NETWORKS[name]()
    models.load_checkpoint(network, HERE / f"{name}.weights.h5")
    return network


def main(name: str) -> None:
    old, data = card_of(name), datasets.cifar10()
    start, ann = old.get("start"), trained(old["ann"])
    teacher = trained(old["teacher"]) if "teacher" in old else ann
    if start:
        begun = SpikingModel.load(HERE / f"{start}.fs")
    elif old.get("control"):
        begun = ann
    else:
        begun = convert(ann, data.normalise(data.calibration.images), **old["convert"])
    if count := old.get("calibrated_on"):
        recipe = arguments(training.calibrate, name, data)
        images, _ = recipe.pop("x")[:count], recipe.pop("y")
        tuned, history = training.calibrate(begun, teacher, images, **recipe)
    else:
        # The oldest recipe was written before there was a mean, its scales rounded at the end.
        recipe = {"averaging": 0.0, **arguments(training.fine_tune, name, data)}
        tuned, history = training.fine_tune(begun, teacher=teacher, **recipe)
    measured = {}
    for part in ("calibration", "test"):
        if begun is ann:
            measured[f"{part}_accuracy"] = round(training.accuracy(tuned, *data.arrays(part)), 2)
            continue
        report = measures.evaluate(tuned, *data.arrays(part))
        measured[f"{part}_accuracy"] = round(report.accuracy, 2)
        measured[f"{part}_spikes_per_neuron"] = round(report.spikes_per_neuron, 4)
    kept = ("ann", "teacher", "start", "convert", "control", "calibrated_on")
    card = new_card({key: old[key] for key in kept if key in old}, data, history, measured)
    if begun is ann:
        models.save_checkpoint(tuned, HERE / f"{name}.weights.h5", card)
    else:
        tuned.save(HERE / f"{name}.fs", overwrite=True)
        write_text(HERE / f"{name}.json", json.dumps(card, indent=2) + "\n")
    history = history.drop(columns="seconds").round(5)
    if start:  # the epochs of earlier rounds come first
        earlier = pd.read_csv(HERE / f"{start}.history.csv")
        history["epoch"] += earlier["epoch"].max()
        history = pd.concat([earlier, history])
    write_table(history, HERE / f"{name}.history.csv", overwrite=True)
    print(card)


if __name__ == "__main__":
    names = [path.stem for path in sorted(HERE.glob("*.json"))]
    main(chosen([name for name in names if "ann" in card_of(name)]))
