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
# # Notebook: the same spikes, event by event
#
# GeNN is an event-driven simulator: every spike travels along its synapses, one by one. The
# networks of the chapters before run in it, spike for spike, and the time they take follows the
# spikes they send.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
network = "small_cnn"  # small_cnn, resnet8, ...
checkpoint = ""  # trained weights; empty: train here
epochs = 40  # of training, if there is no checkpoint
steps = 8  # time steps K of the mixed radix, and of mlGeNN's FewSpike
budget = 0.5  # spikes per neuron of the mixed radix
fine_tuned = ""  # the same network, fine-tuned through its codes; empty: none
budgets = [0.3, 0.4, 0.5, 0.6]  # of the mixed radix, to be compared with mlGeNN's FewSpike
stock_steps = [4, 6, 8]  # K of mlGeNN's FewSpike, compared at equal accuracy
compared = 5  # images on which spikes are compared, code by code
images = 100  # test images that run through the simulator
timed = 50  # of these, for the comparison of times
repeats = 3  # of each time, in turns
required = False  # whether it is an error if GeNN is not installed
seed = 0

# %% tags=["hide-input"]
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, figures, genn, measures
from fsrepro.conversion import SpikingModel, convert, record
from fsrepro.experiments import datasets, notebook, rivals
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.measures import paired_loss

given = notebook.parameters(globals())
simulated = genn.available()
if required and not simulated:
    raise ImportError("this profile needs pygenn and ml_genn: `make genn` installs them")
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))
if not simulated:
    display(
        Markdown(
            "**GeNN is not installed here.** The spikes below are computed by Keras; the tables "
            "of the simulator are those of the published run."
        )
    )

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
study = notebook.Study.of(
    data, network, images=images, checkpoint=checkpoint, epochs=epochs, seed=seed
)
snn = study.plan(steps).network(spikes_per_neuron=budget)
by_keras = study.report(snn)


def of_the_published_run(table):
    """What the simulator found elsewhere, if there is such a run."""
    path = Path(f"results/full/06_mlgenn{table}.csv")
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


# %% [markdown]
# ## One neuron of each code
#
# Membrane potential, threshold and spikes of neurons that are given the same value. A spike is
# worth the number above it.

# %%
VALUE, RANGE = 0.65, 1.0
shown = [
    codes.binary(8, RANGE),
    codes.mixed_radix((2, 6), RANGE),
    codes.leading_one(8, RANGE, spikes=2),
    codes.geometric(8, RANGE, ratio=1.6, spikes=2),
]
book_figures.neuron_traces(shown, VALUE)
plt.show()

# %% [markdown]
# ## Spike for spike
#
# The network with every kind of code, on the same images in Keras and in GeNN. Weights are real
# numbers and sums are rounded in another order, so a membrane potential that meets its threshold
# to the last digit may fall on either side, and what lies behind follows. Where both add up in
# double precision, and round the sum to the single precision of the neurons, the order is not seen.

# %% tags=["remove-stderr"]
largest = {name: float(np.percentile(x, 99.9)) for name, x in study.recorded.items()}
kinds = {
    "binary, floor": partial(codes.binary, 8),
    "binary, rounding": partial(codes.binary, 6, rounding=True),
    "mixed radix": partial(codes.mixed_radix, (1, 7)),
    "leading one, 2 spikes": partial(codes.leading_one, 8, spikes=2),
    "geometric, 2 spikes": partial(codes.geometric, 12, ratio=1.6, spikes=2),
    "exponent + mantissa": partial(codes.ExponentMantissa, 3, 3, rounding=True, silent_zero=True),
    "rate": partial(codes.rate, 16),
}

rows = []
if simulated:
    x = study.x[:compared]
    for kind, sums in tqdm([*product(kinds, ("single", "double"))]):
        net = study.spiking({name: kinds[kind](scale) for name, scale in largest.items()})
        if sums == "double":
            net = net.in_double_precision()
        expected, event_driven = net.spike_trains(x), genn.to_mlgenn(net)
        found = event_driven.spike_trains(x)
        outputs, _ = event_driven.run(x)
        error = np.abs(outputs - net.predict(x)).max() / np.abs(outputs).max()
        rows.append(
            {
                "code": kind,
                "sums": sums,
                "steps": net.steps,
                "images": len(x),
                "spikes": sum(int(z.sum()) for z in found.values()),
                "spikes_that_differ": sum(int((found[n] != expected[n]).sum()) for n in found),
                "output_error": float(error),
            }
        )
