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
# # Notebook: nothing analog
#
# Neurons wherever a signal leaves for a layer with weights; the picture in spikes as well, and what
# that costs; networks with bottlenecks and gates in GeNN, event by event.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
# The dataset of a network is digits, cifar10 or pictures; see models.build and models.imagenet.
# Its budgets are in synaptic operations for each multiplication of the ANN.
networks = [
    {"name": "small CNN", "dataset": "digits", "network": "small_cnn", "checkpoint": "",
     "epochs": 40, "K": 8, "budgets": [0.4, 0.6], "pictures": ["analog", "spikes"]},
]  # fmt: skip
snr = 20.0  # in dB, of signed signals written in a pair of populations and in one
# Which run in GeNN, with which budget, on how many images.
simulated = [{"name": "small CNN", "budget": 0.6, "images": 50}]
images = 500  # test images, from the first; of pictures all
validation = ""  # a CSV of labelled pictures and which folder's rows to take, as in 07_imagenet
validation_rows = None
calibration = ""
calibration_rows = None
required = False  # whether it is an error if GeNN is not installed
seed = 0

# %% tags=["hide-input"]
import resource
from functools import cache
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from fsrepro import genn
from fsrepro.conversion import activation_layers
from fsrepro.experiments import datasets, models, notebook, pictures
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep
from fsrepro.fitting import pair_or_one
from fsrepro.measures import evaluate

given = notebook.parameters(globals())
if required and not genn.available():
    raise ImportError("this profile needs pygenn and ml_genn: `make genn` installs them")
NETWORKS = {entry["name"]: entry for entry in networks}
display(Markdown(f"**Profile {profile}**: {', '.join(NETWORKS)}."))
test, held_out = (
    pictures.from_table(source, folder=rows) if source else None
    for source, rows in ((validation, validation_rows), (calibration, calibration_rows))
)


# %% tags=["remove-stderr"]
@cache
def study(name):
    entry = NETWORKS[name]
    if entry["dataset"] == "pictures":
        return notebook.Study.of_pictures(
            models.imagenet(entry["network"], entry["weights"]), test, held_out, seed=seed
        )
    return notebook.Study.of(
        datasets.load(entry["dataset"], seed=seed), entry["network"], images=images,
        checkpoint=entry["checkpoint"], epochs=entry["epochs"], seed=seed,
    )  # fmt: skip


def spiking(name, budget, picture="analog"):
    made = study(name).plan(NETWORKS[name]["K"], spiking_input=picture == "spikes")
    return made.network(synops_per_mac=budget)


sweep = Sweep(
    f"{results}/.sweep-10_nothing_analog", images=images, seed=seed,
    weights={name: study(name).weights for name in NETWORKS},
)  # fmt: skip

# %% [markdown]
# ## Signed signals
#
# What is neither an activation nor always positive is written by a pair of populations, for its
# positive and its negative part, or by one, which is silent for the least value. Spikes per value,
# of the cheaper codes with this signal-to-noise ratio, on the calibration images.

# %% tags=["remove-stderr"]
rows = []
for name, entry in NETWORKS.items():
    made = study(name).plan(entry["K"])
    for layer in activation_layers(made.graph):
        if made.graph.get_layer(layer).function == "negative_part":  # the other one of a pair
            found = pair_or_one(made.distributions[layer], entry["K"], snr)
            rows.append({"network": name, "signal": layer.removesuffix("_negative"), **found})
signals = pd.DataFrame(rows, columns=["network", "signal", "negative_power", "pair", "one"])
if len(signals):
    display(notebook.shown(signals).style.hide())
else:
    print("These networks have no signal of both signs but potentials of neurons.")

# %% [markdown]
# ## The picture in spikes
#
# The same budget, with a picture that the first layer reads as numbers, and with one that neurons
# write.

# %% tags=["remove-stderr"]
runs = sweep.table(
    "runs",
    [
        {"network": name, "picture": picture, "budget": b}
        for name, entry in NETWORKS.items()
        for b in entry["budgets"]
        for picture in entry["pictures"]
    ],
    lambda network, picture, budget: {
        "ann_accuracy": study(network).accuracy,
        **study(network).report(spiking(network, budget, picture)).row(),
    },
)
named = ["network", "picture", "budget"]
notebook.shown(runs, [*named, "steps", "accuracy", "loss", "agreement"]).style.hide()

# %%
costs = ["spikes_per_neuron", "neurons", "synops_per_mac", "macs_left", "energy", "latency_steps"]
notebook.shown(runs, [*named, *costs]).style.hide()

