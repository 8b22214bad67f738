// Elements from values. Text becomes text nodes and attributes, never markup, so nothing that a partner sent can become part of the page.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// h("a", {href: "#/", class: "x", onclick: f}, "text", h("b", {}, "more"))
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

export const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// What tells an element of a page from the others, whenever it is drawn.
const MARKS = ["id", "name", "data-action", "data-page", "data-silence", "href", "aria-label"];
const looksLike = (element) => {
  const mark = MARKS.find((name) => element.hasAttribute(name));
  return [element.localName, mark, mark ? element.getAttribute(mark) : element.textContent].join(" ");
};
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

// Replaces what an element contains. Who works by keyboard goes on where they were: the focus returns to what was drawn anew
// in the place of what had it, else to the page.
export function show(element, ...children) {
  const focused = element.contains(document.activeElement) && element !== document.activeElement ? document.activeElement : undefined;
  const alike = (mark) => [...element.querySelectorAll(FOCUSABLE)].filter((each) => looksLike(each) === mark);
  const mark = focused && looksLike(focused);
  const place = focused && alike(mark).indexOf(focused);
  element.replaceChildren();
  append(element, children);
  if (focused) {
    const found = alike(mark);
    (found[place] ?? found.at(-1) ?? element.closest("[tabindex]"))?.focus({ preventScroll: true });
  }
  return element;
}

// A table of what `columns` ([{head, cell, class}]) say about each row.
export function table(columns, rows, empty) {
  if (!rows.length) return h("p", { class: "muted" }, empty);
  const row = (each) => h("tr", {}, columns.map((column) => h("td", { class: column.class, "data-head": column.head }, column.cell(each))));
  return h("div", { class: "scroll" },
    h("table", {},
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.class }, column.head)))),
      h("tbody", {}, rows.map(row))));
}

// Names and values; empty values are left out.
export const facts = (pairs) => h("dl", { class: "facts" },
  pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

export const button = (label, onclick, attributes) => h("button", { type: "button", onclick, ...attributes }, label);
