// The data of the page, as the other parts use it. Offers: data, nearest, statistic, aboveMajority, comparePair, clamp,
// format, breakable, present, h.

const data = JSON.parse(document.getElementById("data").textContent);

// Each run gets the row of every task (or -1), so that everything can be looked up by the task's number.
for (const run of data.runs) {
  run.row = new Int32Array(data.names.length).fill(-1);
  run.tasks.forEach((task, row) => { run.row[task] = row; });
}

/** The numbers of the nearest tasks, nearest first, with their cosines; empty where the run lacks the task. */
function nearest(run, task) {
  const row = run.row[task];
  return row < 0 ? [] : run.near[row].map((other, i) => ({ task: other, cosine: run.cosines[row][i] }));
}

/** A run's statistic of a task, or null. */
function statistic(run, key, task) {
  const row = run.row[task];
  return row < 0 || !run.statistics[key] ? null : run.statistics[key][row];
}

/** Whether a run's test accuracy of a task is above the majority class; null where either is not known. */
function aboveMajority(run, task) {
  const [test, majority] = [statistic(run, "test", task), statistic(run, "majority", task)];
  return test === null || majority === null ? null : test > majority;
}

/**
 * Two runs side by side: how many tasks they have in common, the size of a neighbourhood among these (0: there are too
 * few; at most half of the others, since larger ones overlap whatever the runs hold), and for each task of them its two
 * neighbourhoods (task -> cosine), the tasks in both and their Jaccard overlap;
 * then the means of both numbers, and what chance would give.
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

/** Expected Jaccard overlap of two random sets of k out of n: the sizes of their overlap are hypergeometric. */
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

/** A task's name that may be broken after its slashes, underscores and dashes. */
function breakable(name) {
  return name.split(/(?<=[/_-])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));
}

/** A number for people: shares as percentages, their differences as points, whole numbers with separators. */
function format(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const minus = (text) => text.replace("-", /[1-9]/.test(text) ? "−" : ""); // none before a zero
  if (unit === "share") return minus(`${(100 * value).toFixed(1)}%`);
  if (unit === "points") return minus(`${(100 * value).toFixed(1)} points`);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  const text = size < 100 ? value.toFixed(size < 10 ? 2 : 1) : Math.round(value).toLocaleString("en");
  return minus(text);
}

/** The children that are there, of lists in lists; the document would write out what is not as "null". */
const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined);

/**
 * Make an element. Children that are strings become text and nothing else: no data is ever read as markup.
 * Properties: "on..." are listeners, "class" and "aria-..." and the like attributes.
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
