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
# # Notebook: float codes
#
# A floating-point number has the same relative precision whatever its size. When is that worth
# spikes? First the explicit exponent and mantissa of the earlier work; then float-like codes that
# a weighted sum can read, where the scale of a channel is known and where it is not; then in the
# network.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
network = "small_cnn"  # small_cnn, resnet8, resnet20, ...
checkpoint = ""  # trained weights; empty: train here
epochs = 40  # of training, if there is no checkpoint
steps = 12  # time steps K of every code
spreads = [1, 4, 16]  # S: the scales of channels go from 1/S to S
snr = 20.0  # dB: at which the codes are compared
network_snr = [14, 18, 22]  # dB: what the rescaled layers are designed for
factors = [0.25, 0.5, 1, 2, 4]  # by which scales are mis-set
images = 500  # test images, from the first
seed = 0

# %% tags=["hide-input"]
import logging
import os
from pathlib import Path

if Path.cwd().name == "notebooks":  # as in JupyterLab; paths are those of the top folder
    os.chdir("..")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its start-up otherwise

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, figures, fitting, measures
from fsrepro.conversion import (
    convert,
    normal_form,
    record,
    rescalable_layers,
    rescale_channels,
    with_decoders,
)
from fsrepro.experiments import datasets, models, training
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

logging.getLogger("tensorflow").setLevel("ERROR")  # importing TensorFlow resets it
figures.set_style()
display(Markdown(f"**Profile {profile}**: {network} on {dataset}, {images:,} test images."))

# %% [markdown]
# ## The float code of the earlier work
#
# A neuron sends an exponent in binary, then a mantissa. The code is made for values up to 10 and
# meets values from smaller ranges. In the last rows a value is rounded to the nearest and the
# exponent bits are inverted, so that zero is silent.

# %%
ranges = [10.0, 1.0, 0.5, 0.25]
bits = [(4, 4), (6, 2), (7, 1)]
made_for = 10.0
tested = {
    "binary, 8 bits": codes.binary(8, made_for, rounding=True),
    **{f"{e} + {m} bits": codes.ExponentMantissa(e, m, made_for) for e, m in bits},
    **{
        f"{e} + {m} bits, rounding, silent zero": codes.ExponentMantissa(
            e, m, made_for, rounding=True, silent_zero=True
        )
        for e, m in bits
    },
}
earlier = pd.DataFrame(
    {
        "code": name,
        "range": high,
        "rms_error": np.sqrt(found.mse),
        "snr": found.snr,
        "spikes": found.spikes,
    }
    for name, code in tested.items()
    for high in ranges
    for found in [fitting.measure(code, fitting.relu, fitting.uniform(0, high))]
)
earlier.pivot(index="code", columns="range", values=["snr", "spikes"]).loc[
    list(tested), pd.MultiIndex.from_product([["snr", "spikes"], ranges])
].style.format(precision=2)

# %% [markdown]
# ## Float-like codes that a weighted sum can read
#
# A neuron that stops after its m-th spike needs no exponent: the time of the first spike tells
# it. Each kind of code below is a list of families, functions of a scale. To add a code, add a
# line.


# %%
def kinds_of(K):
    return {
        "binary": [lambda a, n=n: codes.binary(n, a, rounding=True) for n in range(4, K + 1)],
        "mixed radix": fitting.mixed_radices(K),
        "leading one": [
            lambda a, n=n, m=m: codes.leading_one(n, a, spikes=m)
            for n in range(6, K + 1, 2)
            for m in (1, 2, 3, 4)
        ],
        "geometric": [
            lambda a, r=r, m=m: codes.geometric(K, a, ratio=r, spikes=m)
            for r in (1.2, 1.3, 1.4, 1.5, 1.6, 1.8)
            for m in (1, 2, 3)
        ],
    }


kinds = kinds_of(steps)
source = fitting.gaussian(-0.3, 1)

