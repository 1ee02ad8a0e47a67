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
# # Notebook: SiLU and sigmoid
#
# An FS neuron can write any function. Either the function emerges from its thresholds, resets and
# weights, as in the published tables; or the soma computes it once and writes the result in the
# best words. Both are measured on samples and in networks.

# %% tags=["parameters"]
profile = "quick"  # the name of the profile, shown on the page
results = "results/quick"  # where the result files go
dataset = "digits"  # digits, cifar10
networks = [  # constructor and its options; trained here for so many epochs without a checkpoint
    {"name": "SiLU", "network": "small_cnn", "options": {"activation": "silu"},
     "checkpoint": "", "epochs": 20},
    {"name": "sigmoid", "network": "small_cnn", "options": {"activation": "sigmoid"},
     "checkpoint": "", "epochs": 40},
]  # fmt: skip
soma_steps = [4, 8, 12]  # time steps K of neurons with a soma, on samples
fit_penalties = [1e-4, 1e-3]  # prices of a spike for which tables are fitted to recorded values
fit_seconds = 2.0  # of computing, for each
steps = [8, 12]  # time steps K in the networks
budgets = [0.6, 1.0, 1.4]  # spikes per neuron
tolerance = 0.5  # points below the ANN on calibration images that a chosen setting may have
images = 500  # test images, from the first
seed = 0

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from fsrepro import activations, codes, fitting
from fsrepro.conversion import convert
from fsrepro.experiments import datasets, notebook
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results as result_files
from fsrepro.experiments.sweep import Sweep

given = notebook.parameters(globals())
names = ", ".join(network["name"] for network in networks)
display(Markdown(f"**Profile {profile}**: {names} networks on {dataset}, {images:,} test images."))

# %% [markdown]
# ## The curves
#
# What a published table, a fitted table and a neuron with a soma make of SiLU and the sigmoid.

# %%
PUBLISHED = {"silu": codes.published.silu(), "sigmoid": codes.published.sigmoid()}
FITTED = {"silu": codes.fitted.silu(16), "sigmoid": codes.fitted.sigmoid(12)}
gaussian = fitting.gaussian(0, 1.5)
draws = np.random.default_rng(seed).normal(0, 1.5, 100_000).astype(np.float32)


def with_soma(x, f, K):
    """Neurons with a soma that trade error for spikes on the samples ``x``."""
    return fitting.with_soma(fitting.mixed_radix_of(K), f)(x)


def nearest(front, spikes):
    """The code of a front with the least error for so many spikes."""
    return front[int(np.flatnonzero(front.spikes <= spikes)[-1])].code


x = np.linspace(-6, 6, 4001, dtype=np.float32)
shown, targets = {}, {}
for f in ("silu", "sigmoid"):
    spikes = fitting.measure(FITTED[f], activations.get(f).function, gaussian).spikes
    shown[f] = [PUBLISHED[f], FITTED[f], nearest(with_soma(draws, f, 8), spikes)]
    targets[f] = activations.get(f)(x)
book_figures.curves(shown, x, targets)
plt.show()

# %% [markdown]
# ## Networks

# %% tags=["remove-stderr"]
data = datasets.load(dataset, seed=seed)
studies = {
    entry["name"]: notebook.Study.of(
        data, entry["network"], images=images, checkpoint=entry["checkpoint"],
        epochs=entry["epochs"], seed=seed, **entry["options"],
    )
    for entry in networks
}  # fmt: skip
sweep = Sweep(  # keeps finished rows, so that a killed run goes on from there
    f"{results}/.sweep-04_silu_sigmoid", data=data.summary(), networks=networks,
    weights={name: study.weights for name, study in studies.items()}, fit_seconds=fit_seconds,
    images=images, seed=seed,
)  # fmt: skip

# %% [markdown]
# ## Error against spikes
#
# On N(0, 1.5²), for which the stored tables were fitted, and on pre-activations recorded from the
# networks, all layers together. The published tables are points.


# %% tags=["remove-stderr"]
def pooled(f):
    """Pre-activations of all layers with this function, of all networks."""
    parts = [
        study.recorded[layer][:20_000]
        for study in studies.values()
        for layer, function in study.functions.items()
        if function == f
    ]
    return np.concatenate(parts) if parts else draws


sources, samples = {}, {}
for f in ("silu", "sigmoid"):
    x = pooled(f)
    sources[f, "N(0, 1.5²)"], samples[f, "N(0, 1.5²)"] = gaussian, draws
    sources[f, "recorded"] = fitting.empirical(x, points=8192, name=f"recorded {f}")
    samples[f, "recorded"] = x
TABLES = ["threshold", "reset", "weight"]


def fitted_tables(function, distribution, penalty):
    source, x = sources[function, distribution], samples[function, distribution]
    range_of = (-8, 8) if source is gaussian else (float(x.min()), float(x.max()))
    wide = fitting.mixture([(0.995, source), (0.005, fitting.uniform(*range_of))])  # for the tails
    code = fitting.fit(
        activations.get(function).function, PUBLISHED[function].steps, wide,
        spike_penalty=penalty, seconds=fit_seconds, seed=seed,
    )  # fmt: skip
    return {table: getattr(code, table).tolist() for table in TABLES}


