"""The tables of the page of cards: what the data is, and each network that is kept.

python book/cards.py    # results/full, checkpoints -> book/figures/card_*.txt

What can be read is read: sizes, checksums, recipes, measures. By hand is what no file holds.
"""

import csv
import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fsrepro.experiments import pictures, results
from fsrepro.files import file_sha256, write_text

PROJECT = Path(__file__).parents[1]
RESULTS, CHECKPOINTS = PROJECT / "results" / "full", PROJECT / "checkpoints"


@dataclass(frozen=True)
class Words:
    """What a network is, what it is for, and where that ends."""

    title: str
    what: str
    limits: str


NETWORKS = {
    "resnet8_cifar10": Words(
        "ResNet-8",
        "A residual network {cite:p}`he2016` of eight layers with ReLU, small enough to try every "
        "code on all test images.",
        "It shows what a code costs. Larger networks are more accurate.",
    ),
    "resnet20_cifar10": Words(
        "ResNet-20",
        "A residual network of twenty layers with ReLU, as {cite:t}`stockl2021` converted one.",
        "Their weights were others, so accuracies do not compare; losses do.",
    ),
    "resnet20_cifar10_seed1": Words(
        "ResNet-20, another training",
        "The same layers from other first weights, to tell how far one training stands for others.",
        "It had a third of the epochs.",
    ),
    "resnet20_silu_cifar10": Words(
        "ResNet-20 with SiLU",
        "The same layers with SiLU {cite:p}`elfwing2018` in place of ReLU, for neurons that write "
        "other functions.",
        "It was trained on from the network with ReLU: the two are no comparison of activations.",
    ),
    "plain_cnn_sigmoid_cifar10": Words(
        "Convolutional network with sigmoids",
        "Three stages of two convolutions, without skips, for neurons that write the sigmoid.",
        "Chosen for its sigmoids, not for its accuracy.",
    ),
    "sigmoid_cnn_cifar10": Words(
        "Convolutional network with sigmoids, trained longer",
        "The same network, trained on with a fifth of the weight decay and half the learning rate.",
        "Kept so that the second round can be made again.",
    ),
    "sigmoid_cnn_cifar10_round2": Words(
        "Convolutional network with sigmoids: second round",
        "Trained on once more by the same recipe.",
        "It came after the published run: no figure of a chapter is of this network yet.",
    ),
    "se_resnet14_cifar10": Words(
        "ResNet-14 with gates",
        "A residual network with SiLU and squeeze-and-excite {cite:p}`hu2018`, for products of "
        "activations.",
        "Trained for a few epochs only: it shows how gates convert.",
    ),
    "gated_resnet14_cifar10": Words(
        "ResNet-14 with gates, trained longer",
        "The same layers as those of ResNet-14 with gates, trained for three times as many epochs.",
        "It came after the published run: no figure of a chapter is of this network yet.",
    ),
    "vgg16_cifar10": Words(
        "VGG-16",
        "The convolutions of VGG-16 with batch norm and average pooling, which much of the "
        "literature on conversion is about.",
        "Trained here, so accuracies do not compare with those of others; losses do.",
    ),
    "resnet8_cifar10_K8": Words(
        "ResNet-8, fine-tuned",
        "ResNet-8 trained on through its codes, to be timed in the simulator with few spikes.",
        "Its codes have eight steps and one budget; with others it was not trained.",
    ),
    "resnet20_cifar10_K8": Words(
        "ResNet-20, fine-tuned: first round",
        "ResNet-20 trained on through its codes, with labels and the answers of its ANN.",
        "The beginning of the rounds below, kept so that they can be made again.",
    ),
    "resnet20_cifar10_K8_round2": Words(
        "ResNet-20, fine-tuned: second round",
        "Trained on from the first round on blended images {cite:p}`zhang2018`.",
        "Kept so that the third round can be made again.",
    ),
    "resnet20_cifar10_K8_round3": Words(
        "ResNet-20, fine-tuned: third round",
        "Trained on from the second round: the fine-tuned network of the chapter on CIFAR-10.",
        "Three rounds of one seed each: what another seed would give was not measured.",
    ),
    "resnet20_cifar10_K8_s28": Words(
        "ResNet-20 in codes by channel, fine-tuned",
        "Fewer spikes than the rounds above, with a code for each channel.",
        "Trained for a few epochs, with one seed.",
    ),
    "resnet20_cifar10_K4_s35": Words(
        "ResNet-20 in codes of four steps, fine-tuned",
        "Half of the time steps, trained on half towards the labels.",
        "Eight epochs, with one seed.",
    ),
    "resnet20_cifar10_K8_s38_calibrated": Words(
        "ResNet-20 in codes by channel, calibrated",
        "Brought nearer to the answers of its ANN without labels, in minutes.",
        "Codes by channel leave it little to gain; the chapter on training tells how much.",
    ),
}

