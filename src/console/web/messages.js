// All messages: narrowed by what is asked for, live, and as long as they are.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { button, h, show } from "./dom.js";
import { instant, said, size, when } from "./format.js";
import { Rows } from "./rows.js";
import { t } from "./text.js";

const STATES = ["queued", "composed", "sending", "awaiting-receipt", "delivered", "failed", "held", "cancelled", "rejected", "received", "accepted", "declined"];
const FIELDS = ["text", "state", "direction", "partner", "from", "to"];
const SAVED = "dxgate.filters";
const TYPING_MS = 300;

export const stateChip = (state) => h("span", { class: `chip ${state}` }, t(`state.${state}`));

const saved = () => {
  try {
    return JSON.parse(localStorage.getItem(SAVED) ?? "[]");
  } catch {
    return [];
  }
};

const COLUMNS = () => [
  { head: t("state"), class: "c-state", cell: (line) => stateChip(line.state) },
  { head: "⇄", class: "c-direction", cell: (line) => h("span", { title: t(`direction.${line.direction}`) }, line.direction === "outbound" ? "→" : "←") },
  { head: t("file"), class: "c-file", cell: (line) => h("a", { href: `#/message/${line.id}`, onclick: (event) => event.stopPropagation() }, line.file_name || line.message_id || line.id) },
  { head: t("partner"), class: "c-partner", cell: (line) => line.partner },
  { head: t("type"), class: "c-type", cell: (line) => line.message_type ?? (line.kind === "mdn" ? "MDN" : "") },
  { head: t("reason"), class: "c-reason", cell: (line) => said(line.reason?.text) },
  { head: t("size"), class: "c-size number", cell: (line) => size(line.size) },
  { head: t("created"), class: "c-created", cell: (line) => when(line.created) },
];

// Whether a line that came by itself belongs to what is asked for; what only the index can tell waits for a reload.
function belongs(line, asked) {
  const text = asked.text?.toLowerCase();
  return (!asked.state || asked.state.split(",").includes(line.state))
    && (!asked.direction || line.direction === asked.direction)
    && (!asked.partner || line.partner === asked.partner)
    && (!asked.to)
    && (!text || [line.file_name, line.message_id, line.id].some((value) => value?.toLowerCase().includes(text)));
}

function instants(asked) {
  const at = (value) => (value ? instant(value) : undefined);
  return { ...asked, from: at(asked.from), to: at(asked.to) };
}

// `asked()` is what is asked for at the time: typing changes it without a new drawing.
function filters(asked, partners, changed) {
  const now = asked();
  const typed = () => ({ ...asked(), text: text.value || undefined });
  const set = (name) => (event) => { clearTimeout(typing); changed({ ...typed(), [name]: event.target.value || undefined }); };
  const select = (name, options) => {
    const known = options.some(([value]) => value === (now[name] ?? ""));
    const all = known ? options : [...options, [now[name], now[name].split(",").map((state) => t(`state.${state}`)).join(" / ")]];
    return h("label", {}, t(name), h("select", { name, onchange: set(name) }, all.map(([value, label]) => h("option", { value, selected: value === (now[name] ?? "") }, label))));
  };
  let typing;
  const text = h("input", {
    type: "search", name: "text", placeholder: t("search.hint"), value: now.text ?? "", maxlength: 200,
    oninput: () => { clearTimeout(typing); typing = setTimeout(() => changed(typed()), TYPING_MS); },
  });
  const instant = (name) => h("label", {}, t(name), h("input", { type: "datetime-local", name, value: now[name] ?? "", onchange: set(name) }));
  return h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", { class: "wide" }, t("search"), text),
    select("state", [["", t("any")], ...STATES.map((state) => [state, t(`state.${state}`)])]),
    select("direction", [["", t("any")], ["outbound", t("direction.outbound")], ["inbound", t("direction.inbound")]]),
    select("partner", [["", t("any")], ...partners.map((partner) => [partner.id, partner.name ?? partner.id])]),
    instant("from"), instant("to"));
}

function savedFilters(asked, apply, redraw) {
  const keep = (list) => { try { localStorage.setItem(SAVED, JSON.stringify(list)); } catch { /* a browser that keeps nothing */ } redraw(); };
  const save = async () => {
    const name = h("input", { name: "filter-name", maxlength: 40, required: true });
    const chosen = await ask({ title: t("filter.save"), fields: h("label", {}, t("filter.name"), name), valid: () => (name.value.trim() ? undefined : t("filter.name.missing")), value: () => name.value.trim() });
    if (chosen) keep([...saved().filter((each) => each.name !== chosen), { name: chosen, asked: asked() }]);
  };
  return h("div", { class: "saved" },
    saved().map((each) => h("span", { class: "saved-filter" },
      button(each.name, () => apply(each.asked)),
      button("×", () => keep(saved().filter((other) => other.name !== each.name)), { "aria-label": t("filter.forget", each.name) }))),
    button(t("filter.save"), save, { "data-action": "save-filter" }),
    button(t("filter.clear"), () => apply({}), { "data-action": "clear-filter" }));
}

// Shows the page; what is asked for stands in the address, so that it can be bookmarked and sent to a colleague.
export async function messagesPage(context) {
  let asked = Object.fromEntries(FIELDS.map((name) => [name, context.search.get(name) ?? undefined]));
  const partners = await api.get("/partners").then((list) => list.partners).catch(() => []);
  const top = h("div");
  const rows = new Rows({
    columns: COLUMNS(), label: t("page.messages"), key: (line) => line.id,
    open: (line) => { location.hash = `#/message/${line.id}`; },
    fetch: async (limit, before) => {
      const { messages, next } = await api.get(`/messages${api.query({ ...instants(asked), limit, before })}`);
      return { lines: messages, next };
    },
  });
  const apply = (wanted, all = true) => {
    asked = wanted;
    history.replaceState(null, "", `#/messages${api.query(asked)}`);
    if (all) draw();
    rows.reload();
  };
  const draw = () => show(top,
    filters(() => asked, partners, (wanted) => apply(wanted, wanted.text === asked.text)),
    savedFilters(() => asked, apply, draw));
  show(context.place, h("h1", {}, t("page.messages")), top, rows.element);
  draw();
  // From before the list is asked for: what happens while it is on its way is not in it.
  context.listen((kind, data) => {
    if (kind === "message") rows.put(data, belongs(data, asked));
    if (kind === "resync") rows.reload();
  });
  await rows.reload();
  return () => rows.close();
}
