// Who has changed what and why; chained by hashes with everything else in the journal.

import * as api from "./api.js";
import { button, h, show } from "./dom.js";
import { number, when } from "./format.js";
import { Rows } from "./rows.js";
import { t } from "./text.js";
import { WORDS } from "./words.js";

const TYPING_MS = 300;

// What an entry is about, as a way to it.
function on(entry) {
  const [kind, ...rest] = (entry.on ?? "").split(":");
  const name = rest.join(":");
  if (kind === "message" || kind === "exchange") return h("a", { href: `#/message/${encodeURIComponent(name)}`, onclick: (event) => event.stopPropagation() }, name);
  if (kind === "partner") return h("a", { href: `#/partners/${encodeURIComponent(name)}`, onclick: (event) => event.stopPropagation() }, name);
  return entry.on;
}

const value = (each) => (each === undefined || each === null ? "" : typeof each === "string" ? each : JSON.stringify(each));
const change = (entry) => [value(entry.before), value(entry.after)].filter(Boolean).join(" → ");

// Shows the page.
export async function auditPage(context) {
  let asked = {};
  const rows = new Rows({
    columns: [
      { head: t("at"), class: "c-created", cell: (entry) => when(entry.at) },
      { head: t("who"), class: "c-partner", cell: (entry) => [entry.who, entry.from ? h("span", { class: "muted" }, ` ${entry.from}`) : null] },
      { head: t("what"), class: "c-did", cell: (entry) => h("span", { title: entry.what }, t(`did.${entry.what}`)) },
      { head: t("on"), class: "c-file", cell: on },
      { head: t("change"), class: "c-reason", cell: (entry) => h("span", { title: change(entry) }, change(entry)) },
      { head: t("reason"), class: "c-reason", cell: (entry) => entry.reason ?? "" },
    ],
    label: t("page.audit"), key: (entry) => `${entry.sequence}.${entry.part ?? 0}`, open: () => {},
    fetch: async (limit, before) => {
      const { entries, next } = await api.get(`/audit${api.query({ ...asked, limit, before })}`);
      return { lines: entries, next };
    },
  });
  let typing;
  const field = (name) => h("label", {}, t(name), h("input", {
    type: "search", name, maxlength: 100, list: name === "what" ? "did" : undefined,
    oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => { asked = { ...asked, [name]: event.target.value.trim() || undefined }; rows.reload(); }, TYPING_MS); },
  }));
  const known = h("datalist", { id: "did" }, Object.keys(WORDS).filter((key) => key.startsWith("did.")).map((key) => h("option", { value: key.slice("did.".length) }, t(key))));
  const verdict = h("p", { role: "status" });
  const verify = async () => {
    verdict.className = "muted";
    verdict.textContent = t("audit.verifying");
    try {
      const found = await api.post("/journal/verify", {});
      verdict.className = "notice";
      verdict.textContent = t("audit.sound", number(found.frames), found.head);
    } catch (error) {
      verdict.className = "problem";
      verdict.textContent = error.message;
    }
  };
  show(context.place, h("h1", {}, t("page.audit")),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, field("who"), field("what"), field("on"),
      context.may("admin") ? button(t("audit.verify"), verify) : null, known),
    verdict, rows.element);
  await rows.reload();
  return () => rows.close();
}