agreement = pd.DataFrame(rows) if simulated else of_the_published_run("_agreement")
agreement.style.format(precision=3).hide()

# %% [markdown]
# ## Accuracy and events
#
# The budget of spikes that was chosen before, on test images, in both simulators.

# %% tags=["remove-stderr"]
runs = [{"setting": "mixed radix, Keras", "simulator": "keras", **by_keras.row()}]
if simulated:
    by_genn = study.report(snn, simulator="genn")
    runs.append({"setting": "mixed radix, GeNN", "simulator": "genn", **by_genn.row()})
runs = pd.DataFrame(runs)
shown = ["setting", "steps", "images", "accuracy", "agreement", "spikes_per_neuron",
         "synops_per_image"]  # fmt: skip
notebook.shown(runs, shown).style.hide()

# %% [markdown]
# ## Time, against mlGeNN's own FewSpike
#
# mlGeNN's FewSpikeRelu on the same network, with the ranges that its converter chooses for each
# layer (`norm_data`). Its neurons have no biases; here they get them from neurons that send the
# same value for every image. They run with our synapses, which share kernels, and with synapses
# written out, as mlGeNN holds convolutions by default. Where there is a network that was fine-tuned
# through its codes, mlGeNN's neurons run with its weights too. Both simulators send the same
# spikes, so accuracy is that of Keras; times are taken in turns.


# %% tags=["remove-stderr"]
def fewspike(net, K):
    """``net`` in the code of mlGeNN's neurons, with mlGeNN's ranges."""
    recorded = record(net.keras_model, study.x_calibration, seed=seed)
    scales = rivals.mlgenn_scales(net.keras_model, recorded, K)
    return net.with_codes({name: codes.binary(K, scale) for name, scale in scales.items()})


OURS, RIVAL = "mixed radix", "mlGeNN FewSpike"
free = convert(study.ann, study.x_calibration, code="binary")
networks = {
    (f"{OURS}, {spikes:g} spikes", "training-free"): study.plan(steps).network(
        spikes_per_neuron=spikes
    )
    for spikes in budgets
}
networks |= {(f"{RIVAL}, K = {K}", "training-free"): fewspike(free, K) for K in stock_steps}
if fine_tuned:
    tuned = SpikingModel.load(fine_tuned)
    networks[OURS, "fine-tuned"] = tuned
    networks |= {(f"{RIVAL}, K = {K}", "fine-tuned"): fewspike(tuned, K) for K in stock_steps}
if not simulated:
    networks = {}  # the tables are those of the published run
reports = {which: study.report(net) for which, net in networks.items()}
measured = pd.DataFrame(
    {which: {**reports[which].row(), **study.held_out(net)} for which, net in networks.items()}
).T

# %% tags=["remove-stderr"]
timers = {}
for (setting, weights), net in networks.items():
    if setting.startswith(OURS):
        timers[setting, weights, "shared"] = genn.to_mlgenn(net)
    else:
        timers[setting, weights, "shared"] = genn.with_mlgenn_neurons(net)
        timers[setting, weights, "written out"] = genn.with_mlgenn_neurons(
            net, synapses_written_out=True
        )
taken, events = {which: [] for which in timers}, {}
for _, which in tqdm([*product(range(repeats), timers)], desc="times"):
    _, spikes = timers[which].run(study.x[:timed])
    taken[which].append(1e3 * timers[which].seconds / timed)
    events[which] = timers[which].events(spikes) / timed
rows = []
for (setting, weights, kernels), ms in taken.items():
    quality = measured.loc[(setting, weights)]
    rows.append(
        {
            "setting": setting, "weights": weights, "synapses": kernels,
            **quality[["steps", "images", "accuracy", "spikes_per_neuron"]],
            "events_per_image": events[setting, weights, kernels],
            "ms_per_image": np.median(ms), "ms_fastest": min(ms), "ms_slowest": max(ms),
            "ns_per_event": 1e6 * np.median(ms) / events[setting, weights, kernels],
        }
    )  # fmt: skip
times = pd.DataFrame(rows) if simulated else of_the_published_run("_times")
notebook.shown(times).style.hide()

