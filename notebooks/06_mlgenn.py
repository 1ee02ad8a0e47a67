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
stock_steps = [4, 6, 8]  # K of mlGeNN's FewSpike, to be compared at equal accuracy
compared = 5  # images on which spikes are compared, code by code
images = 100  # test images that run through the simulator
timed = 50  # of these, for the comparison of times
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
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

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
# mlGeNN's FewSpikeRelu on the same network, with the same synapses and compiler options. Its
# neurons have no biases and one range for all layers; here they get their biases from a neuron
# that sends the same value for every image. Where there is a network that was fine-tuned through
# its codes, mlGeNN's neurons run with its weights too.


# %% tags=["remove-stderr"]
def one_range(net):
    """The largest activation of all layers, which mlGeNN's FewSpike has for its range."""
    recorded = record(net.keras_model, study.x_calibration, seed=seed)
    return max(float(np.percentile(x, 99.9)) for x in recorded.values())


sources = {"": convert(study.ann, study.x_calibration, code="binary")}
ours = {"mixed radix": snn}
if fine_tuned:
    ours["mixed radix, fine-tuned"] = SpikingModel.load(fine_tuned)
    sources[" on the fine-tuned network"] = ours["mixed radix, fine-tuned"]
times = []
if simulated:
    candidates = {name: lambda net=net: genn.to_mlgenn(net) for name, net in ours.items()}
    for where, net in sources.items():
        alpha = one_range(net)
        for K in stock_steps:
            plain = net.with_codes(dict.fromkeys(net.codes, codes.binary(K, alpha)))
            candidates[f"mlGeNN FewSpike, K = {K}{where}"] = lambda net=plain: (
                genn.with_mlgenn_neurons(net)
            )
    for setting, make in tqdm(candidates.items()):
        net = make()
        outputs, spikes = net.run(study.x[:timed])
        right = outputs.argmax(1) == study.labels[:timed]
        times.append(
            {
                "setting": setting,
                "steps": net.period,
                "images": timed,
                "accuracy": 100 * float(right.mean()),
                "spikes_per_neuron": sum(z.sum() for z in spikes.values()) / timed / snn.neurons,
                "events_per_image": net.events(spikes) / timed,
                "ms_per_image": 1e3 * net.seconds / timed,
            }
        )
times = pd.DataFrame(times) if simulated else of_the_published_run("_times")
notebook.shown(times).style.hide()

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
    rivals = times[~times["setting"].isin(ours)]
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
    }
    for prefix, (_, own) in zip(
        ("", "tuned_"), times[times["setting"].isin(ours)].iterrows(), strict=False
    ):
        # At equal accuracy: the fastest of mlGeNN's neurons that are no worse on these images.
        equal = rivals[rivals["accuracy"] >= own["accuracy"]].nsmallest(1, "ms_per_image")
        rival = equal.iloc[0] if len(equal) else rivals.loc[rivals["accuracy"].idxmax()]
        longest = rivals[rivals["steps"] == rivals["steps"].max()].nsmallest(1, "ms_per_image")
        headline |= {
            f"{prefix}our_accuracy": own["accuracy"],
            f"{prefix}our_spikes": own["spikes_per_neuron"],
            f"{prefix}our_events": own["events_per_image"],
            f"{prefix}our_ms": own["ms_per_image"],
            f"{prefix}rival": rival["setting"],
            f"{prefix}rival_steps": int(rival["steps"]),
            f"{prefix}rival_accuracy": rival["accuracy"],
            f"{prefix}rival_events": rival["events_per_image"],
            f"{prefix}rival_ms": rival["ms_per_image"],
            f"{prefix}time_ratio": rival["ms_per_image"] / own["ms_per_image"],
            f"{prefix}events_ratio": rival["events_per_image"] / own["events_per_image"],
            f"{prefix}longest_time_ratio": longest["ms_per_image"].iloc[0] / own["ms_per_image"],
        }
pd.Series(headline).rename("value").to_frame()

# %%
result_files.write(
    results,
    "06_mlgenn",
    tables={
        "": runs, "words": words,
        **({"agreement": agreement, "times": times} if simulated else {}),
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
