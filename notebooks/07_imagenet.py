# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Notebook: ImageNet
#
# Networks with the weights their authors published, converted without training. Pictures are read
# as a stream, on one machine or many, and a run that is killed goes on from where it was.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
networks = [{"name": "efficientnet-lite0", "weights": None}]  # see models.imagenet
# Labelled pictures: a folder in a standard layout or a CSV, of which one folder's rows may be
# taken alone. Empty: the few that scikit-image ships, unlabelled. See pictures.find.
validation = ""
validation_rows = None
calibration = ""
calibration_rows = None
images = 0  # pictures, from the first; 0: all
calibration_images = 250
# Fixed before any test picture was seen, the first is shown; a network may have its own. budget:
# None is the least of ``budgets``, or its own, that keeps ``same_answers``. unit: of the budget,
# where it is not this one.
unit = "synops_per_mac"  # synaptic operations for each multiplication of the ANN; or
# spikes_per_neuron
settings = [{"K": 12, "budget": 0.6}]
budgets = []  # tried on the calibration pictures
same_answers = 97.0  # percent of the ANN's answers there, for a budget that is chosen
near_points = 0.5  # of accuracy below the ANN: how few spikes stay within them is told
spread_parts = 0  # of the calibration pictures, each of which the first network is calibrated on
paper = {"steps": 10}  # K of the binary code with floor, as in the paper
scheduler = ""  # address of a Dask scheduler whose workers share the pictures; empty: none
seed = 0

# %% tags=["hide-input"]
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from scipy.special import softmax

from fsrepro import figures, measures
from fsrepro.conversion import activation_layers, convert, normal_form, plan
from fsrepro.experiments import evaluate_pictures, models, notebook, pictures
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.picture_stream import arrays
from fsrepro.experiments.sweep import Sweep

given = notebook.parameters(globals())

# %% tags=["remove-stderr"]
labelled = bool(validation)
if labelled and not calibration:
    raise ValueError(
        "validation needs calibration: a folder or a CSV of other pictures, for scales and codes"
    )
shipped = pictures.shipped()


def pictures_of(source, rows):
    if not source:
        return shipped
    return pictures.from_table(source, folder=rows) if rows else pictures.find(source)


test = pictures_of(validation, validation_rows)[: images or None]
for_codes = pictures_of(calibration, calibration_rows)[:calibration_images]
what = "ImageNet pictures" if labelled else "pictures without labels: a demonstration, no result"
display(Markdown(f"**Profile {profile}**: {len(test):,} {what}."))


def for_calibration(preprocessing):
    """The pictures of the calibration set; where there is none, other cuts of the few we have."""
    if labelled:
        return arrays(for_codes, preprocessing)[0]
    cuts = [replace(preprocessing, crop=crop) for crop in (0.4, 0.6, 0.8)]
    return np.concatenate([arrays(for_codes, cut)[0] for cut in cuts])


# %% [markdown]
# ## Answers and spikes
#
# The settings were fixed before any of these pictures was seen. All that a layer with weights reads
# is written in spikes, but the picture. The paper's row has binary codes that round down, with the
# largest activation as their range, and neurons for activations alone: bottlenecks and products go
# on as numbers.

# %% tags=["remove-stderr"]
NETWORKS = {entry["name"]: entry for entry in networks}


@cache
def network_of(name):
    return models.imagenet(name, NETWORKS[name]["weights"])


@cache
def calibration_of(name):
    return for_calibration(network_of(name).preprocessing)


@cache
def measured(name):
    return plan(network_of(name).model, calibration_of(name), seed=seed)


@cache
def plan_for(name, K):
    return measured(name).with_code(steps=K)


@lru_cache(maxsize=1)  # each takes hundreds of megabytes
def spiking(network, setting, K, budget, unit):
    ann, x = network_of(network).model, calibration_of(network)
    if setting == "paper":
        return convert(ann, x, code="binary_floor", steps=K, scale="max", analog="allowed")
    return plan_for(network, K).network(**{unit: budget})


def answers_kept(network, K, budget, unit):
    """On the calibration pictures."""
    ann, x = network_of(network).model, calibration_of(network)
    try:
        snn = spiking(network, "mixed radix", K, budget, unit)
    except ValueError as error:  # a budget below what the cheapest codes take
        return {"refused": str(error)}
    report = measures.evaluate(snn, x, measures.answers(ann, x))
    return {"same_answers": report.accuracy, "spikes_per_neuron": report.spikes_per_neuron}


def run_of(network, setting, K, budget, unit):
    net, snn = network_of(network), spiking(network, setting, K, budget, unit)
    found = evaluate_pictures(
        net.model, snn, test, net.preprocessing, checkpoint=counts, client=client
    )
    layers = found.report.layers
    return {
        **found.report.row(),
        "ann_accuracy": found.report.ann_accuracy,
        "unreadable": len(found.unreadable), "partly_spiking": found.report.partly_spiking,
        "analog_layers": " ".join(found.report.analog),
        "layer": layers["layer"].tolist(),
        "layer_neurons": layers["neurons"].tolist(),
        "layer_spikes": layers["spikes_per_neuron"].tolist(),
    }  # fmt: skip


