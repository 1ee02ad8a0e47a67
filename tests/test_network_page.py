"""The page "A network to play with", run by a browser, against fsrepro spike for spike."""

import json
import re
import shutil
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from scripts import PROJECT, fragment, in_browser, script
from tab import Tab, complaints

import fsrepro
from fsrepro.codes import above
from fsrepro.experiments.models import small_cnn

STATIC = PROJECT / "book" / "static"
SOURCES = STATIC / "network"
export = script("book/export_network.py")

RUN = """NETWORKS.map((layers) => fsNetworks.pictures.map((picture) => {
  const values = [...picture].map((ink) => fsNetworks.inks[parseInt(ink, 17)]);
  const { spikes, logits, operations } = fsNetwork.run(layers, fsNetworks.unit, values);
  const places = spikes.map((fired, l) => {
    const neurons = layers[l].shape.reduce((a, b) => a * b);
    return [fsNetwork.digest(fired, neurons), ...fired.map(([t, n]) => t * neurons + n)];
  });
  return [places, logits, operations];
}))"""


@pytest.fixture(scope="module")
def made():
    """The networks of the page, and what the browser is given."""
    on = export.study()
    networks = export.spiking(on)
    rivals = [export.quantised(on, bits) for bits in export.BITS]
    document = export.document(on, networks, rivals)
    x = on.x[: export.PICTURES]
    return SimpleNamespace(x=x, networks=networks, rivals=rivals, document=document)


@pytest.fixture(scope="module")
def site(made, tmp_path_factory):
    return laid_out(tmp_path_factory.mktemp("site"), made.document)


def laid_out(folder, document):
    """The files of the page as the book lays them out, and a page of scripts alone."""
    shutil.copytree(SOURCES, folder / "_static" / "network")
    shutil.copy(STATIC / "interactive.css", folder / "_static")
    export.write(folder / "_static" / "network" / "network.js", document)
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>'
    scripts = (
        f'<script src="_static/network/{name}.js"></script>' for name in ("network", "simulator")
    )
    (folder / "scripts.html").write_text(head + "".join(scripts), "utf-8")
    (folder / "network.html").write_text(head + fragment("network.md"), "utf-8")
    return folder


def of_browser(browser, folder, networks):
    """By network and picture: the digest and the places of each layer's spikes, logits, SynOps."""
    with Tab(browser, 800) as tab:
        tab.show(folder / "scripts.html")
        found = tab.run(RUN.replace("NETWORKS", networks))
        assert list(complaints(tab.events)) == []
    return found


def of_library(snn, x):
    """The same, by the ordinary methods of a network."""
    trains, fan_out = snn.spike_trains(x).values(), snn.synapses.fan_out
    synops = sum(
        (fired.reshape(len(x), -1) * fan_out[name].reshape(1, -1)).sum(1)
        for name, fired in snn.count(x)[1].items()
    )
    places = [[np.flatnonzero(z[:, n]).tolist() for z in trains] for n in range(len(x))]
    digests = export.digests(snn, x)
    return [
        [[[d, *p] for d, p in zip(*layers, strict=True)], logits, operations]
        for *layers, logits, operations in zip(
            digests, places, snn.predict(x).tolist(), synops.tolist(), strict=True
        )
    ]


@in_browser
def test_browser_sends_every_spike_of_the_library(browser, site, made):
    found = of_browser(browser, site, "fsNetworks.networks.map(({ layers }) => layers)")
    for budget, snn, pictures in zip(export.BUDGETS, made.networks, found, strict=True):
        expected = of_library(snn, made.x)
        assert len(pictures) == len(expected) == 100
        for n, (ours, theirs) in enumerate(zip(expected, pictures, strict=True)):
            assert theirs == ours, (budget, n)


@in_browser
def test_browser_computes_what_the_quantised_networks_do(browser, site, made):
    found = of_browser(browser, site, "fsNetworks.rivals.map(({ layers }) => layers)")
    for snn, pictures in zip(made.rivals, found, strict=True):
        assert [logits for _, logits, _ in pictures] == snn.predict(made.x).tolist()


@in_browser
def test_browser_fires_on_the_threshold(browser, made, tmp_path):
    """Where all numbers are so coarse that many potentials are at a threshold exactly."""
    unit, x = 0.25, np.rint(4 * made.x) / 4
    snn = fsrepro.convert(
        small_cnn(width=4), x, code="binary_floor", steps=4, scale=2.0, spiking_input=True
    )
    rng = np.random.default_rng(0)
    for layer in snn.keras_model.layers:
        layer.set_weights([rng.integers(-2, 3, w.shape) * unit for w in layer.get_weights()])
    codes = snn.codes | {"act1": above(snn.codes["act1"], 0.25)}  # silence is worth 0.25
    snn = snn.with_codes(codes).in_double_precision()
    higher = {
        name: replace(code, threshold=np.nextafter(code.threshold, np.float32(np.inf)))
        for name, code in codes.items()
    }
    other = snn.with_codes(higher).in_double_precision()
    ours, strict = snn.spike_trains(x), other.spike_trains(x)
    reached = {name: (ours[name] != strict[name]).sum() for name in ours}
    assert min(reached.values()) > 60, "too few potentials on a threshold to be a test of v >= T"
    inks = [0, 0.25, 0.5, 0.75, 1]
    pictures = ["".join(export.INKS[int(4 * value)] for value in image.ravel()) for image in x]
    given = {"unit": unit, "inks": inks, "pictures": pictures}
    networks = [export.table(net, unit) for net in (snn, other)]
    folder = laid_out(tmp_path / "site", given | {"networks": networks})
    assert of_browser(browser, folder, "fsNetworks.networks") == [
        of_library(net, x) for net in (snn, other)
    ]


