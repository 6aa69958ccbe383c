// Choose the colour, shape and size of each task by an aspect, and draw small symbols. Defines: Colouring, symbol.

// The colours and shapes of the figures, from the data: each has a colour for both backgrounds and the path of a shape.
const STYLES = data.styles;
const MOST_CATEGORIES = 8; // categories with a look of their own, unless the data assign the looks
const VIRIDIS = ["#440154", "#472D7B", "#3B528B", "#2C728E", "#21918C", "#28AE80", "#5EC962", "#ADDC30", "#FDE725"];
const MISSING = "#9AA0A6";

const PATHS = STYLES.map((style) => new Path2D(style.path));

// Colours of differences, from 0 outwards. There is no grey at 0, so that colours show the sign of small values.
const AROUND_ZERO = {
  light: { below: ["#D07A30", "#7F2600"], above: ["#4A90CC", "#082F5E"] },
  dark: { below: ["#AD7040", "#FFC49A"], above: ["#4F82B3", "#B4DAFF"] },
};

/** Mix two colours, each given as #RRGGBB. */
const mix = (a, b, t) => {
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mixed = [0, 1, 2].map((i) => Math.round(part(a, i) + (part(b, i) - part(a, i)) * t));
  return `rgb(${mixed.join(", ")})`;
};

/** Return the colour of a number in 0..1; high numbers contrast with the background, in both themes. */
function ramp(share, dark) {
  const place = (dark ? 0.12 + 0.88 * share : 0.95 * (1 - share)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return mix(VIRIDIS[below], VIRIDIS[below + 1], place - below);
}

const STEPS = 24; // colours of a numeric scale; even, so that no colour of a scale around 0 covers both signs
// Share of the differences that a scale around 0 covers; otherwise one outlier would make all others look the same.
const WITHIN = 0.95;

/**
 * The looks of tasks by one column of the data, categorical or numeric.
 * `look(task)` returns {key, fill, shape, size}. The legend of a categorical column has `entries`. The legend of a
 * numeric column has its two `ends` {level, text}, and `strips` of levels between them, with 0 between two strips. A
 * task looks the same in all runs; only the counts in the legend depend on the visible runs.
 */
class Colouring {
  /**
   * @param column {title, unit?, categories?, looks?, values} with a value for each task, or null
   * @param shown set of the tasks in the visible runs
   */
  constructor(column, shown, dark) {
    this.column = column;
    this.dark = dark;
    this.numeric = !column.categories;
    this.missing = { key: "missing", fill: MISSING, shape: 0, size: 0.7 };
    this.entries = [];
    if (!this.numeric) this.chooseCategories();
    else if (column.unit === "points") this.scaleDifferences();
    else this.scaleNumbers();
    for (const task of shown) {
      const look = this.look(task);
      look.count = (look.count ?? 0) + 1;
    }
    this.entries = this.entries.filter((entry) => entry.count);
  }

  /**
   * Use the looks that the data assign to categories, if any. Otherwise, give a look to each of the largest categories,
   * in the order of their names; the other categories share the last look.
   */
  chooseCategories() {
    const { categories, values, looks } = this.column;
    const counts = new Array(categories.length).fill(0);
    for (const value of values) if (value !== null) counts[value] += 1;
    const order = categories.map((_, i) => i);
    const shown = looks || order.length <= MOST_CATEGORIES ? order
      : [...order].sort((a, b) => counts[b] - counts[a]).slice(0, MOST_CATEGORIES - 1).sort((a, b) => a - b);
    const paint = (i) => ({ fill: this.dark ? STYLES[i].dark : STYLES[i].colour, shape: i, size: 1 });
    this.entries = shown.map((category, i) => ({ key: `c${category}`, text: categories[category],
      ...paint(looks ? looks[category] : i) }));
    this.looks = new Map(shown.map((category, i) => [category, this.entries[i]]));
    if (shown.length < order.length) {
      const rest = order.filter((category) => !this.looks.has(category));
      const entry = { key: "others", text: `${rest.length} others`, ...paint(MOST_CATEGORIES - 1) };
      this.entries.push(entry);
      for (const category of rest) this.looks.set(category, entry);
    }
  }

  /** Scale from the smallest to the largest number, logarithmically if they span two orders of magnitude. */
  scaleNumbers() {
    const present = this.column.values.filter((value) => value !== null);
    const low = Math.min(...this.bounds(present));
    const high = Math.max(...this.bounds(present));
    this.log = low > 0 && high / low >= 100;
    const way = this.log ? Math.log : (x) => x;
    this.share = (value) => (high > low ? (way(value) - way(low)) / (way(high) - way(low)) : 0.5);
    this.levels = Array.from({ length: STEPS }, (_, i) => {
      const share = i / (STEPS - 1);
      return { key: `n${i}`, fill: ramp(share, this.dark), shape: 0, size: 0.65 + 0.6 * share };
    });
    this.strips = [this.levels];
    this.ends = [
      { level: this.levels[0], text: format(low, this.column.unit) },
      { level: this.levels.at(-1), text: format(high, this.column.unit) },
    ];
  }

  /** Scale symmetrically around 0, so that both signs can be compared; numbers beyond the ends look like the ends. */
  scaleDifferences() {
    const present = this.column.values.filter((value) => value !== null);
    const limit = Math.max(0.01, Math.round(100 * quantile(present.map(Math.abs), WITHIN)) / 100); // whole points
    const sides = AROUND_ZERO[this.dark ? "dark" : "light"];
    this.share = (value) => clamp(0.5 + value / (2 * limit), 0, 1);
    this.levels = Array.from({ length: STEPS }, (_, i) => {
      const out = (2 * i + 1) / STEPS - 1; // -1..1
      const [side, shape] = out < 0 ? [sides.below, 4] : [sides.above, 0];
      return { key: `n${i}`, fill: mix(...side, Math.abs(out)), shape, size: 0.65 + 0.6 * Math.abs(out) };
    });
    this.strips = [this.levels.slice(0, STEPS / 2), this.levels.slice(STEPS / 2)];
    const text = (end, sign) => (present.some((value) => Math.abs(value) > limit && value * end > 0) ? `${sign} ` : "")
      + format(end, this.column.unit);
    this.ends = [
      { level: this.levels[0], text: text(-limit, "≤") },
      { level: this.levels.at(-1), text: text(limit, "≥") },
    ];
  }

  /** Return the smallest and the largest number, without passing a long list as arguments. */
  bounds(values) {
    return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : [0, 1];
  }

  look(task) {
    const value = this.column.values[task];
    if (value === null || value === undefined) return this.missing;
    if (!this.numeric) return this.looks.get(value);
    return this.levels[Math.max(0, Math.ceil(this.share(value) * STEPS) - 1)]; // 0 itself is not above 0
  }

  /** Return the value of a task, in words. */
  text(task) {
    const value = this.column.values[task];
    if (value === null || value === undefined) return "not known";
    return this.numeric ? format(value, this.column.unit) : this.column.categories[value];
  }
}

/** Return a quantile of numbers, with linear interpolation. */
function quantile(values, share) {
  if (!values.length) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * (sorted[Math.ceil(place)] - sorted[below]);
}

/** Draw a small picture of a look, for lists and the legend. */
function symbol(look, size = 14) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const box = { viewBox: "-1.6 -1.6 3.2 3.2", width: size, height: size };
  const attributes = { ...box, class: "symbol", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  path.setAttribute("d", STYLES[look.shape].path);
  path.setAttribute("fill", look.fill);
  svg.append(path);
  return svg;
}
