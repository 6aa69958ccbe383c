// State and controls of the page, and the updates that follow a change.

const byId = (id) => document.getElementById(id);
const THEMES = { auto: "◐", light: "☀", dark: "☾" };
const darkScreen = matchMedia("(prefers-color-scheme: dark)");

const state = {
  run: 0, other: -1, method: "pca", colour: 0, // numbers of the runs (other is -1 for one run), id of the column
  front: 0, // number of the map that is visible if there is only space for one
  selected: null, hover: null, key: null, found: null, // tasks; key of the legend; set of found tasks
  runs: [], pair: null, colouring: null, theme: "auto",
};

// --- Parts ----------------------------------------------------------------------------------------------------------

const figures = [h("figure", { class: "map" }), h("figure", { class: "map" })];
byId("zoom").before(...figures);
const maps = figures.map((figure) => new TaskMap(figure, {
  select: (task) => select(task),
  hover: (task, x, y) => hover(task, x, y),
  read: () => byId("panel").querySelector("h2")?.focus(),
}));
const search = new Search(byId("search"), byId("found"), {
  found: (tasks) => { state.found = tasks; markMaps(); if (tasks) say(`${tasks.size} tasks found`); },
  select: (task) => select(task, true),
});

const panelCalls = { select: (task) => select(task, true), clear: () => { select(null); maps[0].canvas.focus(); } };

// --- Updates after a change of state --------------------------------------------------------------------------------

/** Return the columns to colour tasks by: aspects, statistics of the first run, and shared neighbours of two runs. */
function columns() {
  const [run] = state.runs;
  const found = data.aspects.map((column) => ({ id: `a:${column.title}`, ...column }));
  for (const [key, { title, unit, colour }] of Object.entries(data.statistics)) {
    if (!colour || !run.statistics[key]?.some((value) => value !== null)) continue;
    const values = data.names.map((_, task) => statistic(run, key, task));
    found.push({ id: `m:${key}`, title, unit, values, of: state.pair ? `in ${run.name}` : "" });
  }
  if (state.pair?.size) {
    const values = data.names.map((_, task) => state.pair.of.get(task)?.both.size ?? null);
    found.push({ id: "kept", title: `Neighbours kept (of ${state.pair.size})`, values });
  }
  const nothing = { id: "none", title: "Nothing", categories: ["task"], values: data.names.map(() => 0) };
  return found.length ? found : [nothing];
}

/** Redraw everything after a change of run, projection, colour or theme. */
function update() {
  const two = state.other >= 0;
  state.runs = two ? [data.runs[state.run], data.runs[state.other]] : [data.runs[state.run]];
  state.pair = two ? comparePair(state.run, state.other) : null;
  const methods = Object.keys(state.runs[0].maps).filter((method) => state.runs.every((run) => run.maps[method]));
  if (!methods.includes(state.method)) [state.method] = methods;
  const all = columns();
  state.column = all.find((column) => column.id === state.colour) ?? all[0];
  state.colour = state.column.id;
  state.colouring = new Colouring(state.column, new Set(state.runs.flatMap((run) => run.tasks)), isDark());
  state.key = null;
  if (state.selected !== null && state.runs.every((run) => run.row[state.selected] < 0)) {
    state.selected = null;
    location.hash = "";
  }

  fillControls(methods, all);
  showLegend();
  document.body.classList.toggle("two", two);
  maps.forEach((map, i) => {
    const run = state.runs[i];
    map.figure.hidden = !run;
    if (!run) return;
    map.caption.textContent = run.name;
    map.show(run, state.method);
  });
  bringForward(Math.min(state.front, state.runs.length - 1));
  markMaps();
  showPanel(byId("panel"), state, panelCalls);
}

/** Choose the map that is visible if there is only space for one. */
function bringForward(number) {
  state.front = number;
  figures.forEach((figure, i) => figure.classList.toggle("front", i === number));
  radios(byId("front"), state.runs.map((run, i) => [i, run.name]), number,
    (other) => { bringForward(other); reveal(); });
}

/** Move the maps so that the selected task is visible. */
function reveal(centre = false) {
  if (state.selected !== null) state.runs.forEach((_, i) => maps[i].reveal(state.selected, centre));
}

