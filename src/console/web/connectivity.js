// The connectivity test (联通测试): its runs, and one of them case by case. A run is the sum of its facts in the audit trail.

import * as api from "./api.js";
import { button, facts, h, show, table } from "./dom.js";
import { fingerprint, number, said, size, when } from "./format.js";
import { t } from "./text.js";

const FACT = "connectivity-run";
const ON = "run:";
const PAGE = 500;
// A run takes note of a case after the last change of its message; changes that come together are one reason to look again.
const SETTLED_MS = 1000;
const CHIP = { passed: "up", failed: "down", skipped: "warning", incomplete: "warning" };

const chip = (state, word) => h("span", { class: `chip ${CHIP[state] ?? ""}`, "data-state": state }, t(`${word}.${state}`));
const conclusionChip = (run) => chip(conclusion(run), "conclusion");
const of = (run, state) => run.cases.filter((each) => each.state === state).length;

// Never better than the cases.
function conclusion(run) {
  if (of(run, "failed")) return "failed";
  return run.ended && run.cases.length && of(run, "passed") === run.cases.length ? "passed" : "incomplete";
}

// Facts as the trail has them, newest first; without the beginning there is no run.
function sum(newestFirst) {
  const [first, ...later] = newestFirst.toReversed();
  if (first?.fact !== "started") return undefined;
  const { run } = first;
  for (const fact of later) {
    if (fact.fact === "case-ended") run.cases = run.cases.map((each) => (each.id === fact.case.id ? fact.case : each));
    if (fact.fact === "resumed") run.resumed = [...(run.resumed ?? []), fact.at];
    if (fact.fact === "ended") run.ended = fact.at;
  }
  return run;
}

// The runs whose entries are on `on`, newest first.
async function fetchRuns(on) {
  const known = new Map();
  let before;
  do {
    const { entries, next } = await api.get(`/audit${api.query({ what: FACT, on, limit: PAGE, before })}`);
    for (const entry of entries) {
      if (entry.after) known.set(entry.on, [...(known.get(entry.on) ?? []), entry.after]);
    }
    before = next;
  } while (before);
  const runs = [...known.values()].map(sum).filter(Boolean);
  return runs.sort((a, b) => (a.id < b.id ? 1 : -1));
}

const LIST = () => [
  { head: t("conclusion"), cell: conclusionChip },
  { head: t("run.title"), cell: (run) => [h("a", { href: `#/connectivity/${run.id}` }, said(run.title) || run.plan), run.rehearsal ? h("span", { class: "muted" }, ` · ${t("run.rehearsal")}`) : null] },
  { head: t("partner"), cell: (run) => run.partner.name ?? run.partner.id },
  { head: t("run.passed"), class: "number", cell: (run) => `${number(of(run, "passed"))} / ${number(run.cases.length)}` },
  { head: t("started"), cell: (run) => when(run.started) },
  { head: t("run.ended"), cell: (run) => when(run.ended) },
];

function step(each) {
  const took = each.milliseconds === undefined || each.milliseconds === null ? undefined : `${number(each.milliseconds)} ms`;
  return h("li", { class: each.good ? undefined : "error" },
    h("span", { class: "chip" }, t(`layer.${each.layer}`)), " ", said(each.seen),
    h("span", { class: "muted" }, ` · ${[when(each.at), took].filter(Boolean).join(" · ")}`));
}

function failure(each) {
  if (!each.failure) return null;
  return h("div", { class: each.state === "failed" ? "problem" : "notice" }, facts([
    [t("run.layer"), t(`layer.${each.failure.layer}`)], [t("run.seen"), said(each.failure.seen)],
    [t("run.cause"), said(each.failure.cause)], [t("run.ask"), said(each.failure.ask)], [t("run.code"), h("code", {}, each.failure.code)],
  ]));
}

