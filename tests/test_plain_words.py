"""Names and numbers of result files as tables, figures and pages of the book have them."""

import pandas as pd
import pytest

from fsrepro.experiments import results
from fsrepro.experiments.results import plain


@pytest.mark.parametrize(
    "text,expected",
    [
        ("resnet8, cifar10", "ResNet-8, CIFAR-10"),
        ("efficientnet-lite0, K = 12", "EfficientNet-Lite0, K = 12"),
        ("01_relu_baseline", "ReLU baseline"),
        ("-0.2 (-.5 to 0.1)", "−0.2 (−.5 to 0.1)"),
        ("N(-0.3, 1)", "N(−0.3, 1)"),
        ("3.9e-04", "3.9\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁴"),
        ("1e+12", "1\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10¹²"),
    ],
)
def test_names_and_numbers_are_written_for_a_reader(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ResNet-20", "1-2", "resnet20_cifar10_K8_round3", "checkpoints/resnet8.keras", "--K-1",
        "resnet20-12fca82f", "10.1038/s42256-021-00311-4", "small_cnn", "e-5", "unsilued",
    ],
)  # fmt: skip
def test_what_is_no_name_or_number_stays(text):
    assert plain(text) == text


def test_tables_are_shown_in_plain_words():
    rows = pd.DataFrame({"network": ["resnet8"], "loss": [-0.25], "spikes": [None]})
    shown = results.shown(rows)
    assert shown.to_dict("list") == {
        "network": ["ResNet-8"], "loss": ["−0.25"], "spikes per neuron": ["–"],
    }  # fmt: skip