# %% [markdown]
# ## One code for channels of different scales
#
# Channels of rectified N(-0.3, 1), each in other units. How far the scales spread is known, and
# every code is designed for it: scale, digits, ratio and number of spikes are chosen for the
# channels together. A channel counts by its own noise-to-signal ratio.

# %% tags=["remove-stderr"]
fronts = pd.concat(
    [
        fitting.spread_front(kinds, fitting.Spread(source, factor)).assign(spread=factor)
        for factor in tqdm(spreads, desc="spreads")
    ],
    ignore_index=True,
)
book_figures.spread_fronts(fronts)
plt.show()


# %%
def cheapest(front, snr):
    """Of each kind and spread, the code with the fewest spikes that reaches ``snr``."""
    reached = front[front["snr"] >= snr].sort_values("spikes")
    return reached.groupby(["spread", "kind"], sort=False).first().reset_index()


at_snr = cheapest(fronts, snr)
at_snr["name"] = [code.name for code in at_snr["code"]]
at_snr = at_snr.drop(columns="code").sort_values(["spread", "spikes"])
at_snr.style.format(precision=3).hide()

# %% [markdown]
# ## Relative precision
#
# The codes of the table for the widest spread that all kinds reach, channel by channel, and beyond
# the scales they were designed for.

# %%
common = max(at_snr["spread"][at_snr.groupby("spread")["kind"].transform("size") == len(kinds)])
wide = fitting.Spread(source, 256, channels=33)
designed = cheapest(fronts[fronts["spread"] == common], snr).set_index("kind")["code"]
precision = pd.concat(
    [wide.measure(designed[kind]).assign(kind=kind) for kind in kinds], ignore_index=True
)
book_figures.relative_precision(precision, designed_for=common)
plt.show()

# %% [markdown]
# ## Heavy tails
#
# A single channel whose activations spread over orders of magnitude by themselves. The SNR here is
# the ordinary one, which large values dominate.

# %% tags=["remove-stderr"]
sources = {
    "rectified Gaussian": source,
    "Laplace": fitting.laplace(0, 1),
    "lognormal, σ = 1": fitting.lognormal(0, 1),
    "lognormal, σ = 1.5": fitting.lognormal(0, 1.5),
}
tails = pd.concat(
    [
        fitting.compare(
            {
                "binary": fitting.scaled(*kinds["binary"]),
                "mixed radix": fitting.mixed_radix_of(steps),
                "leading one": fitting.scaled(*kinds["leading one"]),
                "geometric": fitting.scaled(*kinds["geometric"]),
            },
            distribution.thin(1024),
            snr,
        ).assign(source=name)
        for name, distribution in tqdm(sources.items(), desc="sources")
    ],
    ignore_index=True,
)
tails.pivot(index="source", columns="kind", values="spikes").loc[
    list(sources), list(kinds)
].style.format(precision=3, na_rep="out of reach")

# %% [markdown]
# ## In the network: channels in other units
#
# ReLU does not care about units: multiply a channel by s before it, divide the weights behind it
# by s, and the network computes what it did. Batch norm, pruning or a change of units may leave a
# network in any such state. Here the channels of the inner layers, those between two convolutions,
# get scales between 1/S and S. These layers are written in each kind of code, designed for the
# spread; the other layers keep one mixed radix.

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
ann = models.build(network, data.image_shape, len(data.classes), seed=seed)
if checkpoint:
    models.load_checkpoint(ann, checkpoint)
else:
    training.train(ann, *data.arrays("train"), epochs=epochs, batch_size=64, seed=seed)

test = data.test[:images]
x_test = data.normalise(test.images)
x_calibration = data.normalise(data.calibration.images)
answers = measures.predict_classes(ann, x_test)
ann_accuracy = 100 * float((answers == test.labels).mean())
graph = normal_form(ann)
recorded = record(graph, x_calibration, seed=seed)
inner = rescalable_layers(graph)
outer = convert(ann, x_calibration, code="mixed_radix", steps=steps, seed=seed)
Markdown(
    f"The ANN answers {ann_accuracy:.2f} % of {len(test):,} test images rightly. Inner layers: "
    + ", ".join(f"`{name}`" for name in inner)
    + f", {sum(np.prod(graph.get_layer(name).output.shape[1:]) for name in inner):,} of "
    + f"{outer.neurons:,} neurons."
)


