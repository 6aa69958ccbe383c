// Show details of the selected task next to the maps, or of the runs if no task is selected. Defines: showPanel.

const HUB = "https://huggingface.co/datasets/";
const REPO = /^[\w.-]+\/[\w.-]+$/;
const COMMIT = /^[0-9a-f]{7,64}$/;
const MANY_LABELS = 12;
const FAR = 5; // tasks in the lists of the farthest and nearest tasks
const TRAINING_ROWS = "Training rows"; // an aspect; the panel adds how many rows each run used
const NOT_ABOVE = "not above the majority class"; // remark on a test accuracy

/** @param state state of the page; @param calls callbacks {select(task), clear()} */
function showPanel(panel, state, calls) {
  const open = [...panel.querySelectorAll("details")].filter((each) => each.open).map((each) => each.dataset.name);
  const task = state.selected;
  panel.replaceChildren(...present(task === null ? aboutRuns(state, calls) : aboutTask(state, task, calls)));
  for (const each of panel.querySelectorAll("details")) if (open.includes(each.dataset.name)) each.open = true;
  panel.scrollTop = 0;
  document.body.classList.toggle("chosen", task !== null);
}

const section = (title, ...children) => h("section", {}, h("h3", {}, title), ...children);

const facts = (pairs) => h("dl", { class: "facts" },
  pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([title, value]) => [h("dt", {}, title), h("dd", {}, value)]));

/** Create a button that selects a task, with its symbol, its name, a remark, and one or two numbers. */
function taskButton(task, numbers, state, calls, remark = null) {
  return h("li", {}, h("button", { type: "button", class: "task", onclick: () => calls.select(task),
    "aria-label": present([data.names[task], remark, numbers]).join(", ") },
    symbol(state.colouring.look(task)),
    h("span", { class: "name" }, breakable(data.names[task]), remark && h("span", { class: "remark" }, remark)),
    [numbers].flat().map((number) => h("span", { class: "number" }, number))));
}

// --- Runs -----------------------------------------------------------------------------------------------------------

function aboutRuns(state, calls) {
  const parts = state.pair ? [aboutPair(state, calls)] : [];
  parts.push(...state.runs.map((run) => aboutRun(run, state)));
  const [run] = state.runs;
  const far = [...run.tasks].sort((a, b) => statistic(run, "distance", b) - statistic(run, "distance", a));
  const remark = (task) => (aboveMajority(run, task) === false ? NOT_ABOVE : null);
  const list = (tasks) => h("ol", { class: "tasks" },
    tasks.map((task) => taskButton(task, format(statistic(run, "distance", task)), state, calls, remark(task))));
  const hint = h("p", { class: "hint" },
    `Distance from the centre (the paper's measure of how specific a task is) in ${run.name}.`);
  parts.push(section("Farthest from the centre", hint, list(far.slice(0, FAR))));
  if (far.length > 2 * FAR) parts.push(section("Nearest to the centre", list(far.slice(-FAR).reverse())));
  return parts;
}

function aboutRun(run, state) {
  const mean = (key) => {
    const values = (run.statistics[key] ?? []).filter((value) => value !== null);
    return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
  };
  const [test, majority, start] = [mean("test"), mean("majority"), mean("cos_z_z0")];
  return h("section", {},
    h("h2", { tabindex: -1 }, run.name),
    run.warning ? h("p", { class: "warning" }, run.warning) : null,
    facts([
      ["Tasks", format(run.tasks.length)],
      ["Mean test accuracy", test === null ? null : format(test, "share")],
      ["Mean of the majority class", majority === null ? null : format(majority, "share")],
      ["Mean cosine with the start", start === null ? null : format(start)],
      ...run.about,
    ]),
    h("p", { class: "hint" }, run.maps[state.method].note));
}

function aboutPair(state, calls) {
  const { pair, runs } = state;
  if (!pair.size) {
    const words = pair.count ? `The two runs have only ${pair.count === 1 ? "one task" : "two tasks"} in common.`
      : "The two runs have no task in common.";
    return section("Neighbours kept", h("p", {}, words));
  }
  const kept = (task) => pair.of.get(task).both.size;
  const shown = Math.min(FAR, Math.floor(pair.count / 2));
  const most = [...pair.of.keys()].sort((a, b) => kept(b) - kept(a)).slice(0, shown);
  return section("Neighbours kept",
    h("p", {}, `Of the ${pair.size} nearest tasks of a task, `, h("strong", {}, pair.kept.mean.toFixed(1)),
      ` are near in both ${runs[0].name} and ${runs[1].name}; by chance ${pair.kept.chance.toFixed(1)}. `,
      `As Jaccard overlap: ${format(pair.jaccard.mean, "share")}, by chance ${format(pair.jaccard.chance, "share")}. `,
      `Means over ${format(pair.count)} tasks.`),
    h("p", { class: "hint" }, "Kept most:"),
    h("ol", { class: "tasks" },
      most.map((task) => taskButton(task, `${kept(task)} of ${pair.size}`, state, calls))));
}

// --- A task ---------------------------------------------------------------------------------------------------------

function aboutTask(state, task, calls) {
  const known = data.facts[task];
  const name = data.names[task];
  const slash = name.lastIndexOf("/") + 1;
  const group = h("span", { class: "group" }, breakable(name.slice(0, slash)));
  const close = { type: "button", class: "icon", "aria-label": "Close the details of this task", onclick: calls.clear };
  return [
    h("div", { class: "title" },
      h("h2", { tabindex: -1, "aria-label": name },
        symbol(state.colouring.look(task), 18), group, h("wbr"), breakable(name.slice(slash))),
      h("button", close, "×")),
    ...state.runs.map((run) => accuracy(run, task, state.runs.length > 1)),
    ...neighbours(state, task, calls),
    section("Facts", taskFacts(state, task, known)),
    known.notes ? section("Notes", h("p", { class: "notes" }, known.notes)) : null,
    examples(known),
  ];
}

