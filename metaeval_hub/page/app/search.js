// Search tasks by name, aspect or label while typing: an ARIA combobox with a list. Defines: Search.

const MOST_FOUND = 50; // maximum number of tasks in the list; the map marks all of them

class Search {
  /** @param calls callbacks {found(tasks or null), select(task)} */
  constructor(input, list, calls) {
    this.input = input;
    this.list = list;
    this.calls = calls;
    this.tasks = [];
    this.active = -1;
    const kinds = data.aspects.filter((column) => column.categories);
    this.texts = data.names.map((name, task) => [
      name, ...kinds.map((column) => column.categories[column.values[task]] ?? ""), ...(data.facts[task].labels ?? []),
    ].join("\n").toLowerCase());
    input.addEventListener("input", () => this.search());
    input.addEventListener("focus", () => { if (input.value) this.search(); });
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.press(event));
    list.addEventListener("mousedown", (event) => event.preventDefault()); // keep the focus in the input
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option?.dataset.task) this.choose(Number(option.dataset.task));
    });
  }

  /** Return the tasks that contain every word; those with the first word in their name come first. */
  find(words) {
    const found = [];
    this.texts.forEach((text, task) => {
      if (!words.every((word) => text.includes(word))) return;
      const [first] = words;
      const name = data.names[task].toLowerCase();
      const part = name.slice(name.lastIndexOf("/") + 1);
      const whole = part === first || name === first;
      const tests = [whole, part.startsWith(first), name.startsWith(first), name.includes(first)];
      found.push({ task, rank: tests.includes(true) ? tests.indexOf(true) : tests.length });
    });
    return found.sort((a, b) => a.rank - b.rank).map((each) => each.task);
  }

  /** @param all list every task if the input is empty */
  search(all = false) {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length && !all) return this.clear();
    this.tasks = words.length ? this.find(words) : data.names.map((_, task) => task);
    this.active = this.tasks.length ? 0 : -1;
    this.calls.found(words.length ? new Set(this.tasks) : null);
    return this.draw();
  }

  draw() {
    const options = this.tasks.slice(0, MOST_FOUND).map((task, i) =>
      h("li", { role: "option", id: `found-${i}`, "data-task": task, "aria-label": data.names[task] },
        h("span", { class: "name" }, breakable(data.names[task]))));
    const more = this.tasks.length - options.length;
    if (more > 0) options.push(h("li", { class: "hint", role: "presentation" }, `and ${format(more)} more`));
    if (!this.tasks.length) options.push(h("li", { class: "hint", role: "presentation" }, "No task found"));
    this.list.replaceChildren(...options);
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.point();
  }

  point() {
    this.list.querySelectorAll("[role=option]").forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === this.active));
    });
    const option = this.list.querySelector(`#found-${this.active}`);
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  press(event) {
    const last = Math.min(this.tasks.length, MOST_FOUND) - 1;
    if (event.key === "ArrowDown" && this.list.hidden) this.search(true);
    else if (event.key === "ArrowDown") this.active = Math.min(this.active + 1, last);
    else if (event.key === "ArrowUp") this.active = Math.max(this.active - 1, 0);
    else if (event.key === "Enter" && this.active >= 0) return this.choose(this.tasks[this.active]);
    else if (event.key === "Escape" && (this.input.value || !this.list.hidden)) {
      event.stopPropagation();
      return this.clear();
    } else return undefined;
    event.preventDefault();
    return this.point();
  }

  choose(task) {
    this.clear();
    this.calls.select(task);
  }

  clear() {
    this.input.value = "";
    this.tasks = [];
    this.active = -1;
    this.close();
    this.calls.found(null);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