# %% tags=["remove-stderr"]
def in_other_units(factor):
    rng = np.random.default_rng(seed)
    channels = {name: graph.get_layer(name).output.shape[-1] for name in inner}
    return rescale_channels(
        graph, {name: factor ** rng.uniform(-1, 1, count) for name, count in channels.items()}
    )


def evaluated(snn, **setting):
    report = measures.evaluate(snn, x_test, test.labels, ann=answers)
    layers = report.layers.set_index("layer").loc[inner]
    weights = layers["neurons"] / layers["neurons"].sum()
    return {
        **setting, **report.row(),
        "inner_spikes": float(weights @ layers["spikes_per_neuron"]),
        "inner_code": layers["code"].iloc[0],
    }  # fmt: skip


rows = []
for factor in spreads:
    net = in_other_units(factor)
    designs = {
        name: fitting.spread_front(
            kinds, fitting.Spread(fitting.empirical(recorded[name], name=name), factor)
        ).assign(spread=factor)
        for name in tqdm(inner, desc=f"designs for a spread of {factor}")
    }
    for target in network_snr:
        best = {name: cheapest(front, target).set_index("kind") for name, front in designs.items()}
        for kind in kinds:
            if all(kind in table.index for table in best.values()):
                chosen = {name: table.loc[kind, "code"] for name, table in best.items()}
                snn = convert(net, x_calibration, code=outer.codes | chosen)
                rows.append(evaluated(snn, kind=kind, spread=factor, snr_target=target))
in_network = pd.DataFrame(rows)

# %%
book_figures.inner_spikes(in_network, reference=ann_accuracy)
plt.show()

# %%
columns = {
    "spread": "spread S", "snr_target": "SNR (dB)", "kind": "kind", "inner_code": "first layer",
    "accuracy": "accuracy %", "agreement": "same answer %",
    "inner_spikes": "spikes per inner neuron", "spikes_per_neuron": "spikes per neuron",
}  # fmt: skip
form = {
    "accuracy %": "{:.2f}", "same answer %": "{:.2f}", "spikes per inner neuron": "{:.3f}",
    "spikes per neuron": "{:.3f}",
}  # fmt: skip
in_network[list(columns)].rename(columns=columns).style.format(form).hide()

# %% [markdown]
# ## In the network: mis-set scales
#
# Every layer is written in one kind of code, designed on calibration images; then all scales are
# wrong by one factor. Designed *as if known*, the code relies on its scale; designed *for a
# factor of 4*, the same choice of scale, digits, ratio and spikes is made for seven scales at
# once.

# %% tags=["remove-stderr"]
designed_snr = max(network_snr)
rows = []
for design, factor in {"as if known": 1, "for a factor of 4": 4}.items():
    spread_of = {
        name: fitting.Spread(fitting.empirical(x, name=name), factor)
        for name, x in recorded.items()
    }
    for kind, families in kinds.items():
        try:
            chosen = {
                name: fitting.best_for_spread(families, spread, snr=designed_snr)
                for name, spread in tqdm(spread_of.items(), desc=f"{kind}, {design}")
            }
        except ValueError as error:
            print(f"{kind}, {design}: {error}")
            continue
        for wrong in factors:
            codes_ = {name: code.scaled(wrong) for name, code in chosen.items()}
            snn = convert(ann, x_calibration, code=codes_)
            rows.append(evaluated(snn, design=design, kind=kind, factor=wrong))
mis_set = pd.DataFrame(rows)

# %%
wary = mis_set[mis_set["design"] == "for a factor of 4"]
book_figures.mis_set(wary, reference=ann_accuracy)
plt.show()

