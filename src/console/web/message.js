// One message: where it is on its way, why it is there, what it was protected with, and what can be done.

import * as api from "./api.js";
import { askReason, toast } from "./dialog.js";
import { button, facts, h, show, table } from "./dom.js";
import { fingerprint, said, size, when } from "./format.js";
import { stateChip } from "./messages.js";
import { language, t } from "./text.js";

const SHOWN_BYTES = 64 * 1024;
const DANGEROUS = new Set(["cancel"]);
const GATHER_MS = 400;

// The stations of the way, each with the facts that say that it was reached.
const OUTBOUND = [
  ["taken", ["queued", "resent", "rejected"]], ["composed", ["composed", "recomposed"]], ["sent", ["attempted", "awaiting-receipt", "transferred"]],
  ["mdn", ["delivered", "failed"]], ["filed", ["published"]],
];
const INBOUND = [["arrived", ["received", "accepted", "declined"]], ["verified", ["accepted", "declined"]], ["answered", ["answered"]], ["filed", ["published"]]];

// `done`, `bad`, `now` or `open` for each station, with the instant at which it was reached.
function stations(message) {
  const way = message.direction === "outbound" ? OUTBOUND : INBOUND;
  const bad = ["failed", "declined", "rejected", "cancelled"].includes(message.state);
  const reached = way.map(([name, names]) => {
    const event = message.timeline.find((each) => names.includes(each.fact));
    return { name, at: event?.at, fact: event?.fact, state: event ? "done" : "open" };
  });
  const last = reached.findLastIndex((each) => each.state === "done" && each.name !== "filed");
  if (bad && last >= 0) reached[last].state = "bad";
  else if (!message.final && reached[last + 1]) reached[last + 1].state = message.state === "held" ? "bad" : "now";
  for (const each of reached.slice(last + 1)) if (bad && each.state === "open") each.state = "never";
  return reached;
}

// The second life: what customs said last of each document.
function business(documents) {
  return table([
    { head: "#", cell: (each) => each.number },
    { head: t("standing"), cell: (each) => h("span", { class: `chip s-${each.status}` }, said(each.receipt?.meaning) || t(`standing.${each.status}`)) },
    { head: t("declaration.keys"), cell: (each) => [...each.keys, ...(each.given ?? [])].map(([name, value]) => h("div", {}, h("span", { class: "muted" }, `${name} `), value)) },
    { head: t("declaration.return"), cell: (each) => (each.receipt ? h("a", { href: `#/message/${each.receipt.message}` }, [each.receipt.status, each.receipt.info].filter(Boolean).join(" · ")) : "") },
  ], documents, "");
}

// What the pre-check found in it, when it was sent all the same.
function findings(found) {
  return table([
    { head: t("alert.level"), cell: (each) => h("span", { class: `chip ${each.level}` }, t(`level.${each.level}`)) },
    { head: t("alert.what"), cell: (each) => [language() === "zh" ? each.message_zh : each.message_en, h("div", { class: "muted code" }, [each.rule, each.path].filter(Boolean).join(" · "))] },
  ], found, "");
}

// The last station of a declaration: the worst of what customs says about its documents, or that it is still to come.
function businessStep(life) {
  if (!life?.documents?.length) return null;
  const order = ["error", "rejected", "waiting", "in-progress", "accepted", "released"];
  const worst = [...life.documents].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status))[0];
  const state = { error: "bad", rejected: "bad", waiting: "open", "in-progress": "now" }[worst.status] ?? "done";
  return h("li", { class: `step ${state}` }, h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "step-name" }, t("step.customs")), h("span", { class: "muted" }, said(worst.receipt?.meaning) || t(`standing.${worst.status}`)));
}

function way(message) {
  const steps = stations(message).map((step) => h("li", { class: `step ${step.state}` },
    h("span", { class: "dot", "aria-hidden": "true" }),
    h("span", { class: "step-name" }, t(`step.${step.name}`)),
    h("span", { class: "muted" }, step.at ? when(step.at) : t(`step.${step.state}`))));
  return h("ol", { class: "way", "aria-label": t("way") }, steps, businessStep(message.business));
}

function why(message) {
  if (!message.reason) return null;
  const bad = ["failed", "held", "rejected", "declined"].includes(message.state);
  return h("div", { class: bad ? "problem" : "notice" },
    h("p", {}, said(message.reason.text)), h("p", { class: "code" }, message.reason.code),
    message.due && !message.final ? h("p", {}, t("due-at", when(message.due))) : null);
}

