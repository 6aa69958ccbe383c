// Read the data of the page, with helpers for all other files. Defines: data, nearest, statistic, aboveMajority,
// comparePair, clamp, format, breakable, present, h.

const data = JSON.parse(document.getElementById("data").textContent);

// Add to each run the position of every task in its arrays (-1 if it lacks the task), to look up data by task number.
for (const run of data.runs) {
  run.row = new Int32Array(data.names.length).fill(-1);
  run.tasks.forEach((task, row) => { run.row[task] = row; });
}

/** Return the nearest tasks with their cosines, nearest first; empty if the run lacks the task. */
function nearest(run, task) {
  const row = run.row[task];
  return row < 0 ? [] : run.near[row].map((other, i) => ({ task: other, cosine: run.cosines[row][i] }));
}

/** Return a statistic of a task in a run, or null. */
function statistic(run, key, task) {
  const row = run.row[task];
  return row < 0 || !run.statistics[key] ? null : run.statistics[key][row];
}

/** Return whether a run's test accuracy on a task is above the majority class; null if either is unknown. */
function aboveMajority(run, task) {
  const [test, majority] = [statistic(run, "test", task), statistic(run, "majority", task)];
  return test === null || majority === null ? null : test > majority;
}

/**
 * Compare the neighbourhoods of shared tasks in two runs.
 * @returns {count, size, of, kept, jaccard}: `count`, the number of shared tasks; `size`, the number of neighbours per
 *   task, at most half of the other shared tasks, because larger neighbourhoods overlap by chance (0 if there are too
 *   few tasks); `of`, a map from task to {near: its neighbours in each run (task -> cosine), both: neighbours in both
 *   runs, jaccard: their Jaccard overlap}; `kept` and `jaccard`, each with its mean over tasks and the value by chance
 */
function comparePair(first, second) {
  const pair = data.common.find(({ runs }) => runs.includes(first) && runs.includes(second));
  const [a, b] = pair.runs.map((number) => data.runs[number]);
  const rows = (part) => pair[part] ?? [a, b].map((run) => pair.tasks.map((task) => run[part][run.row[task]]));
  const inOrder = (two) => (pair.runs[0] === first ? two : [two[1], two[0]]);
  const [sets, cosines] = [inOrder(rows("near")), inOrder(rows("cosines"))];
  const count = pair.tasks.length;
  const size = Math.min(data.neighbours, Math.floor(Math.max(0, count - 1) / 2));
  const of = new Map();
  if (!size) return { count, size, of };
  pair.tasks.forEach((task, i) => {
    const near = [0, 1].map((side) => new Map(sets[side][i].slice(0, size)
      .map((other, place) => [other, cosines[side][i][place]])));
    const both = new Set([...near[0].keys()].filter((other) => near[1].has(other)));
    of.set(task, { near, both, jaccard: both.size / (2 * size - both.size) });
  });
  const mean = (number) => [...of.values()].reduce((sum, each) => sum + number(each), 0) / count;
  return {
    count, size, of,
    kept: { mean: mean(({ both }) => both.size), chance: size ** 2 / (count - 1) },
    jaccard: { mean: mean(({ jaccard }) => jaccard), chance: chanceOverlap(size, count - 1) },
  };
}

/** Return the expected Jaccard overlap of two random sets of k out of n; the size of the overlap is hypergeometric. */
function chanceOverlap(k, n) {
  const logs = [0];
  for (let i = 1; i <= n; i++) logs.push(logs[i - 1] + Math.log(i));
  const choose = (m, r) => (r < 0 || r > m ? -Infinity : logs[m] - logs[r] - logs[m - r]);
  let expected = 0;
  for (let both = 0; both <= k; both++) {
    expected += Math.exp(choose(k, both) + choose(n - k, k - both) - choose(n, k)) * (both / (2 * k - both));
  }
  return expected;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Return a task's name with optional line breaks after slashes, underscores and dashes. */
function breakable(name) {
  return name.split(/(?<=[/_-])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));
}

/** Format a number for readers: shares in percent, differences in points, whole numbers with separators. */
function format(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const minus = (text) => text.replace("-", /[1-9]/.test(text) ? "−" : ""); // no minus before a zero
  if (unit === "share") return minus(`${(100 * value).toFixed(1)}%`);
  if (unit === "points") return minus(`${(100 * value).toFixed(1)} points`);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  const text = size < 100 ? value.toFixed(size < 10 ? 2 : 1) : Math.round(value).toLocaleString("en");
  return minus(text);
}

/** Flatten nested lists of children and drop missing ones, which `append` would show as "null". */
const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined);

/**
 * Create an element. Strings among the children become text, so data are never parsed as markup. Properties that start
 * with "on" are event listeners; all others are attributes.
 */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}