# %%
mis_set.pivot(index=["design", "kind"], columns="factor", values="accuracy").loc[
    list(mis_set[["design", "kind"]].drop_duplicates().itertuples(index=False, name=None))
].style.format(precision=2)

# %% [markdown]
# ## In the network: no calibration at all
#
# One code for every layer, made without a single image: for N(-0.3, 1) with a scale that is
# unknown up to a factor of 4, as if all that is known were that batch norm came before. The
# explicit exponent and mantissa run behind decoders; their exponent covers the same octaves.

# %% tags=["remove-stderr"]
rows = []
blind = cheapest(fronts[fronts["spread"] == 4], snr)
for kind, code in zip(blind["kind"], blind["code"], strict=True):
    snn = convert(ann, x_calibration[:2], code=code)
    rows.append(evaluated(snn, kind=kind, name=code.name, linear=True))
largest = float(2 ** np.ceil(np.log2(4 * source.points[-1])))
for name, code in {
    "exponent + mantissa, 4 + 4": codes.ExponentMantissa(4, 4, largest),
    "exponent + mantissa, 3 + 3, rounding, silent zero": codes.ExponentMantissa(
        3, 3, largest, rounding=True, silent_zero=True
    ),
}.items():
    snn = with_decoders(ann, dict.fromkeys(recorded, code))
    rows.append(evaluated(snn, kind="exponent + mantissa", name=name, linear=False))
uncalibrated = pd.DataFrame(rows)
columns = {
    "name": "code of every layer", "steps": "K", "accuracy": "accuracy %",
    "agreement": "same answer %", "spikes_per_neuron": "spikes per neuron",
    "macs_per_image": "multiplications per image",
}  # fmt: skip
uncalibrated[list(columns)].rename(columns=columns).style.format(
    form | {"multiplications per image": "{:,.0f}"}
).hide()

# %% [markdown]
# ## Results
#
# What the book quotes. In the network, the settings are those designed for the highest SNR that
# both kinds reach.

# %%
widest = max(spreads)


def spikes_at(spread, kind):
    row = at_snr[(at_snr["spread"] == spread) & (at_snr["kind"] == kind)]
    return float(row["spikes"].iloc[0]) if len(row) else np.nan


def network_row(spread, kind, target):
    part = in_network[(in_network["spread"] == spread) & (in_network["kind"] == kind)]
    part = part[part["snr_target"] == target]
    return part.iloc[0] if len(part) else pd.Series(dtype=float).reindex(in_network.columns)


def floats_of(spread, target):
    """Of the two float codes, the one with fewer spikes in the inner layers."""
    part = in_network[(in_network["spread"] == spread) & (in_network["snr_target"] == target)]
    part = part[part["kind"].isin(["leading one", "geometric"])]
    return part.loc[part["inner_spikes"].idxmin()]


def wrong_by(design, kind, factor):
    part = mis_set[(mis_set["design"] == design) & (mis_set["kind"] == kind)]
    part = part[part["factor"] == factor]["accuracy"]
    return float(part.iloc[0]) if len(part) else np.nan