@in_browser
def test_a_changed_entry_of_a_table_shows(browser, site):
    """A sign that the tests above look at every table and at every layer."""
    changed = """((layers) => {
      const variants = [layers];
      const change = (to) => {
        variants.push(structuredClone(layers));
        to(variants.at(-1));
      };
      for (const l of [0, 1, 2, 3])
        for (const table of ["threshold", "reset", "weight"])
          change((layers) => (layers[l].code[table][4] /= 2));
      for (const l of [1, 2, 3, 4])
        for (const table of ["kernel", "bias"]) change((layers) => (layers[l][table][3] += 200));
      return variants;
    })(fsNetworks.networks[3].layers)"""
    right, *others = of_browser(browser, site, changed)
    assert [n for n, other in enumerate(others) if other == right] == []
    assert len(others) == 20


def step_of(numbers):
    """The largest power of two of which all are multiples."""
    return 1 / max(Fraction(float(number)).denominator for number in numbers)


def test_sums_are_exact_in_any_order(made):
    """In units of what all terms of a sum are multiples of, none comes near 2^53."""
    inks = made.document["inks"]
    for network in made.document["networks"] + made.document["rivals"]:
        for before, layer in zip(network["layers"], network["layers"][1:], strict=False):
            code = before["code"]
            sent = inks if code is None else [*code["weight"], code["offset"]]
            most = max(inks) if code is None else sum(map(abs, sent))
            unit = step_of(sent) / layer["pool"] ** 2  # times that of the weights
            maps = layer["shape"][2]
            kernel = np.abs(layer["kernel"]).reshape(-1, maps).sum(0)
            terms = kernel.max() * most + np.abs(layer["bias"]).max()
            assert terms / unit < 2.0**53, (layer["name"], code)


def test_exported_tables_are_those_of_the_network(made, tmp_path):
    export.write(tmp_path / "network.js", made.document)
    text = (tmp_path / "network.js").read_text("utf-8")
    read = json.loads(text.removeprefix("window.fsNetworks = ").removesuffix(";\n"))
    for snn, network in zip(made.networks, read["networks"], strict=True):
        tables = [layer["code"] for layer in network["layers"] if layer["code"]]
        for code, entry in zip(snn.codes.values(), tables, strict=True):
            assert code.max_spikes is None and not code.soma  # the browser knows neither
            assert entry["offset"] == code.offset
            for field in export.TABLES:
                assert entry[field] == getattr(code, field).tolist()
        weights = [layer[field] for layer in network["layers"][1:] for field in ("kernel", "bias")]
        for whole, weight in zip(weights, snn.keras_model.get_weights(), strict=True):
            assert (np.array(whole) * read["unit"]).tolist() == weight.ravel().tolist()


def test_pictures_are_those_of_the_data_set(made, digits):
    document = made.document
    assert len(document["inks"]) == 17
    values = [[document["inks"][int(ink, 17)] for ink in p] for p in document["pictures"]]
    np.testing.assert_array_equal(values, made.x.reshape(100, -1))
    np.testing.assert_array_equal(made.x, digits.test.images[:100] * np.float32(1 / 255))
    assert document["labels"] == digits.test.labels[:100].tolist()


def test_networks_keep_their_budgets_and_rivals_are_as_good(made):
    document = made.document
    accuracies = [network["accuracy"] for network in document["networks"]]
    for budget, network in zip(export.BUDGETS, document["networks"], strict=True):
        assert network["budget"] == budget
        assert network["spikes_per_neuron"] == pytest.approx(budget, rel=0.1)
    assert accuracies[0] < accuracies[-1] > 95
    assert document["rivals"][-1]["accuracy"] > 95
    assert [export.rival(wanted, [70, 90, 97, 96]) for wanted in (60, 70, 91, 99)] == [0, 0, 2, 2]


STATE = """(async () => {
  await new Promise((done) => setTimeout(done, 500)); // until the address is written
  const get = (id) => document.getElementById("net-" + id);
  const buttons = [...document.querySelectorAll(".net-cell")];
  return {
    summary: get("summary").textContent, sum: get("sum").textContent,
    rows: [...document.querySelectorAll("#net-counts tr")].map((row) =>
      [...row.children].map((cell) => cell.textContent)),
    drawn: [...document.querySelectorAll("#net-raster .spikes")].map((path) =>
      path.getAttribute("d").split("M").length - 1),
    cells: buttons.map((button) => Number(button.getAttribute('aria-label').split("ink ")[1])),
    stops: buttons.filter((button) => button.tabIndex === 0).length,
    focus: buttons.indexOf(document.activeElement),
    pictures: document.querySelectorAll("#net svg[role=img][aria-label]").length,
    unlabelled: [...document.querySelectorAll("#net input")].filter((i) => !i.labels.length).length,
    sideways: document.documentElement.scrollWidth > innerWidth,
    address: location.hash,
  };
})()"""


