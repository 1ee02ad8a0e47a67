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
# # Notebook: below half a spike
#
# When spikes are scarce, what is the last one worth? Codes with dead zones are held against what
# any neuron can do, and a budget is divided among the channels of a network.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
source_steps = [4, 8]  # time steps K, on the synthetic source
source_spikes = [0.2, 0.25, 0.3, 0.35, 0.4, 0.5]  # per neuron, at most
dataset = "digits"  # digits, cifar10
# See models.build; without a checkpoint they are trained here.
networks = [{"name": "ReLU", "network": "small_cnn", "options": {}, "checkpoint": "", "epochs": 40}]
steps = [4, 8]  # time steps K, in the networks
budgets = [0.15, 0.2, 0.3]  # spikes per neuron
part_budgets = [0.2]  # at which it is told what each part brings
images = 500  # test images, from the first
# For ImageNet (see models.imagenet), with their own K and budgets, to tell what each part brings.
picture_networks = []
validation = ""  # a CSV of labelled pictures and which folder's rows to take, as in 07_imagenet
validation_rows = None
calibration = ""
calibration_rows = None
seed = 0

# %% tags=["hide-input"]
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import fitting
from fsrepro.conversion import plan
from fsrepro.experiments import datasets, models, notebook, pictures
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep

given = notebook.parameters(globals())
display(Markdown(f"**Profile {profile}**: {dataset}, {images:,} test images."))

# %% [markdown]
# ## One neuron
#
# The source is max(x, 0) of a Gaussian with mean -0.3 and variance 1. Of all mixed radices with at
# most so many spikes, the table has the best, without and with a dead zone. Beside them, the fewest
# spikes with which a decoder could know the value as well: from any encoder (rate-distortion), and
# from neurons that encode their own value alone.

# %% tags=["remove-stderr"]
source = fitting.gaussian(-0.3, 1)
rectified = source.map(fitting.relu)
rows = []
for K in tqdm(source_steps, desc="K"):
    plain = fitting.mixed_radix_of(K, dead_zones=False)(source)
    front = fitting.mixed_radix_of(K)(source)
    for most in source_spikes:
        old, new = (list(f)[int(np.flatnonzero(f.spikes <= most)[-1])] for f in (plain, front))
        snr = fitting.decibels(front.power, new.mse)
        lowest = fitting.scalar_bound(rectified, K, snr)
        rows.append({
            "K": K,
            "at_most": most,
            "snr_without": fitting.decibels(front.power, old.mse),
            "snr": snr,
            "code": new.code.name,
            "spikes": new.spikes,
            "bound": fitting.bound(rectified, K, snr),
            "scalar_bound": lowest,
            "ratio": new.spikes / lowest,
        })  # fmt: skip
one_neuron = pd.DataFrame(rows)
notebook.shown(one_neuron).style.hide()

# %%
book_figures.low_end(one_neuron[one_neuron["K"].isin([min(source_steps), max(source_steps)])])
plt.show()

# %% [markdown]
# ## In a network
#
# A budget of spikes is divided among the layers, or among all channels, each with a code of its
# own. No training, no labels. The bars are the 95 percent intervals of the paired difference.

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
NETWORKS = {entry["name"]: entry for entry in networks}
PICTURE_NETWORKS = {entry["name"]: entry for entry in picture_networks}


@cache
def study(name):
    if name in PICTURE_NETWORKS:
        entry = PICTURE_NETWORKS[name]
        return notebook.Study.of_pictures(
            models.imagenet(entry["network"], entry["weights"]),
            pictures.from_table(validation, folder=validation_rows),
            pictures.from_table(calibration, folder=calibration_rows), seed=seed,
        )  # fmt: skip
    entry = NETWORKS[name]
    return notebook.Study.of(
        data, entry["network"], images=images, checkpoint=entry["checkpoint"],
        epochs=entry["epochs"], seed=seed, **entry["options"],
    )  # fmt: skip


def measured(network, plan, budget, **options):
    return study(network).report(plan.network(spikes_per_neuron=budget, **options)).row()


sweep = Sweep(
    f"{results}/.sweep-09_low_end", data=data.summary(), images=images, seed=seed,
    weights={name: study(name).weights for name in [*NETWORKS, *PICTURE_NETWORKS]},
)  # fmt: skip
frontier = sweep.table(
    "frontier",
    [
        {"network": name, "setting": f"K = {K}, {who}", "K": K, "budget": b}
        for name in NETWORKS
        for K in steps
        for who in ("layers", "channels")
        for b in budgets
    ],
    lambda network, setting, K, budget: measured(
        network, study(network).plan(K), budget, by_channel=setting.endswith("channels")
    ),
)
book_figures.loss_against_spikes(frontier)
plt.show()