# %% tags=["remove-stderr"]
book_figures.energy_parts(runs)
plt.show()

# %% [markdown]
# ## Event by event
#
# Every spike is sent along its synapses, on one core. What arrives at a neuron is added up in
# double precision, in Keras as in GeNN: sums of real numbers in single precision depend on their
# order. Differences are those of the spikes of whole layers, added over layers. The time includes
# the presentations in which a pipeline of so many layers fills. Memory is the peak of the whole
# process, TensorFlow and what ran before included.


# %% tags=["remove-stderr"]
def event_by_event(network, budget, images):
    of, snn = study(network), spiking(network, budget).in_double_precision()
    x, labels = of.x[:images], of.labels[:images]
    by_keras = evaluate(snn, x, labels, ann=of.answers[:images])
    simulator = genn.to_mlgenn(snn)
    outputs, spikes = simulator.run(x)
    sent = pd.Series({name: int(z.sum()) for name, z in spikes.items()})
    layers = by_keras.layers.set_index("layer")
    expected = (layers["spikes_per_neuron"] * layers["neurons"] * images).round().astype(int)
    return {
        "images": images,
        "steps": snn.steps,
        "layers": len(sent),
        "neurons": snn.neurons,
        "accuracy": 100 * float((snn.task.answers(outputs) == labels).mean()),
        "answers_that_differ": int((snn.task.answers(outputs) != by_keras.predictions).sum()),
        "spikes_sent": int(sent.sum()),
        "spikes_that_differ": int((sent - expected).abs().sum()),
        "events_per_image": simulator.events(spikes) / images,
        "seconds_per_image": simulator.seconds / images,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if genn.available():
    rows = [{"network": s["name"], "budget": s["budget"], "images": s["images"]} for s in simulated]
    events = sweep.table("events", rows, event_by_event)
else:
    print("GeNN is not installed here; this is the published run.")
    path = Path("results/full/10_nothing_analog_events.csv")
    events = pd.read_csv(path) if path.exists() else pd.DataFrame()
first = ["images", "steps", "layers", "neurons", "accuracy", "answers_that_differ"]
notebook.shown(events, ["network", "budget", *first] if len(events) else None).style.hide()

# %%
then = ["spikes_sent", "spikes_that_differ", "events_per_image", "seconds_per_image", "peak_gib"]
notebook.shown(events, ["network", *then] if len(events) else None).style.hide()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
headline = {"images": images, "snr": snr, "signals": len(signals)}
if len(signals):
    headline |= {
        "pair": signals["pair"].mean(),
        "one": signals["one"].mean(),
        "pair_is_cheaper": int((signals["pair"] < signals["one"]).sum()),
    }
for row in runs.itertuples():
    key = notebook.key(f"{row.network} {row.picture} {row.budget:g}")
    counted = "ann_accuracy accuracy loss low high agreement spikes_per_neuron synops_per_mac "
    counted += "macs_left energy steps latency_steps neurons"
    headline |= notebook.quoted(key, pd.Series(row._asdict()), counted)
if genn.available():
    for row in events.itertuples():
        key = notebook.key(f"genn {row.network}")
        headline |= notebook.quoted(key, pd.Series(row._asdict()), " ".join([*first, *then]))
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
data = {
    **next((datasets.load(entry["dataset"], seed=seed).summary() for entry in networks
            if entry["dataset"] != "pictures"), {}),
    "dataset": ", ".join(dict.fromkeys(entry["dataset"] for entry in networks)),
}  # fmt: skip
if test:
    sums = {"pictures_sha256": test.checksum, "calibration_sha256": held_out.checksum}
    data |= {"pictures": len(test), "calibration_pictures": len(held_out), **sums}
result_files.write(
    results,
    "10_nothing_analog",
    tables={
        "": runs, "signals": signals, **({"events": events} if genn.available() else {}),
    },
    headline=headline,
    headline_rows=notebook.headline_rows(
        runs, dataset=[NETWORKS[n]["dataset"].replace("pictures", "imagenet sample")
                       for n in runs["network"]],
        activation=[", ".join(sorted(set(study(n).functions.values()))) for n in runs["network"]],
        code=[f"mixed radix, picture {p}" for p in runs["picture"]],
    ),
    parameters=given
    | {
        "networks": [{**n, "weights": Path(n.get("weights") or "").name} for n in networks],
        "validation": Path(validation).name,
        "calibration": Path(calibration).name,
    },
    data=data,
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()
