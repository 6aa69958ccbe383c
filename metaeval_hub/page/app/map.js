// A map: a canvas that draws the tasks of a run, can be moved and zoomed, and reports which task the user points at.
// Defines: TaskMap.

const MOST_ZOOM = 60; // maximum scale, relative to the scale at which all tasks are visible
const MOST_TRIED = 800; // maximum number of tasks that are tried for a label per drawing
const NARROW = 500; // width in pixels below which a map is narrow, as on a phone or next to another map on a tablet
const MOST_NEARER = 6; // maximum relative scale when a narrow map shows a task among its neighbours
const CLICK_PIXELS = 5; // a pointer that moves less than this between down and up clicks
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const ease = (t) => (t < 0.5 ? 2 * t * t : 1 - (2 - 2 * t) ** 2 / 2);

class TaskMap {
  /** @param calls callbacks of the page: {select(task), hover(task, x, y), read()} */
  constructor(figure, calls) {
    this.figure = figure;
    this.calls = calls;
    this.caption = h("figcaption");
    this.canvas = h("canvas", { tabindex: 0, role: "application", "aria-roledescription": "map of tasks" });
    this.context = this.canvas.getContext("2d");
    figure.append(this.caption, this.canvas);
    this.run = null;
    this.view = { scale: 1, x: 0, y: 0 }; // pixels per unit; coordinates of the middle
    this.fitted = true; // until the user moves the map
    this.width = this.height = 0;
    this.shown = []; // labels of the last drawing
    this.pointers = new Map();
    this.sprites = new Map();
    this.widths = new Map();
    this.frame = 0;
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    this.listen();
  }

  // --- data ---

  /** Show the map of a run; tasks move there from their previous places. */
  show(run, method) {
    const before = this.run;
    if (before === run && this.method === method) return;
    const points = run.maps[method].points;
    const old = new Map();
    if (before) before.tasks.forEach((task, row) => old.set(task, [this.points[2 * row], this.points[2 * row + 1]]));
    this.run = run;
    this.method = method;
    this.target = points;
    this.order = labelOrder(points);
    this.points = Float64Array.from(points);
    const words = [run.name, `${format(run.tasks.length)} tasks`, method.toUpperCase()].join(", ");
    this.canvas.setAttribute("aria-label", `${words}. Arrow keys go from task to task.`);
    const from = this.points.slice();
    run.tasks.forEach((task, row) => {
      if (old.has(task)) [from[2 * row], from[2 * row + 1]] = old.get(task);
    });
    this.extent = this.extentOf(run.tasks.keys());
    if (this.fitted) this.fit(false);
    if (!before || calm.matches) this.draw();
    else {
      this.animate(500, (t) => {
        for (let i = 0; i < from.length; i++) this.points[i] = from[i] + (points[i] - from[i]) * t;
      });
    }
  }

  /**
   * Emphasise tasks.
   * @param marks {colouring, selected, hover, key: key of the legend or null, found: Set of tasks or null,
   *   near: [{task, kept}, ...] for the neighbours of the selected task}
   */
  mark(marks) {
    this.marks = marks;
    this.draw();
  }