in_reach = in_network[(in_network["spread"] == widest) & (in_network["kind"] == "mixed radix")]
floats_reach = in_network[
    (in_network["spread"] == widest) & in_network["kind"].isin(["leading one", "geometric"])
]
target = min(in_reach["snr_target"].max(), floats_reach["snr_target"].max())
won, radix = floats_of(widest, target), network_row(widest, "mixed radix", target)
tail = tails.set_index(["source", "kind"])["spikes"]
old = earlier.set_index(["code", "range"])
blindly = uncalibrated.set_index("kind")
headline = {
    "images": len(test),
    "steps": steps,
    "snr": snr,
    "widest": widest,
    "common": int(common),
    "ann_accuracy": ann_accuracy,
    "inner_layers": len(inner),
    **{f"earlier_snr_{r:g}".replace(".", "_"): old.loc[("4 + 4 bits", r), "snr"] for r in ranges},
    **{
        f"earlier_binary_snr_{r:g}".replace(".", "_"): old.loc[("binary, 8 bits", r), "snr"]
        for r in ranges
    },
    "earlier_spikes": old.loc[("4 + 4 bits", 1.0), "spikes"],
    "earlier_silent_spikes": old.loc[("4 + 4 bits, rounding, silent zero", 1.0), "spikes"],
    **{
        f"{kind.replace(' ', '_')}_spikes_{factor}": spikes_at(factor, kind)
        for kind in kinds
        for factor in spreads
    },
    "tail_radix": tail["lognormal, σ = 1", "mixed radix"],
    "tail_geometric": tail["lognormal, σ = 1", "geometric"],
    "network_snr": int(target),
    "float_kind": won["kind"],
    "float_code": won["inner_code"],
    "float_accuracy": won["accuracy"],
    "float_agreement": won["agreement"],
    "float_spikes": won["inner_spikes"],
    "radix_accuracy": radix["accuracy"],
    "radix_agreement": radix["agreement"],
    "radix_spikes": radix["inner_spikes"],
    "float_saving": 1 - won["inner_spikes"] / radix["inner_spikes"],
    "known_float_spikes": floats_of(1, target)["inner_spikes"],
    "known_float_accuracy": floats_of(1, target)["accuracy"],
    "known_radix_spikes": network_row(1, "mixed radix", target)["inner_spikes"],
    "known_radix_accuracy": network_row(1, "mixed radix", target)["accuracy"],
    "designed_snr": designed_snr,
    **{
        f"{kind.replace(' ', '_')}_{design}_{side}": wrong_by(name, kind, wrong)
        for kind in kinds
        for design, name in {"trusting": "as if known", "wary": "for a factor of 4"}.items()
        for side, wrong in {"low": min(factors), "right": 1, "high": max(factors)}.items()
    },
    **{
        f"blind_{kind.replace(' ', '_')}_{what}": blindly.loc[kind, column]
        for kind in blind["kind"]
        for what, column in {"accuracy": "accuracy", "spikes": "spikes_per_neuron"}.items()
    },
    "blind_explicit_accuracy": uncalibrated["accuracy"].iloc[-1],
    "blind_explicit_spikes": uncalibrated["spikes_per_neuron"].iloc[-1],
    "blind_original_accuracy": uncalibrated["accuracy"].iloc[-2],
    "blind_original_spikes": uncalibrated["spikes_per_neuron"].iloc[-2],
}
pd.Series(headline).rename("value").to_frame().style.format(precision=3)

# %%
fronts["name"] = [code.name for code in fronts["code"]]
result_files.write(
    results,
    "03_float_codes",
    tables={
        "": in_network, "earlier": earlier, "precision": precision,
        "fronts": fronts.drop(columns="code"), "at_snr": at_snr, "tails": tails,
        "mis_set": mis_set, "uncalibrated": uncalibrated,
    },
    headline=headline,
    headline_rows=[
        {
            "dataset": dataset,
            "network": network,
            "activation": "relu",
            "code": f"{row['name']}, no calibration",
            "steps": row["steps"],
            "fine_tuned": False,
            "images": row["images"],
            "ann_accuracy": ann_accuracy,
            "snn_accuracy": row["accuracy"],
            "agreement": row["agreement"],
            "spikes_per_neuron": row["spikes_per_neuron"],
            "synops_per_image": row["synops_per_image"],
            "simulator": "keras",
        }
        for row in uncalibrated.to_dict("records")
    ],
    parameters={
        "profile": profile, "dataset": dataset, "network": network, "checkpoint": checkpoint,
        "epochs": epochs, "steps": steps, "spreads": spreads, "snr": snr,
        "network_snr": network_snr, "factors": factors, "images": images, "seed": seed,
    },
    data=data.summary(),
)  # fmt: skip
