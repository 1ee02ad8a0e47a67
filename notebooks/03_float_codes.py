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
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from tqdm import tqdm

from fsrepro import codes, fitting
from fsrepro.conversion import convert, normal_form, rescalable_layers, rescale_channels
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files

given = notebook.parameters(globals())
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
kinds = {
    "binary": [partial(codes.binary, K, rounding=True) for K in range(4, steps + 1)],
    "mixed radix": fitting.mixed_radices(steps),
    "leading one": [
        partial(codes.leading_one, K, spikes=m)
        for K in range(6, steps + 1, 2)
        for m in (1, 2, 3, 4)
    ],
    "geometric": [
        partial(codes.geometric, steps, ratio=r, spikes=m)
        for r in (1.2, 1.3, 1.4, 1.5, 1.6, 1.8)
        for m in (1, 2, 3)
    ],
}
source = fitting.gaussian(-0.3, 1)

# %% [markdown]
# ## One code for channels of different scales
#
# Channels of rectified N(-0.3, 1), each in other units. How far the scales spread is known, and
# every code is designed for it: scale, digits, ratio and number of spikes are chosen for the
# channels together. A channel counts by its own noise-to-signal ratio.

# %% tags=["remove-stderr"]
fronts = {
    (factor, kind): fitting.spread_front(families, fitting.Spread(source, factor))
    for factor in tqdm(spreads, desc="spreads")
    for kind, families in kinds.items()
}


def rows_of(spread, kind, which=slice(None)):
    """The candidates of a front as rows of results."""
    table = fronts[spread, kind].table[which]
    return pd.DataFrame(
        {
            "kind": kind,
            "steps": [code.steps for code in table["code"]],
            "spikes": table["spikes"],
            "snr": [fitting.decibels(1.0, noise) for noise in table["mse"]],
            "worst_snr": table["worst_snr"],
            "spread": spread,
            "name": [code.name for code in table["code"]],
        }
    )


candidates = pd.concat([rows_of(*key) for key in fronts], ignore_index=True)
book_figures.spread_fronts(candidates)
plt.show()


# %%
def cheapest(front, target):
    """Where in a front the fewest spikes reach ``target`` dB, as a slice; empty if none do."""
    try:
        row = front.position(snr=target)
    except ValueError:
        return slice(0)
    return slice(row, row + 1)


at_snr = pd.concat([rows_of(*key, cheapest(front, snr)) for key, front in fronts.items()])
at_snr = at_snr[["spread", "kind", "steps", "spikes", "snr", "worst_snr", "name"]]
at_snr = at_snr.sort_values(["spread", "spikes"], ignore_index=True)
notebook.shown(at_snr).style.hide()

# %% [markdown]
# ## Relative precision
#
# The codes of the table for the widest spread that all kinds reach, channel by channel, and beyond
# the scales they were designed for.

# %%
common = max(at_snr["spread"][at_snr.groupby("spread")["kind"].transform("size") == len(kinds)])
wide = fitting.Spread(source, 256, channels=33)
designed = {kind: fronts[common, kind].choose(snr=snr).code for kind in kinds}
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
                kind: fitting.mixed_radix_of(steps)
                if kind == "mixed radix"
                else fitting.scaled(*families)
                for kind, families in kinds.items()
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
study = notebook.Study.of(
    data, network, images=images, checkpoint=checkpoint, epochs=epochs, seed=seed
)
graph = normal_form(study.ann)
inner = rescalable_layers(graph)
outer = study.plan(steps).network()
Markdown(
    f"{study} Inner layers: "
    + ", ".join(f"`{name}`" for name in inner)
    + f", {sum(study.plan(steps).neurons[name] for name in inner):,} of {outer.neurons:,} neurons."
)


# %% tags=["remove-stderr"]
def in_other_units(factor):
    rng = np.random.default_rng(seed)
    channels = {name: graph.get_layer(name).output.shape[-1] for name in inner}
    return rescale_channels(
        graph, {name: factor ** rng.uniform(-1, 1, count) for name, count in channels.items()}
    )