function accuracy(run, task, named) {
  const [test, validation, majority] = ["test", "validation", "majority"].map((key) => statistic(run, key, task));
  const title = named ? `Accuracy, ${run.name}` : "Accuracy";
  if (run.row[task] < 0) return section(title, h("p", { class: "hint" }, "This run does not have the task."));
  const shown = test ?? validation;
  if (shown === null) return null;
  const fill = h("span", { class: "fill" });
  fill.style.width = `${100 * shown}%`;
  const mark = h("span", { class: "mark" });
  mark.style.left = `${100 * (majority ?? 0)}%`;
  const rows = statistic(run, "test_rows", task);
  const on = rows === null ? "on test rows" : `on ${format(rows)} test ${rows === 1 ? "row" : "rows"}`;
  const comparison = aboveMajority(run, task) === false ? [h("strong", {}, NOT_ABOVE), ","] : "majority class";
  return section(title,
    h("div", { class: "bar", "aria-hidden": "true" }, fill, majority === null ? null : mark),
    h("p", { class: "scores" },
      test === null ? "No test accuracy" : `${format(test, "share")} ${on}`,
      majority === null ? null : ["; ", comparison, ` ${format(majority, "share")}`]),
    validation === null ? null : h("p", { class: "hint" }, `${format(validation, "share")} on validation rows`));
}

/** List the nearest tasks in each run; if two runs share the task, list those near in both first. */
function neighbours(state, task, calls) {
  const { runs, pair } = state;
  const button = (run) => ({ task: other, cosine }) => taskButton(other, format(cosine), state, calls);
  const both = pair?.of.get(task);
  if (!both) {
    return runs.filter((run) => run.row[task] >= 0).map((run) =>
      section(runs.length > 1 ? `Nearest tasks, ${run.name}` : "Nearest tasks",
        h("ol", { class: "tasks nearest" }, nearest(run, task).map(button(run)))));
  }
  const one = (other) => taskButton(other, both.near.map((near) => format(near.get(other))), state, calls);
  const only = (run, near) => {
    const own = [...near].filter(([other]) => !both.both.has(other));
    return own.length ? section(`Only in ${run.name} (${own.length})`, h("ol", { class: "tasks nearest" },
      own.map(([other, cosine]) => taskButton(other, format(cosine), state, calls)))) : null;
  };
  return [
    section(`Near in both (${both.both.size})`,
      h("p", { class: "hint" }, `${both.both.size} of the ${pair.size} nearest are near in both runs `,
        `(Jaccard ${format(both.jaccard, "share")}; by chance ${format(pair.jaccard.chance, "share")}). `,
        `Cosines in ${runs[0].name} and ${runs[1].name}:`),
      h("ol", { class: "tasks nearest" }, [...both.both].map(one))),
    only(runs[0], both.near[0]),
    only(runs[1], both.near[1]),
  ];
}

function taskFacts(state, task, known) {
  const used = usedRows(state, task);
  const aspects = data.aspects.map((column) => {
    const value = column.values[task];
    const text = value === null ? null : column.categories ? column.categories[value] : format(value);
    return [column.title, column.title === TRAINING_ROWS ? text && used ? `${text} (${used})` : text ?? used : text];
  });
  if (!data.aspects.some((column) => column.title === TRAINING_ROWS)) aspects.push([TRAINING_ROWS, used]);
  const shownLabels = known.labels?.slice(0, MANY_LABELS).join(", ");
  const more = (known.labels?.length ?? 0) - MANY_LABELS;
  const keys = ["distance", "cos_z_z0", "kept_within", "test_rows"];
  const ofRun = state.runs.flatMap((run) => keys.map((key) => {
    const { title, unit } = data.statistics[key];
    const value = statistic(run, key, task);
    return [state.runs.length > 1 ? `${title}, ${run.name}` : title, value === null ? null : format(value, unit)];
  }));
  return facts([
    ...aspects,
    ["Labels", shownLabels && (more > 0 ? `${shownLabels} and ${more} more` : shownLabels)],
    ...ofRun,
    ["Source", sourceLink(known)],
  ]);
}

/** Return how many training rows of a task the runs used: "600 used"; for two runs with their names. */
function usedRows(state, task) {
  return state.runs.map((run) => [run, statistic(run, "train_rows", task)])
    .filter(([, rows]) => rows !== null)
    .map(([run, rows]) => `${format(rows)} used${state.runs.length > 1 ? ` in ${run.name}` : ""}`).join(", ");
}

/** Return a link if the source has the form of a Hub repository, and its text otherwise. */
function sourceLink({ source, repo, commit }) {
  if (!source || !repo || !REPO.test(repo)) return source;
  const address = HUB + repo + (commit && COMMIT.test(commit) ? `/tree/${commit}` : "");
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, source);
}

function examples({ examples: rows, examples_note: note }) {
  if (!rows && !note) return null;
  const summary = rows ? `${rows.length} examples` : "Examples";
  return h("details", { class: "examples", "data-name": "examples" }, h("summary", {}, summary),
    note ? h("p", { class: "hint" }, note) : null,
    h("ul", {}, (rows ?? []).map(([label, ...texts]) => h("li", {},
      h("span", { class: "label" }, label), texts.map((text) => h("blockquote", { dir: "auto" }, text))))));
}