counts = Path(results) / ".sweep-07_imagenet_pictures"  # of the row that is being computed
client = None
if scheduler:
    from distributed import Client

    client = Client(scheduler)
sweep = Sweep(  # keeps finished rows, so that a killed run goes on from there
    f"{results}/.sweep-07_imagenet", test=test.checksum, calibration=for_codes.checksum,
    weights={name: network_of(name).weights_sha256 for name in NETWORKS}, seed=seed,
)  # fmt: skip
wanted = [{"network": n, **s} for n in NETWORKS for s in NETWORKS[n].get("settings", settings)]
tried = sweep.table(
    "budgets",
    [
        {"network": network, "K": K, "budget": b, "unit": unit}
        for network, K in dict.fromkeys((w["network"], w["K"]) for w in wanted)
        for b in NETWORKS[network].get("budgets", budgets)
    ],
    answers_kept,
)


def with_its_budget(network, K, budget, unit=unit):
    """Where none is given: the least that keeps enough calibration answers, else the largest."""
    if budget is None:
        possible = tried[(tried["network"] == network) & (tried["K"] == K)]
        enough = possible[possible["same_answers"] >= same_answers]
        budget = float(enough["budget"].min() if len(enough) else possible["budget"].max())
    setting = f"mixed radix, K = {K}" + (", by spikes" if unit == "spikes_per_neuron" else "")
    return {"network": network, "setting": setting, "K": K, "budget": budget, "unit": unit}


chosen = [with_its_budget(**w) for w in wanted]
rows = []
for n in NETWORKS:
    of_paper = {"setting": "paper", "K": paper["steps"], "budget": None, "unit": None}
    rows.append({"network": n, **of_paper})
    rows += [c for c in chosen if c["network"] == n]
possible = tried[~tried["same_answers"].isna()] if len(tried) else tried
others = [with_its_budget(t.network, t.K, t.budget) for t in possible.itertuples()]
frontier = sweep.table("networks", rows + [o for o in others if o not in rows], run_of)
by_layer = ["layer", "layer_neurons", "layer_spikes"]
layers = frontier[: len(rows)].explode(by_layer, ignore_index=True)
layers = (
    layers[["network", "setting", *by_layer]]
    .rename(columns={"layer_neurons": "neurons", "layer_spikes": "spikes_per_neuron"})
    .astype({"neurons": int, "spikes_per_neuron": float})
)
frontier = frontier.drop(columns=by_layer)
runs = frontier[: len(rows)]
named = ["network", "setting"]
notebook.shown(runs, [*named, "steps", "loss", "agreement", "spikes_per_neuron"]).style.hide()

# %% [markdown]
# What that takes. Left besides spikes are multiplications of the first layer, which reads the
# picture, one for each gated neuron, and in the paper's row all layers behind bottlenecks and
# products.

# %%
costs = ["synops_per_mac", "macs_left", "energy", "neuron_updates", "latency_steps"]
notebook.shown(runs, [*named, *costs]).style.hide()

# %%
notebook.shown(runs, [*named, "partly_spiking", "analog_layers"]).style.hide()

# %% [markdown]
# ## A budget
#
# How many of the ANN's answers stay the same, on the calibration pictures, under each budget that
# was tried. The line across is what a budget that is chosen must keep.

# %% tags=["remove-stderr"]
if len(tried):
    tried["setting"] = tried["network"] + ", K = " + tried["K"].astype(str)
    book_figures.kept_answers(tried, enough=same_answers)
    plt.show()
else:
    print("No budgets were tried in this profile.")

# %% [markdown]
# ## The frontier
#
# Points of accuracy below the ANN against spikes, on the test pictures, under every budget that was
# tried. The bars are the 95 percent intervals of the paired difference. Which budget is
# quoted was decided above, without these pictures.

# %% tags=["remove-stderr"]
if labelled and len(tried):
    book_figures.loss_against_spikes(frontier)
    plt.show()
else:
    print("Without labels, or without budgets, there is no frontier.")

# %% [markdown]
# ## Other calibration pictures
#
# The setting of the first network again, calibrated on a part of the pictures each time. A part has
# so many fewer, so the spread is rather too large than too small.


# %% tags=["remove-stderr"]
def calibrated_on_a_part(network, training, part, K, budget, unit):
    net, few = network_of(network), calibration_of(network)[part - 1 :: spread_parts]
    snn = convert(net.model, few, steps=K, **{unit: budget}, seed=seed)
    return evaluate_pictures(
        net.model, snn, test, net.preprocessing, checkpoint=counts, client=client
    ).report.row()