fits = sweep.table(
    "fits",
    [{"function": f, "distribution": d, "penalty": p} for f, d in sources for p in fit_penalties],
    fitted_tables,
)
rows = []
for (f, where), source in sources.items():
    rows.append((f, where, "published", PUBLISHED[f], source))
    rows.append((f, where, "fitted, stored", FITTED[f], source))
    here = fits[(fits["function"] == f) & (fits["distribution"] == where)]
    for tables in here[TABLES].to_dict("records"):
        code = codes.SpikeCode(**tables, activation=f)
        rows.append((f, where, f"fitted, K = {code.steps}", code, source))
    for k in soma_steps:
        front = with_soma(samples[f, where], f, k)
        kept = np.flatnonzero(front.spikes > 0.05)[:: max(1, len(front) // 24)]
        rows += [(f, where, f"soma, K = {k}", front[int(i)].code, source) for i in kept]
errors = pd.DataFrame(
    {"function": f, "distribution": where, "setting": setting, "steps": code.steps,
     **vars(fitting.measure(code, activations.get(f).function, source))}
    for f, where, setting, code, source in rows
)  # fmt: skip

# %%
book_figures.error_against_spikes(errors)
plt.show()

# %% [markdown]
# ## In the networks
#
# The published tables in every layer; the fitted ones; and neurons with a soma under a budget of
# spikes, without training. A chosen setting has the fewest spikes that hold accuracy on held-out
# images.

# %% tags=["remove-stderr"]
TABLED = {"published": PUBLISHED, "fitted, stored": FITTED}


def run_of(network, setting, K, budget):
    study = studies[network]
    if setting in TABLED:
        code = {f: TABLED[setting][f] for f in set(study.functions.values())}
        # A table writes one function: products go on as numbers.
        snn = convert(study.ann, study.x_calibration, code=code, analog="allowed")
    else:
        try:
            snn = study.plan(K).network(spikes_per_neuron=budget)
        except ValueError as error:  # a budget that not even the coarsest codes keep
            return {"refused": str(error)}
    held_out = study.held_out(snn)
    return {
        **study.report(snn).row(),
        "ann_accuracy": study.accuracy,
        "calibration_loss": study.calibration_accuracy - held_out["calibration_accuracy"],
        "calibration_spikes": held_out["calibration_spikes"],
    }


settings = [{"setting": setting, "K": None, "budget": None} for setting in TABLED]
settings += [{"setting": f"soma, K = {K}", "K": K, "budget": b} for K in steps for b in budgets]
runs = sweep.table("networks", [{"network": n, **s} for n in studies for s in settings], run_of)
runs = runs[runs["accuracy"].notna()]

# %%
book_figures.networks_against_spikes(runs)
plt.show()

# %%
shown = ["network", "setting", "steps", "ann_accuracy", "accuracy", "agreement",
         "spikes_per_neuron", "synops_per_image", "macs_per_image"]  # fmt: skip
notebook.shown(runs, shown).style.hide()

# %% [markdown]
# ## Results
#
# What the book quotes.


# %%
def chosen(rows):
    held = rows["calibration_loss"] <= tolerance
    return rows.loc[notebook.fewest_spikes(rows, held, -rows["calibration_loss"])]


headline = {"images": len(data.test[:images]), "tolerance": tolerance}
for f in ("silu", "sigmoid"):
    for where, key in (("N(0, 1.5²)", "gaussian"), ("recorded", "recorded")):
        part = errors[(errors["function"] == f) & (errors["distribution"] == where)]
        published = part[part["setting"] == "published"].iloc[0]
        headline[f"{f}_{key}_published_mse"] = published["mse"]
        headline[f"{f}_{key}_published_spikes"] = published["spikes"]
        for kind in ("fitted", "soma"):
            rows = part[part["setting"].str.startswith(kind)]
            fewer = rows[rows["spikes"] <= published["spikes"]]
            best = fewer.loc[fewer["mse"].idxmin()] if len(fewer) else rows.iloc[0]
            headline[f"{f}_{key}_{kind}_mse"] = best["mse"]
            headline[f"{f}_{key}_{kind}_spikes"] = best["spikes"]
for name, part in runs.groupby("network", sort=False):
    key = notebook.key(name)
    headline[f"{key}_ann_accuracy"] = part["ann_accuracy"].iloc[0]
    for kind in ("published", "soma"):
        best = chosen(part[part["setting"].str.startswith(kind)])
        numbers = "accuracy agreement spikes_per_neuron steps"
        headline |= notebook.quoted(f"{key}_{kind}", best, numbers)
pd.Series(headline).rename("value").to_frame().style.format(precision=4, thousands=",")

# %%
built = {entry["name"]: entry["network"] for entry in networks}
result_files.write(
    results,
    "04_silu_sigmoid",
    tables={"": runs, "errors": errors},
    headline=headline,
    headline_rows=notebook.headline_rows(
        runs, dataset=dataset, network=[built[name] for name in runs["network"]],
        activation=[", ".join(sorted(set(studies[n].functions.values()))) for n in runs["network"]],
    ),
    parameters=given,
    data=data.summary(),
    seconds_before=sweep.seconds_before,
)  # fmt: skip
sweep.finish()