function actions(context, message, again) {
  if (!context.may("operator")) return null;
  const act = async (action) => {
    const reason = await askReason(t(`action.${action}`), t(`action.${action}.explain`), DANGEROUS.has(action));
    if (!reason) return;
    try {
      const after = await api.post(`/messages/${message.id}/${action}`, { reason });
      toast(t("done"));
      if (action === "resend") location.hash = `#/message/${after.id}`;
      else await again();
    } catch (error) {
      context.fail(error);
    }
  };
  return h("div", { class: "buttons" }, (message.actions ?? []).map((action) => button(t(`action.${action}`), () => act(action), { "data-action": action, class: DANGEROUS.has(action) ? "danger" : undefined })));
}

function protection(message) {
  return table([
    { head: t("security.step"), cell: (row) => t(`security.${row.step}`) },
    { head: t("security.term"), cell: (row) => row.name },
    { head: t("security.demanded"), cell: (row) => row.demanded ?? "–" },
    { head: t("security.found"), cell: (row) => row.found ?? "–" },
    { head: "", cell: (row) => (row.met === undefined || row.met === null ? "" : h("span", { class: `chip ${row.met ? "up" : "down"}` }, t(row.met ? "met" : "not-met"))) },
  ], (message.security ?? []).flatMap((part) => part.terms.map((term) => ({ step: part.step, ...term }))), t("security.none"));
}

// The digests of both sides under each other, so that a difference is seen.
function mics(message) {
  const theirs = message.receipt?.mic;
  const matches = message.receipt?.mic_matches;
  return facts([
    ...(message.mics ?? []).map((mic) => [t("mic.ours"), h("code", {}, `${mic.value}, ${mic.algorithm}`)]),
    [message.direction === "inbound" ? t("mic.answered") : t("mic.theirs"), theirs ? h("code", {}, theirs) : undefined],
    [t("mic.verdict"), matches === undefined || matches === null ? undefined : h("span", { class: `chip ${matches ? "up" : "down"}` }, t(matches ? "mic.same" : "mic.different"))],
  ]);
}

function receiptPart(message) {
  const text = h("pre", { class: "mdn-text", hidden: true });
  if (message.receipt) {
    api.get(`/messages/${message.id}/mdn/text`).then((mdn) => { text.textContent = mdn.text; text.hidden = !mdn.text; }).catch(() => {});
  }
  return h("section", {}, h("h2", {}, t("mdn")),
    message.receipt ? facts([
      [t("mdn.disposition"), h("code", {}, message.receipt.disposition)],
      [t("mdn.signer"), message.receipt.signer ? h("code", {}, fingerprint(message.receipt.signer)) : t("mdn.unsigned")],
    ]) : h("p", { class: "muted" }, t("mdn.none")),
    mics(message), text,
    table([
      { head: t("stray.at"), cell: (stray) => when(stray.at) },
      { head: t("reason"), cell: (stray) => said(stray.reason.text) },
      { head: t("mdn.disposition"), cell: (stray) => stray.receipt.disposition },
    ], message.stray_receipts ?? [], ""));
}

// The first bytes of something kept, as text; what is not text shows as dots.
async function peek(path, place) {
  const stop = new AbortController();
  const answer = await api.bytes(path, { signal: stop.signal });
  const reader = answer.body.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (length >= SHOWN_BYTES) break;
  }
  stop.abort();
  const text = new TextDecoder("utf-8").decode(await new Blob(parts).slice(0, SHOWN_BYTES).arrayBuffer());
  place.textContent = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f\ufffd]/g, "·") + (length >= SHOWN_BYTES ? `\n… ${t("raw.cut", size(SHOWN_BYTES))}` : "");
  place.hidden = false;
}

function raw(context, message) {
  const view = h("pre", { class: "raw", tabindex: "0", hidden: true });
  const base = `/messages/${message.id}`;
  const parts = [
    ["wire", message.wire?.size ?? null, context.may("operator") || !message.wire_shows_payload], ["payload", message.payload?.size ?? null, context.may("operator") && !message.payload_purged], ["mdn", undefined, Boolean(message.receipt)],
  ].filter(([, bytes, allowed]) => allowed && bytes !== null);
  return h("section", {}, h("h2", {}, t("raw")),
    h("div", { class: "buttons" }, parts.flatMap(([name, bytes]) => [
      button(`${t(`raw.${name}`)} ${size(bytes)}`, () => peek(`${base}/${name}`, view).catch(context.fail)),
      h("a", { class: "button", href: `/api/v1${base}/${name}`, download: "" }, t("download", t(`raw.${name}`))),
    ])),
    message.payload_purged ? h("p", { class: "muted" }, t("payload.purged", when(message.payload_purged))) : null,
    view);
}

