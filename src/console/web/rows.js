// A table of any length: only the rows in view are elements, more are fetched when the end comes near.

import { h } from "./dom.js";
import { t } from "./text.js";

// Pixels of a row; the style sheet has the same.
const ROW = 40;
const AROUND = 10;
// The first lines shall be there soon; who scrolls on wants many.
const FIRST = 200;
const PAGE = 500;
// More lines than this are not kept; a narrower question finds the rest.
const MOST = 1_000_000;
// Browsers draw no element that is much higher. Beyond, a pixel of the scroll bar is more than one of the table.
const HIGHEST = 16_000_000;

// `columns` as for `table`; `fetch(limit, before)` gives {lines, next}; `key(line)` names a line; `open(line)` is called for
// a chosen row.
export class Rows {
  constructor({ columns, fetch, open, label, key }) {
    Object.assign(this, { columns, fetch, open, name: key, lines: [], known: new Set(), shown: new Map(), chosen: -1, run: 0 });
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
    this.known.clear();
    this.next = undefined;
    this.ended = false;
    this.chosen = -1;
    this.scroller.scrollTop = 0;
    await this.more();
  }

  async more() {
    if (this.busy || this.ended) return;
    this.reading = this.read();
    await this.reading;
  }

  async read() {
    this.busy = true;
    const run = this.run;
    this.note.textContent = t("loading");
    try {
      const { lines, next } = await this.fetch(this.lines.length ? PAGE : FIRST, this.next);
      if (run !== this.run) return;
      for (const line of lines) {
        // What was put meanwhile is newer than what was asked for.
        if (this.known.has(this.name(line))) continue;
        this.lines.push(line);
        this.known.add(this.name(line));
      }
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

  // Reads the newest lines again, and shows them in the place of what was there: whoever reads further down stays there.
  async refresh() {
    // What is read further down comes to its end first: while much happens it never would else.
    await this.reading?.catch(() => {});
    if (this.closed) return;
    this.run += 1;
    this.busy = true;
    const run = this.run;
    const lines = [];
    let next;
    try {
      do {
        const part = await this.fetch(FIRST, next);
        if (run !== this.run) return;
        lines.push(...part.lines);
        next = part.next;
      } while (next && lines.length < FIRST);
    } catch (error) {
      if (run !== this.run) return;
      this.busy = false;
      this.note.textContent = error.message;
      return;
    }
    this.replace(lines, next);
    this.busy = false;
    this.draw();
  }

  // The newest lines are these; those that follow the last of them stay.
  replace(lines, next) {
    const names = this.lines.map((line) => this.name(line));
    const places = new Map(names.map((name, place) => [name, place]));
    // A line that says what it said stays the same, and its row with it: a click or a selection there goes on.
    const newest = lines.map((line) => {
      const before = this.lines[places.get(this.name(line))];
      return before && JSON.stringify(before) === JSON.stringify(line) ? before : line;
    });
    const first = Math.floor((this.scroller.scrollTop * this.scale()) / ROW);
    const chosen = names[this.chosen];
    const last = next && newest.length ? (places.get(this.name(newest.at(-1))) ?? -1) : -1;
    if (last < 0) Object.assign(this, { lines: newest, next });
    else this.lines = [...newest, ...this.lines.slice(last + 1)];
    this.ended = !this.next || this.lines.length >= MOST;
    const now = this.lines.map((line) => this.name(line));
    this.known = new Set(now);
    this.chosen = chosen === undefined ? -1 : now.indexOf(chosen);
    this.grow();
    const at = first > 0 ? now.indexOf(names[first]) : -1;
    if (at >= 0) this.scroller.scrollTop += ((at - first) * ROW) / this.scale();
    const count = this.lines.length;
    this.note.textContent = count ? t(!this.next ? "rows.all" : this.ended ? "rows.most" : "rows.some", count) : t("rows.none");
  }

  // A line that is new or has changed; `wanted` says whether it belongs here.
  put(line, wanted) {
    const name = this.name(line);
    if (this.known.has(name)) this.lines[this.lines.findIndex((each) => this.name(each) === name)] = line;
    else if (wanted) {
      this.lines.unshift(line);
      this.known.add(name);
      if (this.chosen >= 0) this.chosen += 1;
      this.grow();
      // Whoever reads further down, or has the focus in a row, stays there.
      if (this.scroller.scrollTop > ROW || this.body.contains(document.activeElement)) this.scroller.scrollTop += ROW / this.scale();
      if (this.ended && !this.next) this.note.textContent = t("rows.all", this.lines.length);
    } else return;
    this.drawSoon();
  }

  // Pixels of the table for one of the scroll bar.
  scale() {
    const room = this.scroller.clientHeight;
    const height = this.lines.length * ROW;
    return height <= HIGHEST ? 1 : (height - room) / (HIGHEST - room);
  }

  grow() {
    this.body.style.height = `${Math.min(HIGHEST, this.lines.length * ROW)}px`;
  }

  // Many changes at once are one drawing.
  drawSoon() {
    this.pending ??= requestAnimationFrame(() => { this.pending = undefined; this.draw(); });
  }

  draw() {
    const { scrollTop, clientHeight } = this.scroller;
    const at = scrollTop * this.scale();
    const first = Math.max(0, Math.floor(at / ROW) - AROUND);
    const last = Math.min(this.lines.length, Math.ceil((at + clientHeight) / ROW) + AROUND);
    this.grow();
    this.scroller.setAttribute("aria-rowcount", this.ended && !this.next ? this.lines.length + 1 : -1);
    const wanted = this.lines.slice(first, last);
    this.forget(new Set(wanted));
    // Rows that stay are not touched but for their place: whatever has the focus in them keeps it.
    let after = this.body.firstElementChild;
    wanted.forEach((line, offset) => {
      const index = first + offset;
      const known = this.shown.get(line);
      const row = known ?? this.row(line);
      if (!known) this.shown.set(line, row);
      if (row === after) after = after.nextElementSibling;
      else this.body.insertBefore(row, after);
      row.setAttribute("aria-rowindex", index + 2);
      if (index === this.chosen) row.dataset.chosen = "yes";
      else delete row.dataset.chosen;
      row.style.top = `${scrollTop + index * ROW - at}px`;
    });
    this.refocus();
    if (last >= this.lines.length - AROUND) this.more();
  }

  row(line) {
    return h("div", { role: "row", class: "row", "data-id": line.id, onclick: () => this.open(line) },
      this.columns.map((column) => h("span", { role: "cell", class: column.class, "data-head": column.head }, column.cell(line))));
  }

  // Takes away what is no longer in view, and remembers whether the focus was in it.
  forget(wanted) {
    for (const [line, row] of this.shown) {
      if (wanted.has(line)) continue;
      if (row.contains(document.activeElement)) this.lost = this.name(line);
      row.remove();
      this.shown.delete(line);
    }
  }

  // A row that was drawn anew takes the focus again; one that is out of view leaves it to the table.
  refocus() {
    if (this.lost === undefined) return;
    const row = [...this.shown].find(([line]) => this.name(line) === this.lost)?.[1];
    (row?.querySelector("a, button") ?? this.scroller).focus({ preventScroll: true });
    this.lost = undefined;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.lines.length, End: this.lines.length };
    if (event.key === "Enter" && event.target === this.scroller && this.lines[this.chosen]) this.open(this.lines[this.chosen]);
    const step = steps[event.key];
    if (!step || !this.lines.length) return;
    event.preventDefault();
    this.chosen = Math.min(this.lines.length - 1, Math.max(0, this.chosen + step));
    const top = this.chosen * ROW;
    const scale = this.scale();
    const at = this.scroller.scrollTop * scale;
    const { clientHeight } = this.scroller;
    if (top < at) this.scroller.scrollTop = top / scale;
    else if (top + 3 * ROW > at + clientHeight) this.scroller.scrollTop = (top + 3 * ROW - clientHeight) / scale;
    this.draw();
  }

  close() {
    this.closed = true;
    this.run += 1;
    cancelAnimationFrame(this.pending);
    this.watch.disconnect();
  }
}