shown = chosen[0]
spread = sweep.table(
    "spread",
    [
        {"training": 0, "part": part, **{k: shown[k] for k in ("network", "K", "budget", "unit")}}
        for part in range(1, spread_parts + 1)
    ],
    calibrated_on_a_part,
)
if spread_parts:
    varied = notebook.varied(spread, "network")
    display(varied.style.format(precision=2))
else:
    print("This profile calibrates once.")

# %% [markdown]
# ## Layers
#
# Where the spikes of the first network are.

# %% tags=["remove-stderr"]
net, snn = network_of(shown["network"]), spiking(**shown)
of_first = layers[layers["network"] == shown["network"]]
figures.spikes_per_layer(of_first[of_first["setting"].isin(["paper", shown["setting"]])])
plt.show()

# %% [markdown]
# ## Pictures and answers
#
# Pictures that scikit-learn and scikit-image ship, with the first answers of both networks and the
# share that the network gives them.

# %% tags=["remove-stderr"]
names = pictures.imagenet_classes()["name"]
x, _ = arrays(shipped, net.preprocessing)
answers = []
for label, logits in (("ANN", net.model.predict_on_batch(x)), ("SNN", snn.predict(x))):
    for file, row in zip(shipped.files, softmax(logits, axis=1), strict=True):
        for place, k in enumerate(row.argsort()[::-1][:3], 1):
            answers.append(
                {"picture": file.stem, "network": label, "place": place,
                 "answer": names[k].split(",")[0], "percent": 100 * float(row[k])}
            )  # fmt: skip
answers = pd.DataFrame(answers)
seen = arrays(shipped, replace(net.preprocessing, mean=0.0, scale=1.0))[0].astype(np.uint8)
book_figures.first_answers({f.stem: x for f, x in zip(shipped.files, seen, strict=True)}, answers)
plt.show()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
headline = {
    "images": len(test),
    "labelled": labelled,
    "same_first_answers": int(
        answers[answers["place"] == 1].groupby("picture")["answer"].nunique().eq(1).sum()
    ),
    "shipped": len(shipped),
}
for (name, setting), part in runs.groupby(["network", "setting"], sort=False):
    row = part.iloc[0]
    key = f"{name}_{setting}".replace("mixed radix, K = ", "k").replace(", by ", "_by_")
    key = key.replace("-", "_")
    if setting != "paper":
        headline[f"{key}_budget"] = row["budget"]
    counted = "agreement spikes_per_neuron steps neurons synops_per_image spikes_per_image"
    counted += " synops_per_mac macs_left energy latency_steps neuron_updates"
    headline |= notebook.quoted(key, row, counted)
    if labelled:
        headline |= notebook.quoted(key, row, "ann_accuracy accuracy loss low high")
for (name, K), part in frontier[frontier["setting"] != "paper"].groupby(["network", "K"]):
    part = part.sort_values("spikes_per_neuron", ascending=False)
    near = part[(part["loss"] <= near_points).astype(int).cummin() == 1]  # and with more spikes too
    if len(near):
        headline[f"{name}_k{K}_near_spikes".replace("-", "_")] = near["spikes_per_neuron"].min()
headline["near_points"] = near_points
if spread_parts:
    headline["spread_parts"] = spread_parts
    for name, value in varied.iloc[0].dropna().items():
        headline[f"spread_{notebook.key(name)}"] = value
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")


# %%
def activations_of(network):
    graph = normal_form(network_of(network).model, analog="allowed")  # not those of other signals
    return ", ".join(sorted({graph.get_layer(n).function for n in activation_layers(graph)}))


files = {"test": test, "calibration": for_codes}
tables = {
    "": runs,
    "layers": layers,
    "answers": answers,
    "pictures": pd.concat([part.listed.assign(part=name) for name, part in files.items()]),
}
if len(tried):
    tables |= {"budgets": tried, "frontier": frontier}
if spread_parts:
    tables["spread"] = spread
result_files.write(
    results,
    "07_imagenet",
    tables=tables,
    headline=headline,
    headline_rows=notebook.headline_rows(
        runs, dataset="imagenet sample", activation=[activations_of(n) for n in runs["network"]]
    )
    if labelled
    else [],
    parameters=given
    | {
        "networks": [{**n, "weights": n["weights"] and Path(n["weights"]).name} for n in networks],
        "validation": Path(validation).name,
        "calibration": Path(calibration).name,
    },
    data={
        "dataset": "imagenet sample" if labelled else "shipped pictures",
        "pictures": len(test),
        "data_sha256": test.checksum,
        "calibration_pictures": len(for_codes),
        "calibration_sha256": for_codes.checksum,
    },
    seconds_before=sweep.seconds_before,
)
sweep.finish()
counts.unlink(missing_ok=True)
