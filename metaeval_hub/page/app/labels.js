// Choose which labels are drawn, and place them without overlap. Defines: labelOrder, placeLabels.

/**
 * Return the order in which tasks get a label. It does not depend on the view, so labels stay when the map is moved.
 * Tasks are taken from grids with finer and finer cells, one task per cell and those far from the centre first, so the
 * first labels are spread over the map.
 * @param points x, y, x, y, ... within -1..1
 */
function labelOrder(points) {
  const count = points.length / 2;
  const outward = Array.from({ length: count }, (_, i) => i)
    .sort((a, b) => Math.hypot(points[2 * b], points[2 * b + 1]) - Math.hypot(points[2 * a], points[2 * a + 1]));
  const order = [];
  let left = outward;
  for (let cells = 4; left.length && cells <= 1024; cells *= 2) {
    const taken = new Set();
    const along = (value) => Math.floor(((value + 1) * cells) / 2);
    const cell = (i) => along(points[2 * i]) * 4096 + along(points[2 * i + 1]);
    for (const i of order) taken.add(cell(i));
    const rest = [];
    for (const i of left) {
      if (taken.has(cell(i))) rest.push(i);
      else { taken.add(cell(i)); order.push(i); }
    }
    left = rest;
  }
  return order.concat(left);
}

const CELL = 48; // size in pixels of the grid cells that speed up the search for overlaps

/** A set of boxes {left, right, top, bottom}, indexed by the grid cells that they touch. */
class Boxes {
  constructor() {
    this.cells = new Map();
    this.asked = 0;
  }

  add(box) {
    box.counted = 0;
    for (let x = Math.floor(box.left / CELL); x <= Math.floor(box.right / CELL); x++) {
      for (let y = Math.floor(box.top / CELL); y <= Math.floor(box.bottom / CELL); y++) {
        const cell = this.cells.get(x * 65536 + y);
        if (cell) cell.push(box);
        else this.cells.set(x * 65536 + y, [box]);
      }
    }
  }

  /** Return how many boxes overlap this one; stop counting at `enough`. */
  count(box, enough, except) {
    this.asked += 1; // marks boxes as counted, because a box can be in several cells
    let found = 0;
    for (let x = Math.floor(box.left / CELL); x <= Math.floor(box.right / CELL); x++) {
      for (let y = Math.floor(box.top / CELL); y <= Math.floor(box.bottom / CELL); y++) {
        const cell = this.cells.get(x * 65536 + y);
        if (!cell) continue;
        for (const other of cell) {
          if (other.right <= box.left || other.left >= box.right) continue;
          if (other.bottom <= box.top || other.top >= box.bottom) continue;
          if (other === except || other.counted === this.asked) continue;
          other.counted = this.asked;
          found += 1;
          if (found >= enough) return found;
        }
      }
    }
    return found;
  }
}

// Positions of a label relative to its task, in the order of preference: right, left, above, below, corners.
const SIDES = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]];

/**
 * Place labels without overlap.
 * @param marks {x, y, r, text, width, must, ringed} of the visible tasks; earlier ones choose their place first. Marks
 *   without a text get no label. A label with `must` may cover tasks, but no other label. `ringed`: the mark has a
 *   ring.
 * @param area {width, height} of the map
 * @param blocked boxes that no label may overlap
 * @param most maximum number of labels
 * @returns {mark, x, y} for each label: its left end and its vertical middle
 */
function placeLabels(marks, area, blocked, most) {
  const height = 15;
  const labels = new Boxes();
  const tasks = new Boxes();
  for (const box of blocked) labels.add(box);
  for (const mark of marks) {
    const r = mark.r + 1.5;
    mark.box = { left: mark.x - r, right: mark.x + r, top: mark.y - r, bottom: mark.y + r };
    tasks.add(mark.box);
  }
  const crowded = marks.length > 250;
  const placed = [];
  for (const mark of marks) {
    if (placed.length >= most || mark.text === undefined) break;
    const gap = mark.ringed ? 8 : 4;
    const allowed = mark.must ? Infinity : crowded ? 3 : 1;
    let best = null;
    let least = Infinity;
    for (const [side, level] of SIDES) {
      const x = mark.x + side * (mark.r + gap) - (1 - side) * mark.width / 2; // left end of the label
      const y = mark.y + level * (mark.r + (side ? 5 : height / 2 + 1));
      const box = { left: x - 2, right: x + mark.width + 2, top: y - height / 2, bottom: y + height / 2 };
      if (box.left < 2 || box.right > area.width - 2 || box.top < 2 || box.bottom > area.height - 2) continue;
      if (labels.count(box, 1)) continue;
      const covered = tasks.count(box, mark.must ? 12 : allowed, mark.box);
      if (covered < least && covered < allowed) { least = covered; best = { mark, x, y, box }; }
      if (covered === 0) break;
    }
    if (best) { labels.add(best.box); placed.push(best); }
  }
  return placed;
}