# %%
shown = ["network", "setting", "budget", "spikes_per_neuron", "accuracy", "loss", "low", "high",
         "agreement"]  # fmt: skip
notebook.shown(frontier, shown).style.hide()

# %% [markdown]
# ## What each part brings
#
# From the plainest on, each row adds one part: samples that stand for a layer by groups of equal
# size, or such that the rare large values stay; codes with dead zones; means and slopes of every
# channel put right; codes for every channel; weights refitted to what the codes carry, after which
# the network is not training-free any more.


# %% tags=["remove-stderr"]
def equal_groups(x, size=4096):
    """So many means of neighbours, each of as many samples."""
    groups = np.array_split(np.sort(x), min(size, len(x)))
    return fitting.empirical([np.mean(group) for group in groups], points=size)


@cache
def planned(network, K, dead_zones, rare):
    """A plan without what came later."""
    of = study(network)
    made = plan(
        of.ann, of.x_calibration, code=fitting.mixed_radix_of(K, dead_zones=dead_zones), seed=seed
    )
    if not rare:
        made.distributions = {name: equal_groups(x) for name, x in of.recorded.items()}
    return made


PARTS = {
    "equal groups": {"dead_zones": False, "rare": False, "bias_correction": False},
    "+ rare values": {"dead_zones": False, "rare": True, "bias_correction": False},
    "+ dead zones": {"dead_zones": True, "rare": True, "bias_correction": False},
    "+ means and slopes": {"dead_zones": True, "rare": True, "bias_correction": True},
    "+ channels": {"dead_zones": True, "rare": True, "bias_correction": True, "by_channel": True},
    "+ weights": {"dead_zones": True, "rare": True, "by_channel": True, "refit": True},
}


def part(network, setting, K, budget):
    options = dict(PARTS[setting])
    made = planned(network, K, options.pop("dead_zones"), options.pop("rare"))
    return measured(network, made, budget, **options)


parts = sweep.table(
    "parts",
    [
        {"network": name, "setting": setting, "K": K, "budget": b}
        for name, K, its_budgets in [
            *((name, max(steps), part_budgets) for name in NETWORKS),
            *((name, entry["K"], entry["budgets"]) for name, entry in PICTURE_NETWORKS.items()),
        ]
        for b in its_budgets
        for setting in PARTS
    ],
    part,
)
notebook.shown(parts, [*shown[:2], "K", *shown[2:]]).style.hide()

# %% [markdown]
# ## Results
#
# What the book quotes.

# %%
longest = one_neuron[one_neuron["K"] == max(k for k in source_steps if k <= 8)]
headline = {
    "images": images,
    "source_steps": int(longest["K"].iloc[0]),
    "least_ratio": one_neuron["ratio"].min(),
    "most_gain": (one_neuron["snr"] - one_neuron["snr_without"]).max(),
}
for row in longest.itertuples():
    headline |= {
        f"snr_at_{row.at_most * 100:.0f}": row.snr,
        f"ratio_at_{row.at_most * 100:.0f}": row.ratio,
    }
for name in [*NETWORKS, *PICTURE_NETWORKS]:
    headline[f"{name.lower()}_ann_accuracy"] = study(name).accuracy
pd.Series(headline).rename("value").to_frame().style.format(precision=3, thousands=",")

# %%
result_files.write(
    results,
    "09_low_end",
    tables={"": frontier, "one_neuron": one_neuron, "parts": parts},
    headline=headline,
    headline_rows=notebook.headline_rows(
        frontier, dataset=dataset, network=[NETWORKS[n]["network"] for n in frontier["network"]],
        ann_accuracy=[study(n).accuracy for n in frontier["network"]],
        activation=[NETWORKS[n]["options"].get("activation", "relu") for n in frontier["network"]],
        code=[f"mixed radix, {s.split(', ')[1]}" for s in frontier["setting"]],
    ),
    parameters=given
    | {
        "picture_networks": [{**n, "weights": Path(n["weights"]).name} for n in picture_networks],
        "validation": Path(validation).name,
        "calibration": Path(calibration).name,
    },
    data=data.summary(),
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()
