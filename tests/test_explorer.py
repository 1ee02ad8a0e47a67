"""The runs that the explorer of the first page shows, and the explorer itself in a browser."""

import json

import numpy as np
import pandas as pd
import pytest
from scripts import PROJECT, in_browser, script
from tab import Tab, complaints

export = script("book/export_runs.py")
INDEX = PROJECT / "_build" / "html" / "index.html"


def test_every_published_run_is_there_once():
    runs, rows = export.runs(), pd.read_csv(export.HEADLINE)
    assert len({run["id"] for run in runs}) == len(runs) == len(rows)
    np.testing.assert_allclose([run["spikes"] for run in runs], rows["spikes_per_neuron"], 1e-5)
    assert {run["kind"] for run in runs} == set(export.KINDS)
    json.dumps(runs, allow_nan=False)


def test_unknown_code_is_an_error():
    with pytest.raises(ValueError, match="'morse' begins like no kind"):
        export.kind("morse")


@pytest.mark.parametrize(
    ("experiment", "code"),
    [("11_training", "mixed radix by channel, fine-tuned"), ("07_imagenet", "mixed radix, K = 8")],
)
def test_interval_holds_that_of_the_answers_themselves(experiment, code):
    row = pd.read_csv(export.HEADLINE).query("experiment == @experiment and code == @code").iloc[0]
    own = pd.read_csv(PROJECT / "results" / "full" / f"{experiment}.csv")
    (own,) = own[np.isclose(own["spikes_per_neuron"], row["spikes_per_neuron"])].itertuples()
    loss, low, high = export.interval(row)
    assert loss == pytest.approx(own.loss, abs=1e-6)
    assert low <= own.low + 0.02 and own.high - 0.02 <= high


def test_interval_that_a_run_kept():
    row = {"ann_accuracy": 90.0, "snn_accuracy": 89.5, "low": -0.25, "high": 1.25}
    assert export.interval(pd.Series(row)) == (0.5, -0.25, 1.25)


def test_interval_of_equal_answers_is_not_nothing():
    row = {
        "low": np.nan,
        "images": 100,
        "ann_accuracy": 90.0,
        "snn_accuracy": 90.0,
        "agreement": 100.0,
    }
    loss, low, high = export.interval(pd.Series(row))
    assert loss == 0 and -high == pytest.approx(low) and high > 3


# ---- in a browser

STATE = """(() => ({
  hash: location.hash,
  count: document.getElementById("runs-count").textContent,
  said: document.getElementById("runs-unknown").textContent,
  rows: document.querySelectorAll("#runs-table tr").length,
  marks: document.querySelectorAll("#runs-plot .scatterlayer .point").length,
  detail: document.getElementById("runs-detail").hidden ? "" :
    document.getElementById("runs-values").textContent,
}))()"""
CHOOSE = """(() => {{
  const control = document.getElementById("runs-{0}");
  control.value = "{1}";
  control.dispatchEvent(new Event("change"));
}})()"""


@pytest.fixture
def tab(browser):
    if not INDEX.is_file():
        pytest.skip("no built pages: make book")
    with Tab(browser, 1280) as tab:
        yield tab


@in_browser
@pytest.mark.built
def test_filters_draw_list_and_write_the_address(tab):
    runs = export.runs()
    tab.show(INDEX)
    state = tab.run(STATE)
    near = [run for run in runs if run["loss"] <= 5]
    assert state["hash"] == "" and state["rows"] == state["marks"] == len(near)
    assert state["count"] == f"{len(near)} runs of {len(runs)}"

    tab.run(CHOOSE.format("network", "ResNet-20"))
    tab.run(CHOOSE.format("weights", "fine-tuned"))
    tab.run(CHOOSE.format("x", "latency"))
    state = tab.run(STATE)
    tuned = [
        run for run in near
        if (run["network"], run["weights"]) == ("ResNet-20", "fine-tuned") and run["latency"]
    ]  # fmt: skip
    assert tuned and state["rows"] == state["marks"] == len(tuned)
    assert state["hash"] == "#x=latency&network=ResNet-20&weights=fine-tuned"
    assert list(complaints(tab.events)) == []

    for axis in ("synops", "energy", "K"):
        tab.run(
            f"location.hash = '#x={axis}&most=100'; new Promise((done) => setTimeout(done, 500))"
        )
        state = tab.run(STATE)
        assert state["marks"] == state["rows"] == sum(run[axis] is not None for run in runs) > 0


@in_browser
@pytest.mark.built
def test_address_brings_back_the_state_and_nonsense_is_passed_over(tab):
    run = next(run for run in export.runs() if run["experiment"] == "07_imagenet")
    address = f"#kind=mixed radix&most=1&run={run['id']}&network=nobody&x=constructor"
    tab.show(INDEX, address)
    state = tab.run(STATE)
    expected = [r for r in export.runs() if r["kind"] == "mixed radix" and r["loss"] <= 1]
    assert state["rows"] == state["marks"] == len(expected)
    assert run["commit"] in state["detail"] and run["experiment"] in state["detail"]
    assert state["said"].startswith("There is no network nobody; no x constructor; all are shown.")
    assert abs(tab.run("document.querySelector('.runs').getBoundingClientRect().top")) < 200


@in_browser
@pytest.mark.built
def test_anchor_of_a_section_is_left_alone(tab):
    tab.show(INDEX, "#three-ways-to-read")
    assert tab.run(STATE)["hash"] == "#three-ways-to-read"


@in_browser
@pytest.mark.built
def test_keyboard_alone_leads_to_the_commit_of_a_run(tab):
    tab.show(INDEX)
    for _ in range(400):
        tab.key("Tab")
        if tab.run("document.activeElement.closest('#runs-table') !== null"):
            break
    wanted = tab.run("document.activeElement.closest('tr').id").removeprefix("runs-row-")
    tab.key("Enter", "\r")
    state = tab.run(STATE)
    (run,) = [run for run in export.runs() if run["id"] == wanted]
    assert run["commit"] in state["detail"] and f"run={wanted}" in state["hash"]
    assert tab.run("document.activeElement.id") == "runs-detail"
    for _ in range(6):
        tab.key("Tab")
        if tab.run("document.activeElement.id") == "runs-close":
            break
    tab.key("Enter", "\r")
    assert tab.run(STATE)["detail"] == ""
    assert tab.run("document.activeElement.closest('tr').id") == f"runs-row-{wanted}"