const link = (id) => (id ? h("a", { href: `#/message/${id}` }, id) : undefined);

function identity(message) {
  return facts([
    [t("partner"), h("a", { href: `#/partners/${encodeURIComponent(message.partner)}` }, message.partner)],
    [t("direction"), t(`direction.${message.direction}`)],
    ["Message-ID", message.message_id ? h("code", {}, message.message_id) : undefined],
    [t("type"), message.message_type],
    [t("documents"), message.documents],
    ["CopMsgId", message.cop_msg_id],
    ...(message.keys ?? []).map(([name, value]) => [name, h("a", { href: `#/declarations?key=${encodeURIComponent(value)}` }, value)]),
    [t("size"), size(message.size)],
    ["SHA-256", message.payload ? h("code", {}, fingerprint(message.payload.sha256)) : undefined],
    [t("attempts"), message.attempts],
    [t("created"), when(message.created)],
    [t("updated"), when(message.updated)],
    [t("about"), link(message.about)],
    [t("successor"), link(message.successor)],
    [t("legal-hold"), message.legal_hold ? `${when(message.legal_hold.at)} · ${message.legal_hold.by} · ${message.legal_hold.reason}` : undefined],
  ]);
}

function certificatesOf(message) {
  const used = (message.security ?? []).flatMap((part) => (part.certificates ?? []).map((each) => ({ step: part.step, ...each })));
  return table([
    { head: t("security.step"), cell: (each) => t(`security.${each.step}`) },
    { head: t("certificate.role"), cell: (each) => t(`certificate.role.${each.role}`) },
    { head: t("certificate.fingerprint"), cell: (each) => h("a", { href: `#/certificates/${each.fingerprint}` }, h("code", {}, fingerprint(each.fingerprint))) },
  ], used, t("certificates.none"));
}

function history(message) {
  return table([
    { head: t("at"), cell: (event) => when(event.at) },
    { head: t("event"), cell: (event) => t(`fact.${event.fact}`) },
    { head: t("detail"), class: "detail", cell: (event) => event.detail },
  ], message.timeline, "");
}

// Shows the page and follows the message.
export async function messagePage(context) {
  const id = context.argument;
  async function load() {
    const message = await api.get(`/messages/${encodeURIComponent(id)}`);
    show(context.place,
      h("p", {}, h("a", { href: "#/messages" }, `← ${t("page.messages")}`)),
      h("h1", {}, message.file_name || message.message_id || message.id, " ", stateChip(message.state)),
      why(message), actions(context, message, load), way(message),
      h("div", { class: "columns" },
        h("section", {}, h("h2", {}, t("identity")), identity(message)),
        receiptPart(message)),
      message.business?.documents?.length ? h("section", {}, h("h2", {}, t("business")), business(message.business.documents)) : null,
      message.business?.platform ? h("p", { class: message.business.platform.refused ? "problem" : "notice" }, `DxpRep ${message.business.platform.code}: ${said(message.business.platform.meaning)}`) : null,
      message.findings?.kept?.length ? h("section", {}, h("h2", {}, t("page.precheck")), findings(message.findings.kept)) : null,
      h("section", { id: "security" }, h("h2", {}, t("security")), protection(message), certificatesOf(message)),
      h("section", {}, h("h2", {}, t("files")), table([
        { head: t("folder"), cell: (file) => `${file.folder}/` }, { head: t("file"), cell: (file) => file.name },
        { head: t("state"), cell: (file) => t(file.published ? "file.there" : "file.coming") },
      ], message.files ?? [], t("files.none"))),
      raw(context, message),
      h("section", {}, h("h2", {}, t("history")), history(message)));
  }
  let pending;
  context.listen((kind, data) => {
    if (kind !== "resync" && data.id !== id) return;
    pending ??= setTimeout(() => { pending = undefined; load().catch(context.fail); }, GATHER_MS);
  });
  await load();
  return () => clearTimeout(pending);
}