# %% [markdown]
# At equal accuracy: of mlGeNN's settings, the one with the fewest steps that loses at most a point
# on held-out images (else the best there); of ours, the one with the fewest spikes that answers no
# fewer of them rightly. The difference on test images has a paired interval of 95 %.


# %%
def equal(weights):
    """The two settings that are compared, on the same weights."""
    own, other = (
        measured[[s.startswith(kind) and w == weights for s, w in measured.index]]
        for kind in (OURS, RIVAL)
    )
    accuracy, asked = other["calibration_accuracy"], study.calibration_accuracy - 1
    rival = notebook.fewest_spikes(other, accuracy >= asked, accuracy)
    best = own["calibration_accuracy"]
    return notebook.fewest_spikes(own, best >= accuracy[rival], best), rival


comparisons = []
for weights in dict.fromkeys(w for _, w in networks):
    own, rival = equal(weights)
    right = {which: reports[which].predictions == study.labels for which in (own, rival)}
    found = paired_loss(right[rival], right[own])
    of_own, shared, written_out = (
        np.array(taken[which])
        for which in ((*own, "shared"), (*rival, "shared"), (*rival, "written out"))
    )
    row = {
        "weights": weights, "ours": own[0], "rival": rival[0],
        "our_accuracy": reports[own].accuracy, "our_spikes": reports[own].spikes_per_neuron,
        "rival_accuracy": reports[rival].accuracy,
        "rival_spikes": reports[rival].spikes_per_neuron,
        **dict(zip(("points_below", "low", "high"), found, strict=True)),
        "our_ms": np.median(of_own),
        "our_ns_per_event": 1e6 * np.median(of_own) / events[*own, "shared"],
        "rival_ms": np.median(shared), "shipped_ms": np.median(written_out),
        "events_ratio": events[*rival, "shared"] / events[*own, "shared"],
        "time_ratio": np.median(shared / of_own),
        "shipped_time_ratio": np.median(written_out / of_own),
        "shipped_time_ratio_low": (written_out / of_own).min(),
        "shipped_time_ratio_high": (written_out / of_own).max(),
    }  # fmt: skip
    comparisons.append(row)
comparison = pd.DataFrame(comparisons) if simulated else of_the_published_run("_comparison")
display(notebook.shown(comparison).T)

# %% [markdown]
# ## One image on its way through the network
#
# Spikes of sixty neurons of each layer, as the simulator sent them (where it is not installed, as
# Keras computes them).

# %% tags=["remove-stderr"]
sent = (genn.to_mlgenn(snn) if simulated else snn).spike_trains(study.x[:1])
words = measures.sampled(sent, seed=seed).assign(image=data.classes[study.labels[0]])
figures.raster(words)
plt.show()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
headline = {
    "images": len(study.labels),
    "simulated": simulated,
    "neurons": snn.neurons,
    "steps": snn.steps,
    "ann_accuracy": study.accuracy,
    "keras_accuracy": by_keras.accuracy,
    "spikes": by_keras.spikes_per_neuron,
}
if simulated:
    single = agreement[agreement["sums"] == "single"]
    headline |= {
        "genn_accuracy": by_genn.accuracy,
        "answers_that_differ": int((by_genn.predictions != by_keras.predictions).sum()),
        "spikes_compared": int(single["spikes"].sum()),
        "spikes_that_differ": int(single["spikes_that_differ"].sum()),
        "in_double_precision": int(
            agreement["spikes_that_differ"].sum() - single["spikes_that_differ"].sum()
        ),
        "output_error": float(single["output_error"].max()),
        "timed": timed,
        "repeats": repeats,
    }
    for prefix, row in zip(("", "tuned_"), comparisons, strict=False):
        headline |= {prefix + name: value for name, value in row.items() if name != "weights"}
pd.Series(headline).rename("value").to_frame()

# %%
result_files.write(
    results,
    "06_mlgenn",
    tables={
        "": runs, "words": words,
        **(
            {"agreement": agreement, "times": times, "comparison": comparison} if simulated else {}
        ),
    },
    headline=headline,
    headline_rows=notebook.headline_rows(
        runs.tail(1),  # of the simulator, where there is one
        dataset=dataset, network=network, ann_accuracy=study.accuracy,
        code=f"mixed radix, K = {steps}, budget", simulator=runs["simulator"].iloc[-1],
    ),
    parameters=given,
    data=data.summary(),
)  # fmt: skip