def press(tab, key, code=0):
    text = {"text": key} if len(key) == 1 else {}
    for kind in ("keyDown", "keyUp"):
        tab.call(
            "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
            **(text if kind == "keyDown" else {}),
        )  # fmt: skip


def middle(tab, n):
    """Where a cell is."""
    return tab.run(f"""(() => {{
      const cell = document.querySelectorAll(".net-cell")[{n}];
      cell.scrollIntoView({{ block: "center" }});
      const {{ x, y, width, height }} = cell.getBoundingClientRect();
      return {{ x: x + width / 2, y: y + height / 2 }};
    }})()""")


def drag(tab, *cells, touch=False):
    """A stroke from cell to cell."""
    places = [middle(tab, n) for n in cells]
    if touch:
        for kind, place in zip(["touchStart", *["touchMove"] * len(cells)], places, strict=False):
            tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=[place])
        tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        return
    button = {"button": "left", "clickCount": 1}
    tab.call("Input.dispatchMouseEvent", type="mousePressed", **places[0], **button)
    for place in places[1:]:
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, **place, **button)
    tab.call("Input.dispatchMouseEvent", type="mouseReleased", **places[-1], **button)


@in_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_page_draws_and_follows_its_controls(browser, site, made, width):
    trains = made.networks[2].spike_trains(made.x[4:5]).values()
    answers = made.networks[2].predict(made.x).argmax(1)
    label = made.document["labels"][4]
    with Tab(browser, width) as tab:
        tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
        tab.show(site / "network.html", "#picture=5&budget=0.4")
        start = tab.run(STATE)
        tab.run("document.getElementById('net-budget').focus()")
        press(tab, "ArrowRight", 39)
        more = tab.run(STATE)
        tab.run("location.hash = '#picture=6&budget=0.1'")
        other = tab.run(STATE)
        tab.run("document.getElementById('net-clear').click()")
        empty = tab.run(STATE)
        drag(tab, 10, 11, 12)
        drag(tab, 11)  # again: cleared
        drag(tab, 40, 41, touch=True)
        stroke = tab.run(STATE)
        tab.run("document.querySelectorAll('.net-cell')[62].focus()")
        press(tab, "ArrowRight")
        press(tab, "ArrowRight")  # the border
        press(tab, "ArrowUp")
        press(tab, "4")
        press(tab, "+")
        press(tab, "ArrowLeft")
        press(tab, " ", 32)
        keys = tab.run(STATE)
        said = list(complaints(tab.events))
    with Tab(browser, width) as tab:
        tab.show(site / "network.html", keys["address"])
        again = tab.run(STATE)
        said += complaints(tab.events)
    assert said == []

    assert f"answers {answers[4]}, " in start["summary"] and f"is a {label}" in start["summary"]
    assert start["drawn"] == [z.sum() for z in trains]
    assert start["sum"] == f"{sum(start['drawn'])} spikes, the same as the library’s"
    assert start["rows"][2] == ["spikes", str(sum(start["drawn"])), "–"]
    assert start["rows"][-1][1:] == ["0", f"{made.document['macs']:,}"]
    assert more["address"] == "#picture=5&budget=0.8" and sum(more["drawn"]) > sum(start["drawn"])
    assert sum(other["drawn"]) < sum(start["drawn"])
    assert other["cells"] == [int(ink, 17) for ink in made.document["pictures"][5]]
    assert empty["cells"] == [0] * 64 and empty["drawn"][0] == 0
    assert "library" not in empty["sum"] and "is a" not in empty["summary"]
    assert [n for n, ink in enumerate(stroke["cells"]) if ink == 16] == [10, 12, 40, 41]
    assert keys["cells"][55] == 8 and keys["cells"][54] == 16 and keys["focus"] == 54
    assert re.fullmatch("#picture=[0-9a-g]{64}&budget=0.1", keys["address"])
    assert again | {"focus": 0} == keys | {"focus": 0}
    for state in (start, more, other, empty, stroke, keys, again):
        assert state["pictures"] == 5 and state["unlabelled"] == 0 and state["stops"] == 1
        assert not state["sideways"]


def test_file_is_small_and_asks_for_nothing(made, tmp_path):
    export.write(tmp_path / "network.js", made.document)
    assert (tmp_path / "network.js").stat().st_size < 300_000
    files = [tmp_path / "network.js", *SOURCES.glob("*.css"), *SOURCES.glob("[!n]*.js")]
    text = fragment("network.md") + "".join(path.read_text("utf-8") for path in files)
    assert set(re.findall(r"https?:[^\"'\s]*", text)) <= {"http://www.w3.org/2000/svg"}
