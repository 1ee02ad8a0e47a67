// The page "A neuron to play with": controls in, pictures and sentences out.
"use strict";

(() => {
  const { scaled, run, functions, distributions, measure } = window.fsNeuron;
  const families = window.fsCodes;
  const NAMES = { relu: "ReLU", silu: "SiLU", sigmoid: "sigmoid" };
  const INPUTS = { relu: [-2, 10], silu: [-8, 8], sigmoid: [-8, 8] };
  const START = { code: "binary-floor", K: "8", scale: "4", x: "1.7", of: "normal" };
  const LEFT = 64, RIGHT = 10; // margins of a plot, in pixels
  const byId = (id) => document.getElementById(`fs-${id}`);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  // ---- numbers and sentences

  const superscript = (power) => power.replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

  function show(number, digits = 6) {
    const rounded = Number(number.toPrecision(digits));
    if (rounded === 0 || Math.abs(rounded) >= 1e-4) return String(rounded).replace("-", "−");
    const [significand, power] = rounded.toExponential().split("e");
    return `${significand.replace("-", "−")} × 10${superscript(power)}`;
  }
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const ticksBetween = (low, high, count) => {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
    const first = Math.ceil(low / step - 1e-9);
    const size = Math.floor(high / step + 1e-9) - first + 1;
    return Array.from({ length: size }, (_, i) => Number(((first + i) * step).toPrecision(6)));
  };

  // ---- a plot: one SVG as wide as its place on the page

  function plot(place, { height, x, y, xTicks, xLabel, yLabel, label, left = LEFT, top = 10 }) {
    const width = place.clientWidth;
    const box = { left, right: width - RIGHT, top, bottom: height - (xLabel ? 42 : 10) };
    const X = (value) => box.left + ((value - x[0]) / (x[1] - x[0])) * (box.right - box.left);
    const Y = (value) => box.bottom - ((value - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
    const addTo = (parent, tag, attributes, text = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes))
        element.setAttribute(name, typeof value === "number" ? Number(value.toFixed(2)) : value);
      element.textContent = text;
      parent.append(element);
      return element;
    };
    place.replaceChildren();
    const viewBox = `0 0 ${width} ${height}`;
    const svg = addTo(place, "svg", { viewBox, role: "img", "aria-label": label });
    const add = (...child) => addTo(svg, ...child);
    const line = (kind, x1, y1, x2, y2) => add("line", { class: kind, x1, y1, x2, y2 });
    const text = (kind, x, y, words) => add("text", { class: kind, x, y }, words);

    for (const value of ticksBetween(...y, Math.max(4, (box.bottom - box.top) / 36))) {
      line("grid", box.left, Y(value), box.right, Y(value));
      text("tick end", box.left - 6, Y(value) + 4, show(value));
    }
    if (xLabel) {
      for (const [value, words] of xTicks) text("tick", X(value), box.bottom + 17, words);
      text("axis", (box.left + box.right) / 2, height - 5, xLabel);
    }
    line("edge", box.left, box.top, box.left, box.bottom);
    line("edge", box.left, box.bottom, box.right, box.bottom);
    const frame = add("clipPath", { id: `${place.id}-frame` });
    const size = { width: box.right - left, height: box.bottom - top };
    addTo(frame, "rect", { x: left, y: top, ...size });
    const middle = (top + box.bottom) / 2;
    add("text", { class: "axis", transform: `translate(13 ${middle}) rotate(-90)` }, yLabel);
    return { X, Y, add, line, text, box, frame, svg };
  }

  function padded(values, share = 0.06) {
    const low = Math.min(...values), high = Math.max(...values);
    const space = (high - low || 1) * share;
    return [low - space, high + space];
  }

  // The numbers 1 to K, or every other of them where there is no room for all.
  function stepTicks(K, place) {
    const every = (place.clientWidth - LEFT - RIGHT) / K < 21 ? 2 : 1;
    const numbers = Array.from({ length: K }, (_, t) => t + 1);
    return numbers.filter((t) => (t - 1) % every === 0).map((t) => [t, t]);
  }

  // ---- the three pictures

  function drawTrace(code, x, { membrane, spikes, rest }) {
    const K = code.steps;
    let sum = 0; // of the weights so far, for a code without a membrane
    const read = spikes.map((z, t) => (sum += z * code.weight[t]));
    const values = membrane ? [...membrane, rest] : read;
    const ends = [0.5, K + (membrane ? 1.5 : 0.5)];
    const weights = code.weight.map((weight, t) => (spikes[t] ? show(weight, 3) : ""));
    const longest = 7 * Math.max(...weights.map((words) => words.length)); // in pixels
    // Where weights do not fit beside each other they stand upright.
    const upright = (byId("trace").clientWidth - LEFT - RIGHT) / (ends[1] - ends[0]) < longest;
    const low = upright ? 30 + longest : 42; // where spikes stand
    const { X, Y, add, line, text, box } = plot(byId("trace"), {
      height: 258 + low,
      top: low + 6,
      x: ends,
      y: padded([0, x, ...values, ...(membrane ? code.threshold : [])]),
      xTicks: [...stepTicks(K, byId("trace")), ...(membrane ? [[K + 1, "rest"]] : [])],
      xLabel: "time step t",
      yLabel: membrane ? "potential" : "value",
      label: membrane
        ? "Membrane potential, thresholds and spikes, step by step; the numbers are in a table below"
        : "Value read so far and spikes, step by step; the numbers are in a table below",
    });
    const half = Math.min(0.4 * (X(2) - X(1)), 40) / (X(2) - X(1));
    if (membrane) {
      let fired = 0;
      code.threshold.forEach((threshold, t) => {
        const kind = fired === code.max_spikes ? "threshold spent" : "threshold";
        line(kind, X(t + 1 - half), Y(threshold), X(t + 1 + half), Y(threshold));
        fired += spikes[t];
      });
    } else {
      line("ideal", box.left, Y(x), box.right, Y(x));
    }
    const held = values.map((value, t) => `V${Y(value)}H${X(t + 1.5)}`).join("");
    add("path", { class: "potential", d: `M${X(0.5)} ${Y(values[0])}${held}` });
    values.forEach((value, t) => {
      const kind = t === K ? "dot rest" : spikes[t] ? "dot fired" : "dot";
      add("circle", { class: kind, cx: X(t + 1), cy: Y(value), r: 4.5 });
    });
    text("tick end", box.left - 6, low - 6, "spikes");
    spikes.forEach((z, t) => {
      if (!z) return add("circle", { class: "silent", cx: X(t + 1), cy: low - 2, r: 2 });
      line("spike", X(t + 1), low, X(t + 1), low - 21);
      const place = `translate(${X(t + 1) + 4} ${low - 25}) rotate(-90)`;
      if (upright) add("text", { class: "weight upright", transform: place }, weights[t]);
      else text("weight", X(t + 1), low - 28, weights[t]);
    });
  }

  function drawCurve(code, family, scale, x, value) {
    const f = functions[family.activation];
    const own = family.activation === "relu" ? [-scale / 8, 1.125 * scale] : [-8, 8];
    const range = padded([Math.min(own[0], x), Math.max(own[1], x)], 0.02);
    const place = byId("curve");
    const [low, high] = range;
    // Unevenly spaced, or the error of a fine code would look like that of a coarse one.
    const size = 12 * place.clientWidth;
    const share = (i) => Math.min((i + ((i * 0.6180339887498949) % 1)) / size, 1);
    const inputs = Array.from({ length: size + 1 }, (_, i) => low + share(i) * (high - low));
    const outputs = inputs.map((input) => run(code, input).value);
    const targets = inputs.map(f);
    const errors = outputs.map((output, i) => output - targets[i]);
    // Where the value stays at its largest the error grows without end: that may leave the frame.
    const largest = Math.max(...outputs);
    const bounded = errors.filter((_, i) => outputs[i] < largest);
    const small = Math.max(...bounded.map(Math.abs)) < 0.03; // its numbers are long to write
    const shared = {
      x: range,
      left: LEFT + (small ? 20 : 0),
      xTicks: ticksBetween(...range, place.clientWidth / 60).map((tick) => [tick, show(tick)]),
    };
    const path = ({ X, Y, add, frame }, kind, numbers) =>
      add("path", {
        class: kind,
        "clip-path": `url(#${frame.id})`,
        d: "M" + numbers.map((y, i) => `${X(inputs[i]).toFixed(1)} ${Y(y).toFixed(1)}`).join("L"),
      });

    const curve = plot(place, {
      ...shared,
      height: 220,
      y: padded([...outputs, ...targets]),
      yLabel: "value y",
      label: `Decoded value against x, with the ideal ${NAMES[family.activation]}`,
    });
    path(curve, "ideal", targets);
    path(curve, "potential", outputs);
    const error = plot(byId("error"), {
      ...shared,
      height: 150,
      y: padded([0, value - f(x), ...bounded]),
      xLabel: "input x",
      yLabel: "error",
      label: "Error, value minus ideal, against x",
    });
    error.line("edge", error.box.left, error.Y(0), error.box.right, error.Y(0));
    // Teeth that are finer than the picture: a band from the least error to the largest nearby.
    const jumps = outputs.filter((output, i) => i && output !== outputs[i - 1]).length;
    const fine = jumps > place.clientWidth / 8;
    if (fine) {
      const nearby = Array.from({ length: Math.floor(size / 48) }, (_, i) => errors.slice(48 * i, 48 * i + 96));
      const edge = (extreme) =>
        nearby.map((some, i) => `${error.X(inputs[48 * i + 48]).toFixed(1)} ${error.Y(extreme(...some)).toFixed(1)}`);
      const d = `M${[...edge(Math.max), ...edge(Math.min).reverse()].join("L")}Z`;
      error.add("path", { class: "band", "clip-path": `url(#${error.frame.id})`, d });
    } else {
      path(error, "error", errors);
    }
    byId("band-key").hidden = !fine;
    for (const [{ X, Y, line, add, box, svg }, y] of [[curve, value], [error, value - f(x)]]) {
      line("here", X(x), box.top, X(x), box.bottom);
      add("circle", { class: "dot fired", cx: X(x), cy: Y(y), r: 4.5 });
      svg.addEventListener("click", (event) => {
        const across = event.clientX - svg.getBoundingClientRect().left - box.left;
        setInput(low + (across / (box.right - box.left)) * (high - low));
        keepInAddress();
      });
    }
  }

  function drawFiring({ firing }) {
    const K = firing.length;
    const { X, Y, add } = plot(byId("firing"), {
      height: 330,
      x: [0.5, K + 0.5],
      y: [0, 1.08 * Math.max(...firing, 0.01)],
      xTicks: stepTicks(K, byId("firing")),
      xLabel: "time step t",
      yLabel: "probability of a spike",
      label: "Probability of a spike at each time step: " + firing.map((p) => show(p, 2)).join(", "),
    });
    const wide = Math.min(0.7 * (X(2) - X(1)), 48);
    firing.forEach((p, t) => {
      const bar = { x: X(t + 1) - wide / 2, y: Y(p), width: wide, height: Y(0) - Y(p) };
      add("rect", { class: "bar", ...bar });
    });
  }

  // ---- sentences and numbers below the pictures

  function tell(code, family, x, typed, { spikes, value }) {
    const name = NAMES[family.activation];
    const f = functions[family.activation];
    const count = spikes.reduce((sum, z) => sum + z, 0);
    const input = typed.replace("-", "−");
    byId("summary").textContent =
      `x = ${input} is written as ${spikes.join("")}: ${plural(count, "spike")}, ` +
      `y = ${show(value)}, error ${show(value - f(x), 3)}`;
    const terms = code.weight.filter((_, t) => spikes[t]).map((weight) => show(weight));
    const sum = terms.length ? terms.join(" + ").replaceAll("+ −", "− ") : "0";
    byId("sum").textContent = `y = ${sum}; the ideal is ${name}(${input}) = ${show(f(x))}`;
  }

  function fillTable(code, { membrane, spikes }) {
    const { threshold, reset, weight } = code;
    const columns = membrane
      ? { "v(t)": membrane, "T(t)": threshold, "z(t)": spikes, "h(t)": reset, "d(t)": weight }
      : { "z(t)": spikes, "d(t)": weight };
    const row = (tag, cells) => {
      const element = make("tr");
      element.append(...cells.map((textContent) => make(tag, { textContent })));
      return element;
    };
    byId("table").replaceChildren(
      row("th", ["t", ...Object.keys(columns)]),
      ...spikes.map((_, t) => row("td", [t + 1, ...Object.values(columns).map((c) => show(c[t], 5))])),
    );
    byId("table-name").textContent = `The numbers, step by step: ${code.name}`;
  }

  // ---- controls

  const control = {
    code: byId("code"), K: byId("K"), scale: byId("scale"), x: byId("x"), of: byId("of"),
  };
  const number = byId("number"); // the same x as the slider's, typed
  const familyNow = () => families[control.code.selectedIndex];

  function fillChoices() {
    let group;
    for (const family of families) {
      if (group?.label !== family.group) {
        group = make("optgroup", { label: family.group });
        control.code.append(group);
      }
      group.append(new Option(family.name, family.key));
    }
    for (const [key, { name }] of Object.entries(distributions))
      control.of.append(new Option(name, key));
  }

  let wanted; // the last K that the reader chose; not every family has it

  // The sliders of a family: its numbers of steps, its range of x, whether it has a scale.
  function fitControls() {
    const { codes, activation, has_scale } = familyNow();
    const distance = codes.map((code) => Math.abs(code.steps - wanted));
    control.K.max = codes.length - 1;
    control.K.value = distance.indexOf(Math.min(...distance));
    control.K.disabled = codes.length === 1;
    control.scale.disabled = !has_scale;
    for (const input of [control.x, number]) [input.min, input.max] = INPUTS[activation];
    setNumber();
  }

  const stepsNow = () => familyNow().codes[control.K.value].steps;
  const setNumber = () => (number.value = String(Number(control.x.value)));

  function setInput(x) {
    control.x.value = x; // the slider keeps it in its range, on its grid
    setNumber();
    update();
  }

  function update() {
    const family = familyNow();
    const scale = family.has_scale ? Number(control.scale.value) : 1;
    const code = scaled(family.codes[control.K.value], scale);
    const x = Math.fround(number.value);
    const result = run(code, x);
    const average = measure(code, functions[family.activation], distributions[control.of.value]);

    control.K.setAttribute("aria-valuetext", plural(code.steps, "time step"));
    byId("K-value").textContent = code.steps;
    byId("scale-value").textContent = family.has_scale ? show(scale) : "none";
    byId("about").textContent = family.about;
    byId("trace-key").hidden = !result.membrane;
    byId("read-key").hidden = Boolean(result.membrane);
    byId("ideal-name").textContent = NAMES[family.activation];
    tell(code, family, x, number.value, result);
    drawTrace(code, x, result);
    drawCurve(code, family, scale, x, result.value);
    drawFiring(average);
    byId("average").textContent =
      `${show(average.spikes, 3)} spikes per neuron, ` +
      `MSE ${show(average.mse, 3)}, SNR\u00a0${average.snr.toFixed(1).replace("-", "−")}\u00a0dB`;
    fillTable(code, result);
  }

  // ---- the setting is kept in the address, so that it can be shared

  let timer;
  function keepInAddress() {
    clearTimeout(timer); // browsers refuse many changes of the address in a short time
    timer = setTimeout(() => {
      const [code, of] = [control.code.value, control.of.value];
      const setting = { code, K: stepsNow(), x: number.value, of };
      if (familyNow().has_scale) setting.scale = control.scale.value;
      history.replaceState(null, "", "#" + new URLSearchParams(setting));
    }, 400);
  }

  function readAddress() {
    const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const setting = { ...START, ...given };
    control.code.value = setting.code;
    if (control.code.selectedIndex < 0) control.code.value = START.code;
    control.of.value = setting.of;
    if (control.of.selectedIndex < 0) control.of.value = START.of;
    control.scale.value = setting.scale;
    wanted = Number(setting.K);
    fitControls();
    setInput(Number(setting.x) || 0);
  }

  fillChoices();
  readAddress();
  document.querySelector(".fs").addEventListener("input", ({ target }) => {
    if (target === number) {
      if (!number.validity.valid || number.value === "") return; // half typed
      control.x.value = number.value;
    }
    if (target === control.code) fitControls();
    if (target === control.K) wanted = stepsNow();
    if (target === control.x) setNumber();
    update();
    keepInAddress();
  });
  window.addEventListener("hashchange", readAddress);
  new ResizeObserver(() => requestAnimationFrame(update)).observe(byId("trace"));
})();
