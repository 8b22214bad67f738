// A table of any length: only the rows in view are elements, more are fetched when the end comes near.

import { h, show } from "./dom.js";
import { t } from "./text.js";

// Pixels of a row; the style sheet has the same.
const ROW = 40;
const AROUND = 10;
const PAGE = 200;
// More lines than this are not kept; a narrower question finds the rest.
const MOST = 200_000;

// `columns` as for `table`; `fetch(limit, before)` gives {lines, next}; `open(line)` is called for a chosen row.
export class Rows {
  constructor({ columns, fetch, open, label, same }) {
    Object.assign(this, { columns, fetch, open, same, lines: [], chosen: -1, run: 0 });
    this.body = h("div", { class: "rows-body", role: "rowgroup" });
    this.scroller = h("div", {
      class: "rows-scroll", tabindex: "0", role: "table", "aria-label": label,
      onscroll: () => this.draw(), onkeydown: (event) => this.key(event),
    },
    h("div", { role: "rowgroup", class: "rows-head" }, h("div", { role: "row", class: "row" }, columns.map((column) => h("span", { role: "columnheader", class: column.class }, column.head)))),
    this.body);
    this.note = h("p", { class: "muted", role: "status" });
    this.element = h("div", { class: "rows" }, this.scroller, this.note);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.scroller);
  }

  // Begins again with what `fetch` gives now.
  async reload() {
    this.run += 1;
    this.busy = false;
    this.lines = [];
    this.next = undefined;
    this.ended = false;
    this.chosen = -1;
    this.scroller.scrollTop = 0;
    await this.more();
  }

  async more() {
    if (this.busy || this.ended) return;
    this.busy = true;
    const run = this.run;
    this.note.textContent = t("loading");
    try {
      const { lines, next } = await this.fetch(PAGE, this.next);
      if (run !== this.run) return;
      this.lines.push(...lines);
      this.next = next;
      this.ended = !next || this.lines.length >= MOST;
      this.note.textContent = this.ended && next ? t("rows.most", MOST) : this.lines.length ? t(next ? "rows.some" : "rows.all", this.lines.length) : t(next ? "rows.searching" : "rows.none");
    } catch (error) {
      if (run !== this.run) return;
      this.ended = true;
      this.note.textContent = error.message;
    }
    this.busy = false;
    this.draw();
    // A page may be empty and still not be the last.
    if (!this.ended && this.lines.length * ROW < this.scroller.clientHeight) await this.more();
  }

  // A line that is new or has changed; `wanted` says whether it belongs here.
  put(line, wanted) {
    const index = this.lines.findIndex((each) => this.same(each, line));
    if (index >= 0) this.lines[index] = line;
    else if (wanted) {
      this.lines.unshift(line);
      if (this.chosen >= 0) this.chosen += 1;
      if (this.scroller.scrollTop > ROW) this.scroller.scrollTop += ROW;
      if (this.ended && !this.next) this.note.textContent = t("rows.all", this.lines.length);
    } else return;
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - AROUND);
    const last = Math.min(this.lines.length, Math.ceil((scrollTop + clientHeight) / ROW) + AROUND);
    this.body.style.height = `${this.lines.length * ROW}px`;
    this.scroller.setAttribute("aria-rowcount", this.ended && !this.next ? this.lines.length + 1 : -1);
    const rows = this.lines.slice(first, last).map((line, offset) => {
      const index = first + offset;
      const row = h("div", {
        role: "row", class: "row", "aria-rowindex": index + 2, "data-id": line.id, "data-chosen": index === this.chosen ? "yes" : undefined,
        onclick: () => this.open(line),
      }, this.columns.map((column) => h("span", { role: "cell", class: column.class, "data-head": column.head }, column.cell(line))));
      row.style.top = `${index * ROW}px`;
      return row;
    });
    show(this.body, rows);
    if (last >= this.lines.length - AROUND) this.more();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.lines.length, End: this.lines.length };
    if (event.key === "Enter" && this.lines[this.chosen]) this.open(this.lines[this.chosen]);
    const step = steps[event.key];
    if (!step || !this.lines.length) return;
    event.preventDefault();
    this.chosen = Math.min(this.lines.length - 1, Math.max(0, this.chosen + step));
    const top = this.chosen * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + 3 * ROW > scrollTop + clientHeight) this.scroller.scrollTop = top + 3 * ROW - clientHeight;
    this.draw();
  }

  close() {
    this.run += 1;
    this.watch.disconnect();
  }
}
