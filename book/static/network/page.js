// The page "A network to play with": a picture and a budget in, spikes, answers and counts out.
"use strict";

(() => {
  const { run, digest } = window.fsNetwork;
  const { unit, inks, pictures, labels, tested, macs, networks, rivals } = window.fsNetworks;
  const SIDE = 8, MOST = inks.length - 1;
  const START = { picture: "2", budget: "0.2" };
  const LEFT = 44, STEP = 8; // of a raster, in pixels: room for numbers, and the height of a step
  const byId = (id) => document.getElementById(`net-${id}`);
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const count = (number) => number.toLocaleString("en");
  const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
  const size = ({ shape }) => shape.reduce((a, b) => a * b);
  const best = (logits) => logits.indexOf(Math.max(...logits));

  let cells; // the ink of each, 0 to 16
  let chosen; // which test picture they show, from 0, or null for one that was drawn

  // ---- drawings

  function svgIn(place, height, label) {
    const add = (parent, tag, attributes, text = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.textContent = text;
      parent.append(element);
      return element;
    };
    const width = place.clientWidth, viewBox = `0 0 ${width} ${height}`;
    const svg = add(place, "svg", { viewBox, role: "img", "aria-label": label });
    return { width, add: (...child) => add(svg, ...child) };
  }

  // One layer: neurons from left to right, map after map, time steps downwards.
  function drawRaster(place, layer, fired, before) {
    const [rows, columns, maps] = layer.shape, neurons = size(layer);
    const steps = layer.code.threshold.length, ofMaps = rows > 1;
    const kind = ofMaps ? `, ${plural(maps, "map")} of ${rows} × ${columns}` : "";
    const textContent =
      `${layer.name}: ${neurons} neurons${kind}; ${plural(fired.length, "spike")}, ` +
      `${(fired.length / neurons).toFixed(2)} per neuron`;
    place.append(make("p", { className: "net-layer", textContent }));
    const each = new Array(steps).fill(0);
    for (const [t] of fired) each[t]++;
    const when = `in steps ${before + 1} to ${before + steps}`;
    const label = `Spikes of the ${layer.name} ${when}: ${each.join(", ")}`;
    const { width, add } = svgIn(place, steps * STEP + 2, label);
    const X = (n) => LEFT + (n * (width - LEFT - 1)) / neurons, Y = (t) => 1 + t * STEP;
    const line = (kind, x1, y1, x2, y2) => add("line", { class: kind, x1, y1, x2, y2 });
    for (let m = 1; ofMaps && m < maps; m++)
      line("grid", X(m * rows * columns), Y(0), X(m * rows * columns), Y(steps));
    for (const n of [0, neurons]) line("edge", X(n), Y(0), X(n), Y(steps));
    for (const t of [0, steps]) line("edge", X(0), Y(t), X(neurons), Y(t));
    for (const t of [0, steps - 1])
      add("text", { class: "end", x: LEFT - 6, y: Y(t) + STEP + 2 }, before + t + 1);
    const wide = Math.max(X(1) - X(0), 1.5).toFixed(1);
    const ticks = fired.map(([t, n]) => {
      const x = X((n % maps) * rows * columns + Math.floor(n / maps)).toFixed(1);
      return `M${x} ${Y(t) + 1}h${wide}v${STEP - 2}h-${wide}z`;
    });
    add("path", { class: "spikes", d: ticks.join("") });
  }

  function drawOutputs(logits, others) {
    const place = byId("outputs"), height = 190;
    place.replaceChildren();
    const said = (numbers) => numbers.map((x) => x.toFixed(1).replace("-", "−")).join(", ");
    const label = `Outputs for 0 to 9: ${said(logits)}; of the quantised network: ${said(others)}`;
    const { width, add } = svgIn(place, height, label);
    const high = Math.max(...logits, ...others, 0), low = Math.min(...logits, ...others, 0);
    const Y = (x) => 4 + ((high - x) / (high - low)) * (height - 28);
    const slot = width / logits.length, wide = 0.36 * slot;
    logits.forEach((_, digit) => {
      [logits, others].forEach((numbers, which) => {
        const top = Math.min(Y(numbers[digit]), Y(0)), x = slot * (digit + 0.12) + which * wide;
        const bar = { x, y: top, width: wide, height: Math.abs(Y(numbers[digit]) - Y(0)) };
        add("rect", { class: which ? "bar rival" : "bar", ...bar });
      });
      add("text", { x: slot * (digit + 0.5), y: height - 6 }, digit);
    });
    add("line", { class: "edge", x1: 0, y1: Y(0), x2: width, y2: Y(0) });
  }

  // ---- sentences and numbers

  const row = (...texts) => {
    const element = make("tr");
    element.append(...texts.map((textContent, i) => make(i ? "td" : "th", { textContent })));
    element.firstChild.scope = "row";
    return element;
  };

  function tell(network, rival, { spikes, logits, operations }, others) {
    const { layers, digests, accuracy, spikes_per_neuron } = network;
    const total = spikes.reduce((sum, fired) => sum + fired.length, 0);
    const neurons = spikes.reduce((sum, _, l) => sum + size(layers[l]), 0);
    const [answer, other] = [best(logits), best(others)];
    const truth = chosen === null ? "" : `; it is a ${labels[chosen]}`;
    byId("summary").textContent =
      `The spiking network answers ${answer}, the quantised one ${other}${truth}`;
    const same = (fired, l) => digest(fired, size(layers[l])) === digests[chosen][l];
    const all = chosen !== null && spikes.every(same);
    const check = all ? ", the same as the library’s" : ", not the same as the library’s";
    byId("sum").textContent = plural(total, "spike") + (chosen === null ? "" : check);
    const percent = (x) => `${x.toFixed(1)} %`;
    byId("rival").textContent = `quantised, ${plural(rival.bits, "bit")}`;
    byId("counts").replaceChildren(
      row("answer", answer, other),
      row(`right of ${tested} test pictures`, percent(accuracy), percent(rival.accuracy)),
      row("spikes", count(total), "–"),
      row("spikes per neuron", (total / neurons).toFixed(3), "–"),
      row("the same, mean of all test pictures", spikes_per_neuron.toFixed(3), "–"),
      row("synaptic operations", count(operations), "–"),
      row("multiply-accumulates", "0", count(macs)),
    );
  }

  function fillTables({ layers }) {
    const show = (x) => String(Number(x.toPrecision(4))).replace("-", "−");
    const tables = layers.filter(({ code }) => code).map(({ name, code }) => {
      const box = make("div", { className: "fs-wide" }), table = make("table");
      table.append(
        make("caption", { textContent: `${name}: ${code.name}` }),
        row("t", ...code.threshold.map((_, t) => t + 1)),
        row("T(t)", ...code.threshold.map(show)),
        row("h(t)", ...code.reset.map(show)),
        row("d(t)", ...code.weight.map(show)),
      );
      box.append(table);
      return box;
    });
    byId("tables").replaceChildren(...tables);
  }

  // ---- the picture, which is drawn in

  const buttons = Array.from({ length: SIDE * SIDE }, (_, n) =>
    make("button", { type: "button", className: "net-cell", tabIndex: n ? -1 : 0 }));
  byId("cells").append(...buttons);

  const inkNow = () => Number(control.ink.value);
  const toggled = (n) => (cells[n] === inkNow() ? 0 : inkNow());

  function put(n, given) {
    const ink = Math.max(0, Math.min(MOST, given));
    if (n < 0 || cells[n] === ink) return;
    cells[n] = ink;
    chosen = null;
    update();
    keepInAddress();
  }

  function focus(n) {
    for (const button of buttons) button.tabIndex = -1;
    buttons[n].tabIndex = 0;
    buttons[n].focus();
  }

  let pen = null; // the ink of a stroke, while there is one
  byId("cells").addEventListener("pointerdown", (event) => {
    const n = buttons.indexOf(event.target);
    if (n < 0 || event.button) return;
    pen = toggled(n);
    put(n, pen);
  });
  byId("cells").addEventListener("pointermove", (event) => {
    if (pen === null) return; // a finger's events all go to the cell where it started
    put(buttons.indexOf(document.elementFromPoint(event.clientX, event.clientY)), pen);
  });
  for (const end of ["pointerup", "pointercancel"])
    window.addEventListener(end, () => (pen = null));
  byId("cells").addEventListener("click", ({ target, detail }) => {
    const n = buttons.indexOf(target);
    if (n >= 0 && detail === 0) put(n, toggled(n)); // by a key: a mouse has drawn already
  });
  byId("cells").addEventListener("keydown", (event) => {
    const n = buttons.indexOf(event.target), { key } = event;
    const across = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
    const down = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (across || down) {
      const x = (n % SIDE) + across, y = Math.floor(n / SIDE) + down;
      if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) focus(y * SIDE + x);
    } else if (/^[0-9]$/.test(key)) put(n, Math.round((key * MOST) / 9));
    else if (key === "+" || key === "-") put(n, cells[n] + (key === "+" ? 1 : -1));
    else return;
    event.preventDefault();
  });

  // ---- controls

  const control = { picture: byId("picture"), ink: byId("ink"), budget: byId("budget") };
  control.picture.max = pictures.length;
  control.budget.max = networks.length - 1;

  function choose(number) {
    control.picture.value = number;
    chosen = control.picture.value - 1;
    cells = [...pictures[chosen]].map((ink) => parseInt(ink, MOST + 1));
  }

  function update() {
    const network = networks[control.budget.value], rival = rivals[network.rival];
    const picture = cells.map((ink) => inks[ink]);
    const result = run(network.layers, unit, picture);
    const others = run(rival.layers, unit, picture).logits;

    cells.forEach((ink, n) => {
      buttons[n].style.setProperty("--ink", ink / MOST);
      const place = `row ${Math.floor(n / SIDE) + 1}, column ${(n % SIDE) + 1}`;
      buttons[n].setAttribute("aria-label", `${place}: ink ${ink}`);
    });
    byId("picture-value").textContent =
      chosen === null ? "drawn by you" : `${chosen + 1} of ${pictures.length}, a ${labels[chosen]}`;
    byId("ink-value").textContent = inkNow();
    byId("budget-value").textContent = network.budget;
    control.picture.setAttribute("aria-valuetext", byId("picture-value").textContent);
    control.budget.setAttribute("aria-valuetext", `${network.budget} spikes per neuron`);
    tell(network, rival, result, others);
    drawOutputs(result.logits, others);
    byId("raster").replaceChildren();
    let steps = 0;
    result.spikes.forEach((fired, l) => {
      drawRaster(byId("raster"), network.layers[l], fired, steps);
      steps += network.layers[l].code.threshold.length;
    });
    fillTables(network);
  }

  // ---- the setting is kept in the address, so that it can be shared

  let timer;
  function keepInAddress() {
    clearTimeout(timer); // browsers refuse many changes of the address in a short time
    timer = setTimeout(() => {
      const drawn = cells.map((ink) => ink.toString(MOST + 1)).join("");
      const picture = chosen === null ? drawn : chosen + 1;
      const setting = { picture, budget: networks[control.budget.value].budget };
      history.replaceState(null, "", "#" + new URLSearchParams(setting));
    }, 400);
  }

  function readAddress() {
    const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const { picture, budget } = { ...START, ...given };
    const distance = networks.map((network) => Math.abs(network.budget - budget));
    control.budget.value = Math.max(0, distance.indexOf(Math.min(...distance)));
    choose(Number(picture) || 1);
    if (/^[0-9a-g]{64}$/.test(picture)) {
      cells = [...picture].map((ink) => parseInt(ink, MOST + 1));
      chosen = null;
    }
    update();
  }

  readAddress();
  document.getElementById("net").addEventListener("input", ({ target }) => {
    if (target === control.picture) choose(target.value);
    update();
    keepInAddress();
  });
  document.getElementById("net").addEventListener("click", ({ target }) => {
    if (target.id !== "net-clear") return;
    cells.fill(0);
    chosen = null;
    update();
    keepInAddress();
  });
  window.addEventListener("hashchange", readAddress);
  new ResizeObserver(() => requestAnimationFrame(update)).observe(byId("raster"));
})();