  /** Read the colours of the page again. */
  recolour() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    this.ink = { ground: read("--map"), text: read("--ink"), muted: read("--muted"), accent: read("--accent") };
    this.sprites.clear();
    this.draw();
  }

  // --- the view ---

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !clientHeight || (clientWidth === this.width && clientHeight === this.height)) return;
    this.density = window.devicePixelRatio || 1;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(clientWidth * this.density);
    this.canvas.height = Math.round(clientHeight * this.density);
    this.sprites.clear();
    const box = this.canvas.getBoundingClientRect();
    this.covered = [this.caption, document.getElementById("zoom")].map((element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return { left: left - box.left, right: right - box.left, top: top - box.top, bottom: bottom - box.top };
    }).filter(({ left, right }) => right > left);
    if (this.run && this.fitted) this.fit(false);
    this.paint(); // setting the size of a canvas clears it
  }

  /** Return the centre and the size of the area that tasks take on the map. */
  extentOf(rows) {
    let [left, right, top, bottom] = [Infinity, -Infinity, -Infinity, Infinity];
    for (const row of rows) {
      const [x, y] = [this.target[2 * row], this.target[2 * row + 1]];
      left = Math.min(left, x);
      right = Math.max(right, x);
      bottom = Math.min(bottom, y);
      top = Math.max(top, y);
    }
    return { width: right - left, height: top - bottom, x: (left + right) / 2, y: (top + bottom) / 2 };
  }

  /** Return the scale at which all tasks, or an extent, are visible with space for labels at the sides. */
  fittingScale({ width, height } = this.extent) {
    const room = { width: this.width - clamp(0.16 * this.width, 120, 160), height: this.height - 64 };
    return Math.max(1, Math.min(room.width / (width || 1), room.height / (height || 1)));
  }

  /** Show all tasks. */
  fit(smooth = true) {
    if (!this.width || !this.run) return;
    this.fitted = true;
    this.moveTo({ scale: this.fittingScale(), x: this.extent.x, y: this.extent.y }, smooth);
  }

  moveTo(view, smooth = true) {
    const start = { ...this.view };
    if (!smooth || calm.matches) {
      this.view = view;
      this.draw();
      return;
    }
    this.animate(250, (t) => {
      for (const key of ["x", "y"]) this.view[key] = start[key] + (view[key] - start[key]) * t;
      this.view.scale = start.scale * (view.scale / start.scale) ** t;
    });
  }

  /** Zoom by a factor around a point of the canvas. */
  zoom(factor, x = this.width / 2, y = this.height / 2, smooth = false) {
    const fitting = this.fittingScale();
    const scale = clamp(this.view.scale * factor, fitting / 2, fitting * MOST_ZOOM);
    const [dx, dy] = [x - this.width / 2, this.height / 2 - y];
    const change = 1 / this.view.scale - 1 / scale;
    this.fitted = false;
    this.moveTo({ scale, ...this.inReach(this.view.x + dx * change, this.view.y + dy * change) }, smooth);
  }

  pan(dx, dy) {
    this.fitted = false;
    Object.assign(this.view, this.inReach(this.view.x - dx / this.view.scale, this.view.y + dy / this.view.scale));
    this.draw();
  }

  /** Keep the middle of the view over the tasks, so that the user cannot lose them. */
  inReach(x, y) {
    const { width, height } = this.extent;
    return {
      x: clamp(x, this.extent.x - width / 2 - 0.05, this.extent.x + width / 2 + 0.05),
      y: clamp(y, this.extent.y - height / 2 - 0.05, this.extent.y + height / 2 + 0.05),
    };
  }

  /**
   * Move the map so that a task is visible. With `centre`, the task moves to the middle, and a crowded map zooms in;
   * otherwise the map only moves if the task is outside. A narrow map is filled by the task and its nearest tasks,
   * because their marks would overlap otherwise.
   */
  reveal(task, centre) {
    const row = this.run.row[task];
    this.resize(); // the details of the task may have made the map smaller
    if (row < 0 || !this.width) return;
    if (this.width < NARROW) {
      const near = this.marks.near.map((each) => this.run.row[each.task]).filter((other) => other >= 0);
      const part = this.extentOf([row, ...near]);
      const scale = Math.min(this.fittingScale(part), MOST_NEARER * this.fittingScale());
      this.fitted = false;
      this.moveTo({ scale, x: part.x, y: part.y });
      return;
    }
    const [x, y] = [this.target[2 * row], this.target[2 * row + 1]];
    const [px, py] = this.onScreen(x, y);
    const inside = px > 40 && px < this.width - 40 && py > 30 && py < this.height - 30;
    const crowd = this.run.tasks.length > 150 ? 3 : 1;
    if (inside && !(centre && crowd > 1)) return;
    const scale = centre ? Math.max(this.view.scale, crowd * this.fittingScale()) : this.view.scale;
    this.fitted = false;
    this.moveTo({ scale, x, y });
  }

  onScreen(x, y) {
    const { view } = this;
    return [this.width / 2 + (x - view.x) * view.scale, this.height / 2 - (y - view.y) * view.scale];
  }

  /** Return the position of a task on the page, in CSS pixels, or null. */
  place(task) {
    const row = this.run.row[task];
    if (row < 0) return null;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = this.onScreen(this.points[2 * row], this.points[2 * row + 1]);
    return { x: x + box.x, y: y + box.y };
  }

  /** Call `step` with values from 0 to 1 over time, and draw after each call. */
  animate(milliseconds, step) {
    this.finish?.();
    const start = performance.now();
    let over = false;
    this.finish = () => { over = true; step(1); };
    const tick = (now) => {
      if (over) return;
      const t = clamp((now - start) / milliseconds, 0, 1);
      step(ease(t));
      this.paint();
      if (t < 1) requestAnimationFrame(tick);
      else { over = true; this.finish = null; }
    };
    requestAnimationFrame(tick);
  }

  // --- drawing ---

  /** Draw once before the next frame. */
  draw() {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.run || !this.marks || !this.ink || !this.width) return;
    const { context, marks } = this;
    context.setTransform(this.density, 0, 0, this.density, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.radius = this.markRadius();
    const seen = this.seenTasks();
    this.paintLines();
    this.paintMarks(seen);
    this.paintLabels(seen);
    if (!this.drawnOnce) {
      this.drawnOnce = true;
      performance.mark("map-drawn");
    }
    this.canvas.dataset.selected = marks.selected === null ? "" : data.names[marks.selected];
  }

  /** Return the radius of marks in pixels: smaller for many tasks, and growing slowly with the zoom. */
  markRadius() {
    const count = this.run.tasks.length;
    const base = clamp(100 / Math.sqrt(count), 2, 7);
    return clamp(base * (this.view.scale / this.fittingScale()) ** 0.35, 1.5, 9) * (this.width < NARROW ? 0.9 : 1);
  }

  /** Return the visible tasks: position in the run, task, coordinates, look, and emphasis. */
  seenTasks() {
    const { run, marks, points, view } = this;
    const { colouring, selected, hover, key, found } = marks;
    const near = new Set(marks.near.map((each) => each.task));
    const chosen = selected !== null && run.row[selected] >= 0;
    const seen = [];
    for (let row = 0; row < run.tasks.length; row++) {
      const x = this.width / 2 + (points[2 * row] - view.x) * view.scale;
      const y = this.height / 2 - (points[2 * row + 1] - view.y) * view.scale;
      if (x < -20 || x > this.width + 20 || y < -20 || y > this.height + 20) continue;
      const task = run.tasks[row];
      const look = colouring.look(task);
      const first = task === selected || task === hover;
      const kin = near.has(task);
      let strength = chosen && !kin ? 0.7 : 1; // only slightly paler, so that colours remain comparable
      if (found) strength = found.has(task) ? 1 : 0.12;
      else if (key && look.key !== key) strength = kin ? 0.5 : 0.12;
      seen.push({ row, task, x, y, r: this.radius * look.size, look, strength: first ? 1 : strength, first, kin });
    }
    return seen;
  }

  paintMarks(seen) {
    const { context } = this;
    const late = [];
    for (const mark of seen) {
      if (mark.first || mark.kin) { late.push(mark); continue; }
      this.stamp(mark);
    }
    for (const mark of late) this.stamp(mark);
    context.globalAlpha = 1;
    for (const mark of late) {
      const kept = this.marks.near.find((each) => each.task === mark.task)?.kept;
      if (!mark.first && !kept) continue;
      context.beginPath();
      context.arc(mark.x, mark.y, mark.r + (mark.task === this.marks.selected ? 5 : 3.5), 0, 2 * Math.PI);
      context.lineWidth = mark.task === this.marks.selected ? 2.5 : 1.5;
      context.strokeStyle = kept && !mark.first ? this.ink.accent : this.ink.text;
      context.stroke();
    }
  }

  stamp(mark) {
    const { look } = mark;
    const r = Math.max(1, Math.round(mark.r * 2) / 2);
    const key = `${look.fill} ${look.shape} ${r}`;
    let sprite = this.sprites.get(key);
    if (!sprite) {
      const half = Math.ceil((1.3 * r + 2) * this.density);
      const canvas = h("canvas", { width: 2 * half, height: 2 * half });
      const pen = canvas.getContext("2d");
      pen.setTransform(r * this.density, 0, 0, r * this.density, half, half);
      pen.fillStyle = look.fill;
      pen.fill(PATHS[look.shape]);
      pen.lineWidth = (r < 4 ? 0.7 : 1.1) / r;
      pen.strokeStyle = this.ink.ground;
      pen.stroke(PATHS[look.shape]);
      sprite = { canvas, half: half / this.density };
      this.sprites.set(key, sprite);
    }
    this.context.globalAlpha = mark.strength;
    this.context.drawImage(sprite.canvas, mark.x - sprite.half, mark.y - sprite.half, 2 * sprite.half, 2 * sprite.half);
  }

  /** Draw lines from the selected task to its neighbours; dashed if only one of two runs has the neighbour. */
  paintLines() {
    const { context, marks, run } = this;
    const row = marks.selected === null ? -1 : run.row[marks.selected];
    if (row < 0) return;
    const [x, y] = this.onScreen(this.points[2 * row], this.points[2 * row + 1]);
    for (const { task, kept } of marks.near) {
      const other = run.row[task];
      if (other < 0) continue;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(...this.onScreen(this.points[2 * other], this.points[2 * other + 1]));
      context.lineWidth = kept ? 2 : 1;
      context.globalAlpha = kept ? 0.9 : 0.6;
      context.strokeStyle = kept ? this.ink.accent : this.ink.muted;
      context.setLineDash(kept === false ? [4, 4] : []);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  paintLabels(seen) {
    const { context } = this;
    const byRow = [];
    for (const mark of seen) byRow[mark.row] = mark;
    const rank = (mark) => { // order of choosing a place
      if (mark.task === this.marks.selected) return 0;
      if (mark.first) return 1;
      if (mark.kin) return 2;
      return mark.strength === 1 ? 3 : 4;
    };
    const ranks = [[], [], [], [], []];
    for (const row of this.order) {
      const mark = byRow[row];
      if (mark && mark.strength > 0.3) ranks[rank(mark)].push(mark);
    }
    const kept = new Set(this.marks.near.filter((each) => each.kept).map((each) => each.task));
    const marks = ranks.flat();
    for (const mark of marks.slice(0, MOST_TRIED)) {
      mark.text = mark.first ? data.names[mark.task] : data.short[mark.task];
      mark.font = mark.first ? `600 ${FONT}` : FONT;
      mark.width = this.textWidth(mark.text, mark.font);
      mark.must = mark.first || mark.kin;
      mark.ringed = mark.first || kept.has(mark.task);
    }
    const most = Math.round((this.width * this.height) / 3200);
    this.shown = placeLabels(marks, { width: this.width, height: this.height }, this.covered, most);
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3.5;
    context.strokeStyle = this.ink.ground;
    for (const { mark, x, y } of this.shown) {
      context.globalAlpha = mark.strength === 1 ? 1 : 0.75;
      context.font = mark.font;
      context.fillStyle = mark.strength === 1 ? this.ink.text : this.ink.muted;
      context.strokeText(mark.text, x, y);
      context.fillText(mark.text, x, y);
    }
    context.globalAlpha = 1;
  }

  textWidth(text, font) {
    const key = font + text;
    if (!this.widths.has(key)) {
      this.context.font = font;
      this.widths.set(key, this.context.measureText(text).width);
    }
    return this.widths.get(key);
  }

  // --- listening ---

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.calls.hover(null));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY, true));
    canvas.addEventListener("keydown", (event) => this.pressKey(event));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
      this.zoom(Math.exp(-clamp(pixels, -300, 300) * (event.ctrlKey ? 0.01 : 0.0016)), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  press(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.pointers.size === 1) this.travelled = 0;
  }

  move(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    const held = this.pointers.get(event.pointerId);
    if (!held) {
      const task = this.taskAt(x, y, 9);
      this.canvas.classList.toggle("over", task !== null);
      this.calls.hover(task, event.clientX, event.clientY);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.travelled += Math.hypot(x - held.x, y - held.y);
    if (others.length) {
      const other = others[0];
      const apart = (a) => Math.hypot(a.x - other.x, a.y - other.y);
      const middle = (a) => ({ x: (a.x + other.x) / 2, y: (a.y + other.y) / 2 });
      const [before, after] = [middle(held), middle({ x, y })];
      this.zoom(apart({ x, y }) / Math.max(apart(held), 1), after.x, after.y);
      this.pan(after.x - before.x, after.y - before.y);
      this.travelled = Infinity;
    } else if (this.travelled >= CLICK_PIXELS) {
      this.pan(x - held.x, y - held.y);
    }
    this.pointers.set(event.pointerId, { x, y });
  }

  release(event) {
    const held = this.pointers.delete(event.pointerId);
    if (!held || this.pointers.size || this.travelled >= CLICK_PIXELS) return;
    this.calls.select(this.taskAt(event.offsetX, event.offsetY, event.pointerType === "mouse" ? 10 : 22));
  }

  /** Return the task nearest to a point of the canvas, at most `within` pixels from its edge, or null. */
  taskAt(x, y, within) {
    let best = null;
    let least = within;
    for (let row = 0; row < this.run.tasks.length; row++) {
      const [px, py] = this.onScreen(this.points[2 * row], this.points[2 * row + 1]);
      const apart = Math.hypot(px - x, py - y) - this.radius;
      if (apart < least) { least = apart; best = this.run.tasks[row]; }
    }
    return best;
  }

  pressKey(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (way && event.shiftKey) this.pan(-80 * way[0], 80 * way[1]);
    else if (way) this.step(way);
    else if (event.key === "+" || event.key === "=") this.zoom(1.4, undefined, undefined, true);
    else if (event.key === "-" || event.key === "_") this.zoom(1 / 1.4, undefined, undefined, true);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter") this.calls.read();
    else return;
    event.preventDefault();
  }

  /** Select the next task in a direction; if none is selected, select the task nearest to the middle of the view. */
  step([dx, dy]) {
    const row = this.marks.selected === null ? -1 : this.run.row[this.marks.selected];
    const [x, y] = row < 0 ? [this.view.x, this.view.y] : [this.target[2 * row], this.target[2 * row + 1]];
    let best = null;
    let least = Infinity;
    for (let other = 0; other < this.run.tasks.length; other++) {
      if (other === row) continue;
      const [ax, ay] = [this.target[2 * other] - x, this.target[2 * other + 1] - y];
      const ahead = ax * dx + ay * dy;
      const aside = Math.abs(ax * dy - ay * dx);
      if (row >= 0 && (ahead <= 0 || aside > ahead)) continue; // only tasks within 45 degrees of the direction
      const cost = row < 0 ? Math.hypot(ax, ay) : ahead + 2 * aside;
      if (cost < least) { least = cost; best = this.run.tasks[other]; }
    }
    if (best !== null) this.calls.select(best);
  }
}
