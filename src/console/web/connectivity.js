// The connectivity test (联通测试): its runs, one of them case by case as it happens, a run begun or taken up again, and its report.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { button, facts, h, show, table } from "./dom.js";
import { fingerprint, number, said, size, when } from "./format.js";
import { t } from "./text.js";

// While a run goes on it is asked for again after this time.
const FOLLOW_MS = 1000;
// Changes that come together are one reason to look again.
const SETTLED_MS = 500;
const CHIP = { passed: "up", failed: "down", skipped: "warning", incomplete: "warning", running: "info" };
const FORMATS = ["pdf", "docx", "html", "json"];

const chip = (state, word) => h("span", { class: `chip ${CHIP[state] ?? ""}`, "data-state": state }, t(`${word}.${state}`));
const conclusionChip = (run) => chip(run.running ? "running" : run.conclusion, "conclusion");

const LIST = () => [
  { head: t("conclusion"), cell: conclusionChip },
  { head: t("run.title"), cell: (run) => [h("a", { href: `#/connectivity/${run.id}` }, said(run.title) || run.plan), run.rehearsal ? h("span", { class: "muted" }, ` · ${t("run.rehearsal")}`) : null] },
  { head: t("partner"), cell: (run) => run.partner.name ?? run.partner.id },
  { head: t("run.passed"), class: "number", cell: (run) => `${number(run.counts.passed)} / ${number(run.counts.cases)}` },
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
function caseOf(each, opened, working) {
  return h("details", {
    class: "case", "data-case": each.id, open: opened.has(each.id),
    ontoggle: (event) => (event.target.open ? opened.add(each.id) : opened.delete(each.id)),
  },
  h("summary", {}, chip(each.id === working ? "running" : each.state, "case"), " ", said(each.title) || each.subject, h("span", { class: "muted" }, ` · ${each.id}`)),
  failure(each), each.steps?.length ? h("ol", {}, each.steps.map(step)) : null, evidence(each.evidence ?? {}));
}

const casesOf = (run, kind, opened) => {
  const cases = run.cases.filter((each) => each.kind === kind);
  return cases.length ? h("section", {}, h("h2", {}, t(`run.${kind}`)), cases.map((each) => caseOf(each, opened, run.working))) : null;
};

const reportLinks = (run) => h("span", { class: "buttons" }, FORMATS.map((format) =>
  h("a", { class: "button", href: `/api/v1/connectivity/runs/${run.id}/report?format=${format}`, download: "", "data-format": format }, format.toUpperCase())));

function runPart(run, opened) {
  return [
    h("p", {}, h("a", { href: "#/connectivity" }, `← ${t("page.connectivity")}`)),
    h("h1", {}, said(run.title) || run.plan, " ", conclusionChip(run)),
    run.running ? h("p", { class: "notice", role: "status" }, t("run.running", number(run.counts.cases - run.counts.pending), number(run.counts.cases))) : null,
    run.rehearsal ? h("p", { class: "notice" }, t("run.rehearsal.explain")) : null,
    facts([
      [t("partner"), run.partner.name ?? run.partner.id], ["URL", run.partner.url], ["DXPID", run.station.dxpid],
      [t("run.environment"), t(`environment.${run.environment}`)], [t("started"), when(run.started)], [t("run.resumed"), (run.resumed ?? []).map(when).join(", ")],
      [t("run.ended"), when(run.ended)], [t("run.tester"), run.tester], [t("run.place"), run.place],
      [t("run.passed"), `${number(run.counts.passed)} / ${number(run.counts.cases)}`],
      [t("run.report"), reportLinks(run)],
    ]),
    casesOf(run, "interface", opened), casesOf(run, "business", opened),
  ];
}

const listPart = (runs) => [h("h1", {}, t("page.connectivity")), table(LIST(), runs, t("connectivity.none"))];

const labelled = (name, field) => h("label", {}, t(name), field);

// Asks for a plan; undefined when the person thought better of it.
async function askPlan() {
  const { plans } = await api.get("/connectivity/plans");
  const named = plans.map((plan) => h("option", { value: plan.name, disabled: Boolean(plan.problem) },
    plan.problem ? `${plan.name} · ${plan.problem.code}` : `${said(plan.title)} · ${plan.name} → ${plan.partner} · ${t("run.cases", number(plan.cases))}`));
  const plan = h("select", { name: "plan" }, named, h("option", { value: "" }, t("run.own-plan")));
  const text = h("textarea", { name: "text", rows: 8, spellcheck: "false" });
  const own = h("div", { hidden: true }, labelled("run.plan-text", text));
  plan.addEventListener("change", () => { own.hidden = plan.value !== ""; });
  const tester = h("input", { name: "tester", maxlength: 100 });
  const place = h("input", { name: "place", maxlength: 100 });
  return ask({
    title: t("run.start"), text: t("run.start.explain"),
    fields: [labelled("run.plan", plan), own, labelled("run.tester", tester), labelled("run.place", place)],
    valid: () => (plan.value || text.value.trim() ? undefined : t("run.plan-missing")),
    value: () => ({ ...(plan.value ? { plan: plan.value } : { text: text.value }), tester: tester.value, place: place.value }),
  });
}

const allRuns = async () => {
  const runs = [];
  let before;
  do {
    const list = await api.get(`/connectivity/runs${api.query({ limit: 500, before })}`);
    runs.push(...list.runs);
    before = list.next;
  } while (before);
  return runs;
};

// Shows the page: all runs, or the one that the address names.
export async function connectivityPage(context) {
  const id = context.argument;
  const [place, doing] = [h("div", {}), h("p", { class: "buttons" })];
  // A case that has failed is opened once, by itself.
  const [opened, explained] = [new Set(), new Set()];
  let [next, left] = [undefined, false];
  const tried = (work) => async () => {
    try {
      await work();
    } catch (error) {
      context.fail(error);
    }
  };
  const start = tried(async () => {
    const order = await askPlan();
    if (order) location.hash = `#/connectivity/${(await api.post("/connectivity/runs", order)).id}`;
  });
  const resume = tried(async () => {
    await api.post(`/connectivity/runs/${encodeURIComponent(id)}/resume`, {});
    await draw();
  });
  const again = tried(() => draw());
  const actions = (run) => [
    context.may("operator") && !id ? button(t("run.start"), start, { class: "primary", "data-action": "start" }) : null,
    context.may("operator") && run && !run.running && !run.ended ? button(t("run.resume"), resume, { "data-action": "resume" }) : null,
    button(t("run.refresh"), again),
  ];
  const draw = async () => {
    clearTimeout(next);
    const run = id ? await api.get(`/connectivity/runs/${encodeURIComponent(id)}`) : undefined;
    const runs = id ? [run] : await allRuns();
    if (left) return;
    for (const each of run?.cases ?? []) {
      if (each.state !== "failed" || explained.has(each.id)) continue;
      explained.add(each.id);
      opened.add(each.id);
    }
    show(place, run ? runPart(run, opened) : listPart(runs));
    show(doing, actions(run));
    if (runs.some((each) => each.running)) next = setTimeout(again, FOLLOW_MS);
  };
  show(context.place, place, doing);
  await draw();
  context.listen((kind) => {
    if (kind !== "message" && kind !== "resync") return;
    clearTimeout(next);
    next = setTimeout(again, SETTLED_MS);
  });
  return () => {
    left = true;
    clearTimeout(next);
  };
}