def evaluated(snn, **setting):
    report = study.report(snn)
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
        (name, kind): fitting.spread_front(families, spread)
        for name in tqdm(inner, desc=f"designs for a spread of {factor}")
        for spread in [fitting.Spread(study.source(name), factor)]
        for kind, families in kinds.items()
    }
    for target in network_snr:
        for kind in kinds:
            try:
                best = {name: designs[name, kind].choose(snr=target).code for name in inner}
            except ValueError:  # out of reach
                continue
            snn = convert(net, study.x_calibration, code=outer.codes | best)
            rows.append(evaluated(snn, kind=kind, spread=factor, snr_target=target))
in_network = pd.DataFrame(rows)

# %%
book_figures.inner_spikes(in_network, reference=study.accuracy)
plt.show()

# %%
shown = ["spread", "snr_target", "kind", "inner_code", "accuracy", "agreement", "inner_spikes",
         "spikes_per_neuron"]  # fmt: skip
notebook.shown(in_network, shown).style.hide()

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
    for kind, families in kinds.items():
        try:
            chosen = {
                name: fitting.spread_front(families, fitting.Spread(study.source(name), factor))
                .choose(snr=designed_snr).code
                for name in tqdm(study.recorded, desc=f"{kind}, {design}")
            }  # fmt: skip
        except ValueError as error:
            print(f"{kind}, {design}: {error}")
            continue
        for wrong in factors:
            snn = study.spiking({name: code.scaled(wrong) for name, code in chosen.items()})
            rows.append(evaluated(snn, design=design, kind=kind, factor=wrong))
mis_set = pd.DataFrame(rows)

# %%
wary = mis_set[mis_set["design"] == "for a factor of 4"]
book_figures.mis_set(wary, reference=study.accuracy)
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
blind = at_snr.loc[at_snr["spread"] == 4, "kind"]
tried = [(kind, fronts[4, kind].choose(snr=snr).code) for kind in blind]
largest = float(2 ** np.ceil(np.log2(4 * source.points[-1])))
explicit = {
    "exponent + mantissa, 4 + 4": codes.ExponentMantissa(4, 4, largest),
    "exponent + mantissa, 3 + 3, rounding, silent zero": codes.ExponentMantissa(
        3, 3, largest, rounding=True, silent_zero=True
    ),
}
everywhere = [(kind, code.name, code) for kind, code in tried]
everywhere += [("exponent + mantissa", name, code) for name, code in explicit.items()]
rows = []
for kind, name, code in everywhere:
    snn = study.spiking(dict.fromkeys(study.recorded, code))
    rows.append(evaluated(snn, kind=kind, name=name, linear=code.linear))
uncalibrated = pd.DataFrame(rows)
shown = ["name", "steps", "accuracy", "agreement", "spikes_per_neuron", "macs_per_image"]
notebook.shown(uncalibrated, shown).style.hide()

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
    "images": len(study.labels),
    "steps": steps,
    "snr": snr,
    "widest": widest,
    "common": int(common),
    "ann_accuracy": study.accuracy,
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
        for kind in blind
        for what, column in {"accuracy": "accuracy", "spikes": "spikes_per_neuron"}.items()
    },
    "blind_explicit_accuracy": uncalibrated["accuracy"].iloc[-1],
    "blind_explicit_spikes": uncalibrated["spikes_per_neuron"].iloc[-1],
    "blind_original_accuracy": uncalibrated["accuracy"].iloc[-2],
    "blind_original_spikes": uncalibrated["spikes_per_neuron"].iloc[-2],
}
pd.Series(headline).rename("value").to_frame().style.format(precision=3)

# %%
result_files.write(
    results,
    "03_float_codes",
    tables={
        "": in_network, "earlier": earlier, "precision": precision, "fronts": candidates,
        "at_snr": at_snr, "tails": tails, "mis_set": mis_set, "uncalibrated": uncalibrated,
    },
    headline=headline,
    headline_rows=notebook.headline_rows(
        uncalibrated, dataset=dataset, network=network, ann_accuracy=study.accuracy,
        code=[f"{name}, no calibration" for name in uncalibrated["name"]],
    ),
    parameters=given,
    data=data.summary(),
)  # fmt: skip
