"""The page of cards has every network that is kept, and says of it what the files do."""

import json
import re

import pytest
from scripts import PROJECT, script

cards = script("book/cards.py")
KEPT = sorted([*cards.CHECKPOINTS.glob("*.weights.h5"), *cards.CHECKPOINTS.glob("*.fs")])


@pytest.fixture(scope="module")
def sections():
    """What is written of each network, by its title."""
    found = re.split(r"^### (.+)\n", cards.networks(), flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_every_kept_network_has_a_card_of_its_own(sections):
    described = {cards.NETWORKS[path.name.split(".")[0]].title for path in KEPT}
    assert sections.keys() == described
    assert len(described) == len(KEPT)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_a_card_says_what_the_files_do(path, sections):
    name = path.name.split(".")[0]
    card = json.loads((cards.CHECKPOINTS / f"{name}.json").read_text())
    text, sha256 = sections[cards.NETWORKS[name].title], cards.file_sha256(path)
    assert f"SHA-256,{sha256}\n" in text
    assert card.get("weights_sha256", sha256) == sha256
    assert f"{card['test_accuracy']:.2f} % of 10,000 test images" in text
    assert f"licence,{card['licence']}\n" in text
    assert f"duration,{card['minutes']} minutes" in text


def test_pictures_have_credits():
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    text = cards.shipped()
    assert all(f"{picture},{by.split(',')[0]}" in text.replace('"', "")
               for picture, (by, _) in cards.CREDITS.items())  # fmt: skip


def test_data_has_its_checksum_and_its_parts():
    text = cards.data("01_relu_baseline")
    for row in ('train images,"45,000"', 'calibration images,"5,000"', 'test images,"10,000"'):
        assert row in text
    assert re.search(r"^data SHA-256,[0-9a-f]{64}$", text, re.MULTILINE)


def test_the_page_shows_what_is_written():
    page = (PROJECT / "book" / "cards.md").read_text(encoding="utf-8")
    assert re.findall(r"```\{include\} figures/card_(\w+)\.txt", page) == list(cards.TABLES)