/** Pass the tasks to emphasise to the maps. */
function markMaps() {
  maps.forEach((map, i) => {
    const run = state.runs[i];
    if (!run) return;
    const { colouring, selected, hover: hovered, key, found } = state;
    const pairOf = selected === null ? null : state.pair?.of.get(selected);
    let near = selected === null ? [] : nearest(run, selected);
    if (pairOf) near = [...pairOf.near[i].keys()].map((task) => ({ task, kept: pairOf.both.has(task) }));
    map.mark({ colouring, selected, hover: hovered, key, found, near });
  });
}

function select(task, centre = false) {
  state.selected = task;
  if (task !== null && state.runs.every((run) => run.row[task] < 0)) {
    state.run = data.runs.findIndex((run) => run.row[task] >= 0); // the task is only in another run
    state.other = -1;
    update();
  }
  state.hover = null;
  if (task !== null && state.found) search.clear();
  markMaps();
  const panel = byId("panel");
  const reading = panel.contains(document.activeElement);
  showPanel(panel, state, panelCalls);
  if (reading) panel.querySelector("h2").focus({ preventScroll: true }); // what had the focus is gone
  if (task !== null) {
    if (state.runs[state.front].row[task] < 0) bringForward(1 - state.front); // only the other run has it
    reveal(centre);
    const [first] = nearest(state.runs[0], task);
    const words = [data.names[task], described(task), first && `nearest: ${data.names[first.task]}`];
    say(words.filter(Boolean).join("; "));
  }
  const address = task === null ? "" : encodeURIComponent(data.names[task]);
  if (decodeHash() !== task) location.hash = address;
}

/** Return the value that a task is coloured by, in words. */
function described(task) { return `${state.column.title}: ${state.colouring.text(task)}`; }

function hover(task, x = 0, y = 0) {
  const tip = byId("tip");
  tip.hidden = task === null;
  if (task !== null) {
    tip.replaceChildren(h("strong", {}, data.names[task]), h("span", {}, described(task)));
    const box = byId("maps").getBoundingClientRect();
    const side = x - box.x > box.width - tip.offsetWidth - 24 ? -tip.offsetWidth - 14 : 14;
    const level = y - box.y > box.height - tip.offsetHeight - 24 ? -tip.offsetHeight - 10 : 14;
    tip.style.transform = `translate(${Math.round(x - box.x + side)}px, ${Math.round(y - box.y + level)}px)`;
  }
  if (task === state.hover) return;
  state.hover = task;
  markMaps();
}

function say(text) { byId("status").textContent = text; }

// --- Controls -------------------------------------------------------------------------------------------------------

function fillControls(methods, all) {
  const options = (select, entries, value) => {
    select.replaceChildren(...entries.map(([key, text]) => h("option", { value: key }, text)));
    select.value = String(value);
  };
  const runs = data.runs.map((run, number) => [String(number), run.name]);
  options(byId("run"), runs, state.run);
  options(byId("other"), [["-1", "no other run"], ...runs.filter(([key]) => Number(key) !== state.run)], state.other);
  options(byId("colour"), all.map(({ id, title }) => [id, title]), state.colour);
  byId("run-choice").hidden = byId("other-choice").hidden = data.runs.length < 2;
  const names = { pca: "PCA", umap: "UMAP" };
  byId("methods").hidden = methods.length < 2;
  radios(byId("methods"), methods.map((method) => [method, names[method]]), state.method,
    (method) => { state.method = method; update(); reveal(); });
}

/** Fill a fieldset with a radio button for each [value, text], and keep the focus in it. */
function radios(fieldset, entries, value, choose) {
  const had = fieldset.contains(document.activeElement);
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...entries.map(([key, text]) => h("label", {},
    h("input", { type: "radio", name: fieldset.id, checked: key === value, onchange: () => choose(key) }),
    h("span", {}, text))));
  if (had) fieldset.querySelector("input:checked").focus();
}