const MESSAGES = () => [
  { head: t("file"), cell: (message) => h("a", { href: `#/message/${message.id}` }, message.file_name || message.id) },
  { head: "Message-ID", cell: (message) => h("code", {}, message.message_id ?? "") },
  { head: t("size"), class: "number", cell: (message) => size(message.payload_bytes) },
  { head: t("run.round-trip"), class: "number", cell: (message) => (message.round_trip_ms === undefined || message.round_trip_ms === null ? "" : `${number(message.round_trip_ms)} ms`) },
  { head: t("mdn.disposition"), cell: (message) => message.disposition ?? "" },
  { head: t("mic.verdict"), cell: (message) => (typeof message.mic_matches === "boolean" ? chip(message.mic_matches ? "passed" : "failed", "run-mic") : "") },
];

function evidence(proof) {
  const tls = proof.tls ? `${proof.tls.version} ${proof.tls.cipher}`.trim() : undefined;
  return [
    facts([
      [t("run.addresses"), (proof.addresses ?? []).join(", ")], ["TLS", tls], ["HTTP", proof.http_status],
      ...(proof.tls?.chain ?? []).map((each) => [each.subject || each.role, h("code", {}, fingerprint(each.fingerprint))]),
    ]),
    proof.messages?.length ? table(MESSAGES(), proof.messages, "") : null,
  ];
}

// `opened` holds the ids of the cases whose details the person sees, so that they stay open when the page is drawn anew.
function caseOf(each, opened) {
  return h("details", {
    class: "case", "data-case": each.id, open: opened.has(each.id),
    ontoggle: (event) => (event.target.open ? opened.add(each.id) : opened.delete(each.id)),
  },
  h("summary", {}, chip(each.state, "case"), " ", said(each.title) || each.subject, h("span", { class: "muted" }, ` · ${each.id}`)),
  failure(each), each.steps?.length ? h("ol", {}, each.steps.map(step)) : null, evidence(each.evidence ?? {}));
}

const casesOf = (run, kind, opened) => {
  const cases = run.cases.filter((each) => each.kind === kind);
  return cases.length ? h("section", {}, h("h2", {}, t(`run.${kind}`)), cases.map((each) => caseOf(each, opened))) : null;
};

function runPart(run, opened) {
  return [
    h("p", {}, h("a", { href: "#/connectivity" }, `← ${t("page.connectivity")}`)),
    h("h1", {}, said(run.title) || run.plan, " ", conclusionChip(run)),
    run.rehearsal ? h("p", { class: "notice" }, t("run.rehearsal.explain")) : null,
    facts([
      [t("partner"), run.partner.name ?? run.partner.id], ["URL", run.partner.url], ["DXPID", run.station.dxpid],
      [t("run.environment"), t(`environment.${run.environment}`)], [t("started"), when(run.started)], [t("run.resumed"), (run.resumed ?? []).map(when).join(", ")],
      [t("run.ended"), when(run.ended)], [t("run.tester"), run.tester], [t("run.place"), run.place],
      [t("run.passed"), `${number(of(run, "passed"))} / ${number(run.cases.length)}`],
      [t("run.report"), h("code", {}, `dxgate connectivity report ${run.id} --out report.pdf`)],
    ]),
    casesOf(run, "interface", opened), casesOf(run, "business", opened),
  ];
}

const listPart = (runs) => [h("h1", {}, t("page.connectivity")), table(LIST(), runs, t("connectivity.none"))];

// Shows the page: all runs, or the one that the address names.
export async function connectivityPage(context) {
  const id = context.argument;
  const place = h("div", {});
  let opened;
  const draw = async () => {
    const runs = await fetchRuns(`${ON}${id ?? ""}`);
    if (!id) return show(place, listPart(runs));
    const run = runs.find((each) => each.id === id);
    if (!run) return show(place, h("h1", {}, t("page.connectivity")), h("p", { class: "problem" }, t("run.unknown")));
    opened ??= new Set(run.cases.filter((each) => each.state === "failed").map((each) => each.id));
    return show(place, runPart(run, opened));
  };
  const again = () => draw().catch((error) => context.fail(error));
  show(context.place, place, h("p", {}, button(t("run.refresh"), again)));
  await draw();
  let settling;
  context.listen((kind) => {
    if (kind !== "message" && kind !== "resync") return;
    clearTimeout(settling);
    settling = setTimeout(again, SETTLED_MS);
  });
  return () => clearTimeout(settling);
}