CREDITS = {  # as scikit-learn and scikit-image give them
    "china.jpg": ("danielbuechele, on Flickr", "CC BY 2.0"),
    "flower.jpg": ("vultilion, on Flickr", "CC BY 2.0"),
    "astronaut.png": ("NASA", "public domain"),
    "chelsea.png": ("Stefan van der Walt", "CC0"),
    "coffee.png": ("Rachel Michetti", "CC0"),
    "motorcycle_left.png": ("Middlebury stereo benchmark, scaled down", "none is named"),
    "rocket.jpg": ("SpaceX", "public domain"),
}


def table(rows: list[tuple], headed: bool = False) -> str:
    """Rows as a table in MyST; the first of them is its head if ``headed``."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    options = ":header-rows: 1\n" if headed else ":class: facts\n:stub-columns: 1\n"
    return f"```{{csv-table}}\n{options}\n{text.getvalue()}```\n"


def data(name: str) -> str:
    """What the result file of an experiment says about its data."""
    source = results.read(RESULTS, name)["provenance"]["data"]
    return table([(key.replace("sha256", "SHA-256").replace("_", " "), shown(source[key]))
                  for key in source if key != "dataset"])  # fmt: skip


def shipped() -> str:
    """Pictures of two packages, and whom they are from."""
    files = pictures.shipped().files
    rows = [(file.name, *CREDITS[file.name], file_sha256(file)[:10]) for file in files]
    return table([("picture", "by", "licence", "SHA-256 begins"), *rows], headed=True)


def networks() -> str:
    """A section for each network of which weights are kept, ANNs first."""
    cards = {path.stem: json.loads(path.read_text("utf-8")) for path in CHECKPOINTS.glob("*.json")}
    # While it is trained, a network has a card and no weights.
    kept = {name: kept for name in cards for kept in CHECKPOINTS.glob(f"{name}.[wf]*")}
    order = sorted(kept, key=lambda name: ("ann" in cards[name], list(NETWORKS).index(name)))
    return "\n".join(section(name, cards, kept[name]) for name in order)


def section(name: str, cards: dict[str, dict], file: Path) -> str:
    card, words = cards[name], NETWORKS[name]
    recipe, spikes = card["recipe"], card.get("test_spikes_per_neuron")
    measured = [
        f"{card[f'{part}_accuracy']:.2f} % of {count}"
        for part, count in {
            "test": f"{card['test_images']:,} test images",
            "calibration": f"{card['calibration_images']:,} held-out images",
            "train": f"{card['train_images']:,} training images",
        }.items()
        if f"{part}_accuracy" in card
    ]
    start = card.get("start") or card.get("ann")
    rows = {
        "file": f"`{file.relative_to(PROJECT)}`, {file.stat().st_size:,} bytes",
        "SHA-256": file_sha256(file),
        "parameters": shown(recipe.get("parameters")),
        "bits of a weight": shown(card.get("weight_bits")),
        "begun from": start and f"{NETWORKS[start].title} (`{start}`)",
        "converted with": shown(card.get("convert")),
        "data": f"CIFAR-10, {training_images(card)}, split seed {card['split_seed']}",
        "recipe": shown({key: recipe[key] for key in recipe if key not in ELSEWHERE}),
        "duration": f"{card['minutes']} minutes",
        "accuracy": ", ".join(measured),
        "spikes per neuron": spikes and f"{spikes} on the test images",
        "used in": ", ".join(f"{{doc}}`notebooks/{used}`" for used in experiments(file.name)),
        "packages": ", ".join(" ".join(item) for item in card["versions"].items()),
        "licence": card["licence"],
        "note": card.get("note"),
    }
    filled = [(key, value) for key, value in rows.items() if value]
    return f"### {words.title}\n\n{words.what} {words.limits}\n\n{table(filled)}"


# Of a recipe: what has a row of its own, or is too long for one.
ELSEWHERE = {"model", "parameters", "codes", "data", "data_sha256", "weights", "teacher"}


def training_images(card: dict) -> str:
    if "calibrated_on" in card:
        return f"{card['calibrated_on']:,} images without labels"
    return f"{card['train_images']:,} training images"


def experiments(file: str) -> list[str]:
    """Those whose published run read the file."""
    return [path.stem for path in sorted(RESULTS.glob("[0-9][0-9]_*.json"))
            if f"checkpoints/{file}" in path.read_text("utf-8")]  # fmt: skip


def shown(value) -> str:
    """A number, a text, or the settings of a dict in words."""
    if isinstance(value, dict):
        words = {key.replace("_", " "): setting for key, setting in value.items()}
        return ", ".join(key if setting is True else f"{key} {setting}"
                         for key, setting in words.items())  # fmt: skip
    if isinstance(value, int) and value >= 1000:
        return f"{value:,}"
    return "" if value is None else str(value)


TABLES = {
    "digits": partial(data, "08_public_failures"),
    "cifar10": partial(data, "01_relu_baseline"),
    "imagenet": partial(data, "07_imagenet"),
    "shipped": shipped,
    "networks": networks,
}

if __name__ == "__main__":
    for name, text in TABLES.items():
        write_text(PROJECT / "book" / "figures" / f"card_{name}.txt", text())
