// Business documents by their keys, with what customs has said about each.

import * as api from "./api.js";
import { h, show } from "./dom.js";
import { said, when } from "./format.js";
import { Rows } from "./rows.js";
import { t } from "./text.js";

const STANDINGS = ["waiting", "in-progress", "accepted", "released", "rejected", "error"];
const TYPING_MS = 300;
// Many events become one look, and a look ends before the next begins.
const GATHER_MS = 800;

const standing = (line) => h("span", { class: `chip s-${line.status}` }, said(line.receipt?.meaning) || t(`standing.${line.status}`));

// The numbers of a document. A row has room for some: the one that was asked for comes first, all of them are in the title.
function keys(line, wanted) {
  const all = [...line.keys, ...(line.given ?? [])];
  const found = ([, value]) => Boolean(wanted) && value.toLowerCase().startsWith(wanted.toLowerCase());
  const sorted = [...all.filter(found), ...all.filter((key) => !found(key))];
  return h("span", { title: all.map((key) => key.join(" ")).join("\n") }, sorted.map(([name, value]) => h("span", { class: "key" }, h("span", { class: "muted" }, `${name} `), value)));
}

const COLUMNS = (wanted) => [
  { head: t("standing"), class: "c-standing", cell: standing },
  { head: t("declaration.keys"), class: "c-keys", cell: (line) => keys(line, wanted()) },
  { head: t("type"), class: "c-type", cell: (line) => line.message_type },
  { head: t("partner"), class: "c-partner", cell: (line) => line.partner },
  { head: t("declaration.return"), class: "c-reason", cell: (line) => [line.receipt?.status, line.receipt?.info].filter(Boolean).join(" · ") },
  { head: t("created"), class: "c-created", cell: (line) => when(line.created) },
];

// Shows the page. A document belongs to the message that carried it: that is where a row leads.
export async function declarationsPage(context) {
  let asked = { key: context.search.get("key") ?? undefined, status: context.search.get("status") ?? undefined };
  const rows = new Rows({
    columns: COLUMNS(() => asked.key), label: t("page.declarations"), key: (line) => `${line.message}#${line.number}`,
    open: (line) => { location.hash = `#/message/${line.message}`; },
    fetch: async (limit, before) => {
      const { declarations, next } = await api.get(`/declarations${api.query({ ...asked, limit, before })}`);
      return { lines: declarations, next };
    },
  });
  const apply = (wanted) => {
    asked = wanted;
    history.replaceState(null, "", `#/declarations${api.query(asked)}`);
    rows.reload();
  };
  let typing;
  const key = h("input", {
    type: "search", name: "key", value: asked.key ?? "", maxlength: 100, placeholder: t("declaration.hint"),
    oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => apply({ ...asked, key: event.target.value.trim() || undefined }), TYPING_MS); },
  });
  const select = h("select", { name: "status", onchange: (event) => apply({ ...asked, status: event.target.value || undefined }) },
    h("option", { value: "" }, t("any")), STANDINGS.map((each) => h("option", { value: each, selected: each === asked.status }, t(`standing.${each}`))));
  show(context.place, h("h1", {}, t("page.declarations")),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { class: "wide" }, t("declaration.search"), key), h("label", {}, t("standing"), select)),
    rows.element);
  let pending;
  let looking = Promise.resolve();
  const later = () => { pending ??= setTimeout(() => { looking = looking.then(() => { pending = undefined; return rows.refresh(); }); }, GATHER_MS); };
  context.listen((kind) => { if (kind === "resync" || kind === "message") later(); });
  await rows.reload();
  return () => { clearTimeout(pending); rows.close(); };
}