function showLegend() {
  const { colouring, column } = state;
  const legend = byId("legend");
  const title = h("span", { class: "legend-title" }, column.title);
  if (colouring.numeric) {
    const strip = (levels) => {
      const element = h("span", { class: "ramp" });
      element.style.backgroundImage = `linear-gradient(to right, ${levels.map((level) => level.fill).join(", ")})`;
      return element;
    };
    const end = ({ level, text }) => [symbol(level, 15 * level.size), h("span", { class: "end" }, text)];
    const [low, high] = colouring.ends;
    const strips = colouring.strips.flatMap((levels, i) => (i ? [h("span", {}, "0"), strip(levels)] : [strip(levels)]));
    const hints = [column.of, colouring.log && "logarithmic"].filter(Boolean);
    legend.replaceChildren(title, ...end(low), ...strips, ...end(high).reverse(),
      ...hints.map((text) => h("span", { class: "hint" }, text)));
  } else {
    legend.replaceChildren(title, ...colouring.entries.map((entry) => h("button", {
      type: "button", class: "key", "aria-pressed": String(entry.key === state.key),
      onclick: (event) => {
        state.key = state.key === entry.key ? null : entry.key;
        for (const button of legend.querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
        event.currentTarget.setAttribute("aria-pressed", String(state.key === entry.key));
        markMaps();
      },
    }, symbol(entry), h("span", {}, entry.text), h("span", { class: "hint" }, format(entry.count)))));
  }
}

byId("run").addEventListener("change", (event) => {
  const before = state.run;
  state.run = Number(event.target.value);
  if (state.other === state.run) state.other = before;
  update();
  reveal();
});
byId("other").addEventListener("change", (event) => { state.other = Number(event.target.value); update(); reveal(); });
byId("colour").addEventListener("change", (event) => { state.colour = event.target.value; update(); });
byId("zoom").addEventListener("click", (event) => {
  const way = event.target.closest("button")?.dataset.zoom;
  state.runs.forEach((_, i) => {
    if (way === "all") maps[i].fit();
    else if (way) maps[i].zoom(way === "in" ? 1.6 : 1 / 1.6, undefined, undefined, true);
  });
});
byId("help-open").addEventListener("click", () => byId("help").showModal());
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId("search").focus();
  }
  if (event.key === "Escape" && !byId("help").open && state.selected !== null) select(null);
});

// --- Light and dark -------------------------------------------------------------------------------------------------

function isDark() { return state.theme === "dark" || (state.theme === "auto" && darkScreen.matches); }

function setTheme(theme) {
  state.theme = theme;
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  const button = byId("theme");
  button.textContent = THEMES[theme];
  const words = { auto: "as the system", light: "light", dark: "dark" }[theme];
  button.setAttribute("aria-label", `Colours: ${words}`);
  button.title = `Colours: ${words}`;
}

function restyle(theme) {
  setTheme(theme);
  update();
  maps.forEach((map) => map.recolour());
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const theme = names[(names.indexOf(state.theme) + 1) % names.length];
  try { localStorage.setItem("metaeval-theme", theme); } catch { /* without storage, the choice is not kept */ }
  restyle(theme);
});
darkScreen.addEventListener("change", () => restyle(state.theme));

// --- Addresses: #TASK selects a task, and Back returns to the previous one -------------------------------------------

function decodeHash() {
  try {
    const task = data.names.indexOf(decodeURIComponent(location.hash.slice(1)));
    return task < 0 ? null : task;
  } catch {
    return null; // an invalid %-sequence
  }
}

addEventListener("hashchange", () => { if (decodeHash() !== state.selected) select(decodeHash(), true); });

let stored = null;
try { stored = localStorage.getItem("metaeval-theme"); } catch { /* without storage, there is no choice */ }
setTheme(stored in THEMES ? stored : "auto");
[state.method] = Object.keys(data.runs[0].maps);
update();
maps.forEach((map) => map.recolour());
if (decodeHash() !== null) select(decodeHash(), true);

/** For scripts and tests: positions of tasks and labels, in CSS pixels of the page. */
window.taskMap = {
  place: (name, number = 0) => maps[number].place(data.names.indexOf(name)),
  labels: (number = 0) =>
    maps[number].shown.map(({ mark, x, y }) => ({ task: data.names[mark.task], text: mark.text, x, y })),
  view: (number = 0) => ({ ...maps[number].view }),
  selected: () => (state.selected === null ? null : data.names[state.selected]),
};
