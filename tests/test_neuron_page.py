"""The page "A neuron to play with", run by a browser, against fsrepro bit for bit."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from scripts import BROWSER, PROJECT, fragment, in_browser, script

from fsrepro import activations
from fsrepro.codes import PrefixCode, SpikeCode
from fsrepro.fitting import gaussian, measure, uniform

STATIC = PROJECT / "book" / "static"
SOURCES = STATIC / "neuron"
export = script("book/export_codes.py")

EVERY_CODE = [
    (f, i) for f in range(len(export.FAMILIES)) for i in range(len(export.FAMILIES[f].sizes))
]
SCRIPTS = "".join(
    f'<script src="_static/neuron/{name}.js"></script>' for name in ("codes", "simulator")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The files of the page as the book lays them out."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(SOURCES, folder / "_static" / "neuron")
    shutil.copy(STATIC / "interactive.css", folder / "_static")
    export.write(folder / "_static" / "neuron" / "codes.js")
    return folder


def answers(site, body, script, *, address="", width=800):
    """What ``script`` passes to ``answer`` on a page with ``body``, after JSON. Errors are ours."""
    page = site / "page.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><body style="margin: 0">'
        "<script>const errors = []; onerror = (message) => errors.push(message)</script>"
        f'{body}<pre id="answer"></pre><script>'
        "const answer = (found) => { document.getElementById('answer').textContent ="
        f" JSON.stringify({{ found, errors }}) }};\n{script}</script>",
        encoding="utf-8",
    )
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
        f"--window-size={width},1500", f"--user-data-dir={site / 'profile'}", "--dump-dom",
        page.as_uri() + address,
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    answer = re.search(r'<pre id="answer">(.+?)</pre>', dom, re.S)
    assert answer, f"the page gave no answer: {dom[-2000:]}"
    answer = json.loads(html.unescape(answer[1]))
    assert answer["errors"] == []
    return answer["found"]


def scaled(family, size, scale):
    """The code of that scale as the page makes it; functions without a scale keep their own."""
    code = family.code(size)
    if not family.has_scale:
        return code
    return code.scaled(scale) if isinstance(code, SpikeCode) else family.code(size, scale)


def bits(numbers):
    return np.atleast_1d(np.float32(numbers)).view(np.uint32).tolist()


def on_a_threshold(code, x, t):
    """An input whose potential is at the threshold of step t, or next to it for want of bits."""
    if isinstance(code, PrefixCode):
        return code.breakpoints[t % len(code.breakpoints)]
    return np.float32(x + (code.threshold[t] - code.trace(x).membrane[t]))


def settings(count, seed):
    """Random codes and inputs; a third of the inputs on a threshold, or the float32 beside it."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        f = int(rng.integers(len(export.FAMILIES)))
        family = export.FAMILIES[f]
        i = int(rng.integers(len(family.sizes)))
        scale = float(rng.integers(1, 129) / 16) if family.has_scale else 1.0
        code = scaled(family, family.sizes[i], scale)
        x = np.float32(rng.uniform(-0.3, 1.3) * scale if family.has_scale else rng.normal(0, 3))
        if n % 3 == 0:
            x = on_a_threshold(code, x, int(rng.integers(code.steps)))
            x = np.nextafter(x, np.float32([-np.inf, x, np.inf][n // 3 % 3]))
        yield f, i, scale, x, code


@in_browser
def test_browser_runs_every_neuron_bit_for_bit(site):
    cases = list(settings(1000, seed=0))
    script = """
      const bits = (numbers) => [...new Uint32Array(Float32Array.from(numbers).buffer)];
      answer(CASES.map(([family, size, scale, x]) => {
        const code = fsNeuron.scaled(fsCodes[family].codes[size], scale);
        const input = new Float32Array(Uint32Array.of(x).buffer)[0];
        const { membrane, spikes, rest, value } = fsNeuron.run(code, input);
        return [membrane && bits([...membrane, rest]), spikes, bits([value])];
      }))"""
    given = [[f, i, scale, bits(x)[0]] for f, i, scale, x, _ in cases]
    found = answers(site, SCRIPTS, script.replace("CASES", json.dumps(given)))
    assert len(found) == len(cases)
    reached = 0
    for (f, i, scale, x, code), (membrane, spikes, value) in zip(cases, found, strict=True):
        where = f"{export.FAMILIES[f].key}, entry {i}, scale {scale}, x = {x!r}"
        z = code.encode(x)
        assert spikes == z.tolist(), where
        assert value == bits(code.decode(z)), where
        if isinstance(code, SpikeCode):
            v = code.trace(x).membrane
            rest = v[-1] - code.reset[-1] if z[-1] else v[-1]
            assert membrane == bits([*v, rest]), where
            reached += bool((v == code.threshold).any())
    assert {f for f, *_ in cases} == set(range(len(export.FAMILIES)))
    assert reached > 60, "too few inputs on a threshold to be a test of v >= T"


@in_browser
def test_browser_measures_as_the_project_does(site):
    script = """answer(fsCodes.map(({ codes, activation, has_scale }) => {
      const code = fsNeuron.scaled(codes[Math.min(5, codes.length - 1)], has_scale ? 4 : 1);
      return ["normal", "wide", "uniform"].map((key) => {
        const { distributions, functions, measure } = fsNeuron;
        const { spikes, mse, firing } = measure(code, functions[activation], distributions[key]);
        return [spikes, mse, firing.reduce((a, b) => a + b)];
      })
    }))"""
    # Ends that no code's levels fall in step with, as the points of `uniform` are evenly spaced.
    laws = [gaussian(-0.3, 1), gaussian(0, 1.5), uniform(0, 4, points=9973)]
    for family, results in zip(export.FAMILIES, answers(site, SCRIPTS, script), strict=True):
        size = family.sizes[min(5, len(family.sizes) - 1)]
        code = scaled(family, size, 4.0)
        f = activations.get(code.activation).function
        for law, (spikes, mse, firing) in zip(laws, results, strict=True):
            expected = measure(code, f, law)
            assert spikes == pytest.approx(expected.spikes, rel=0.01), (family.key, law)
            assert mse == pytest.approx(expected.mse, rel=0.05), (family.key, law)
            assert firing == pytest.approx(spikes)


@in_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_page_draws_and_follows_its_controls(site, width):
    script = """
      const get = (id) => document.getElementById("fs-" + id);
      const state = () => ({
        summary: get("summary").textContent,
        spikes: document.querySelectorAll("#fs-trace .spike").length,
        weights: document.querySelectorAll("#fs-trace .weight").length,
        band: document.querySelectorAll("#fs-error .band").length,
        bars: document.querySelectorAll("#fs-firing .bar").length,
        pictures: document.querySelectorAll(".fs svg[role=img][aria-label]").length,
        rows: document.querySelectorAll("#fs-table tr").length,
        scale: get("scale").disabled,
        sideways: document.documentElement.scrollWidth > innerWidth,
      });
      const change = (id, value) => {
        get(id).value = value;
        get(id).dispatchEvent(new Event("input", { bubbles: true }));
        return state();
      };
      answer([state(), change("x", 2.5), change("K", 3), change("code", "silu-published"),
              change("code", "signed-binary"), change("code", "binary-round"),
              change("number", "-0.25")])"""
    found = answers(site, fragment("neuron.md"), script, address="#x=1.3&K=8", width=width)
    start, moved, short, silu, signed, back, typed = found
    assert (
        start["summary"] == "x = 1.3 is written as 01010011: 4 spikes, y = 1.29688, error −0.00312"
    )
    assert (start["spikes"], start["bars"], start["rows"]) == (4, 8, 9)
    assert (start["band"], short["band"]) == (1, 0)  # of 256 levels, of 16
    assert moved["summary"] == "x = 2.5 is written as 10100000: 2 spikes, y = 2.5, error 0"
    assert short["summary"] == "x = 2.5 is written as 1010: 2 spikes, y = 2.5, error 0"
    assert short["bars"] == 4
    assert silu["scale"] and silu["bars"] == 16
    assert signed["summary"].startswith("x = 2.5 is written as ")
    assert back["bars"] == 4 and not back["scale"]  # the K that was chosen last
    assert typed["summary"] == "x = −0.25 is written as 0000: 0 spikes, y = 0, error 0"
    for state in found:
        assert state["pictures"] == 4
        assert state["weights"] == state["spikes"]
        assert not state["sideways"]


@pytest.mark.parametrize("f,i", EVERY_CODE)
def test_exported_tables_are_those_of_the_code(f, i):
    family = export.FAMILIES[f]
    code = family.code(family.sizes[i])
    entry = json.loads(json.dumps(export.table(code)))
    assert entry["steps"] == code.steps
    tables = ("levels", "breakpoints") if isinstance(code, PrefixCode) else export.TABLES
    for field in tables:
        assert np.float64(entry[field]).tolist() == getattr(code, field).tolist()
        assert bits(entry[field]) == bits(getattr(code, field))
    if isinstance(code, PrefixCode):  # the page shows its value as a sum
        spikes = np.array([list(word) for word in entry["words"]]) == "1"
        np.testing.assert_array_equal(spikes @ entry["weight"], code.levels)


@pytest.mark.parametrize("family", [f for f in export.FAMILIES if f.has_scale], ids=lambda f: f.key)
def test_scaled_tables_are_those_of_the_scale(family):
    for size in family.sizes:
        for scale in (0.5, 4.0):
            code = family.code(size, scale)
            if isinstance(code, SpikeCode):
                assert code == family.code(size).scaled(scale)
            else:
                np.testing.assert_array_equal(code.levels, family.code(size).levels * scale)
                np.testing.assert_array_equal(
                    code.breakpoints, family.code(size).breakpoints * np.float32(scale)
                )


def test_file_is_small_and_asks_for_nothing(tmp_path):
    export.write(tmp_path / "codes.js")
    assert (tmp_path / "codes.js").stat().st_size < 300_000
    assert len({family.key for family in export.FAMILIES}) == len(export.FAMILIES)
    files = [tmp_path / "codes.js", *SOURCES.glob("*.css"), *SOURCES.glob("*.js")]
    text = fragment("neuron.md") + "".join(path.read_text("utf-8") for path in files)
    assert set(re.findall(r"https?:[^\"'\s]*", text)) <= {"http://www.w3.org/2000/svg"}
