// A file checked before it is sent: findings beside the lines that they are about.

import * as api from "./api.js";
import { h, show } from "./dom.js";
import { language, t } from "./text.js";
import { number, said } from "./format.js";

// Of larger files only the surroundings of the findings are shown.
const WHOLE_LINES = 4000;
const AROUND = 3;
const MOST_BYTES = 64 * 1024 * 1024;

// The text in the encoding that the file declares; what cannot be read that way shows as such.
function decoded(buffer) {
  const head = new TextDecoder("latin1").decode(buffer.slice(0, 200));
  const declared = head.match(/encoding\s*=\s*["']([A-Za-z0-9._-]+)["']/)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(declared).decode(buffer);
  } catch {
    return new TextDecoder("utf-8").decode(buffer);
  }
}

const message = (finding) => (language() === "zh" ? finding.message_zh : finding.message_en);

// The numbered lines worth showing; a gap is null.
function shownLines(lines, findings) {
  if (lines.length <= WHOLE_LINES) return lines.map((text, index) => [index + 1, text]);
  const wanted = new Set();
  for (const { line } of findings) for (let at = Math.max(1, line - AROUND); at <= Math.min(lines.length, line + AROUND); at += 1) wanted.add(at);
  const shown = [];
  for (const at of [...wanted].sort((a, b) => a - b)) {
    if (shown.length && shown.at(-1)[0] !== at - 1) shown.push(null);
    shown.push([at, lines[at - 1]]);
  }
  return shown;
}

function source(text, findings) {
  const byLine = Map.groupBy(findings, (finding) => finding.line);
  return h("div", { class: "source", tabindex: "0", role: "region", "aria-label": t("precheck.source") },
    shownLines(text.split("\n"), findings).map((shown) => {
      if (!shown) return h("div", { class: "gap" }, "⋯");
      const [at, line] = shown;
      const here = byLine.get(at) ?? [];
      const level = here.some((finding) => finding.level === "error") ? "error" : here.length ? "warning" : undefined;
      const column = here.length ? Math.min(...here.map((finding) => finding.column || 1)) : 0;
      const words = column > 1 ? [line.slice(0, column - 1), h("mark", {}, line.slice(column - 1))] : here.length ? [h("mark", {}, line)] : [line];
      return h("div", { class: "line", "data-line": at, "data-level": level, title: here.map(message).join("\n") || undefined }, h("span", { class: "line-number" }, at), h("span", { class: "line-text" }, words));
    }));
}

function findingsList(findings, reveal) {
  return h("ol", { class: "findings" }, findings.map((finding) => h("li", { class: finding.level },
    h("button", { type: "button", onclick: () => reveal(finding.line) },
      h("span", { class: `chip ${finding.level}` }, t(`level.${finding.level}`)), ` ${finding.rule} · ${t("line")} ${finding.line}`),
    h("p", {}, message(finding)),
    h("p", { class: "muted code" }, [finding.path, finding.key, finding.value, finding.customs_code && `${t("customs-code")} ${finding.customs_code}`].filter(Boolean).join(" · ")))));
}

// Checks one file and shows what was found.
async function check(file, place) {
  if (file.size > MOST_BYTES) return show(place, h("p", { class: "problem", role: "alert" }, t("precheck.too-large")));
  show(place, h("p", { role: "status" }, t("precheck.running", file.name)));
  const [report, text] = await Promise.all([api.upload(`/precheck${api.query({ name: file.name })}`, file), file.arrayBuffer().then(decoded)]);
  const errors = report.findings.filter((finding) => finding.level === "error").length;
  const view = source(text, report.findings);
  const reveal = (line) => {
    view.querySelector(".revealed")?.classList.remove("revealed");
    const target = view.querySelector(`[data-line="${line}"]`);
    target?.classList.add("revealed");
    target?.scrollIntoView({ block: "center" });
  };
  show(place,
    h("p", { class: errors ? "problem" : "notice", role: "status", "data-verdict": report.verdict },
      t(errors ? "precheck.bad" : "precheck.good", report.name, errors, report.findings.length - errors)),
    h("p", { class: "muted" }, [report.message_type, t("documents-count", number(report.documents)), report.findings_left_out ? t("precheck.left-out", report.findings_left_out) : ""].filter(Boolean).join(" · ")),
    h("div", { class: "columns precheck" }, findingsList(report.findings, reveal), view));
  if (report.findings.length) reveal(report.findings[0].line);
}

// Shows the page.
export async function precheckPage(context) {
  const result = h("div");
  const take = (files) => {
    if (files?.[0]) check(files[0], result).catch((error) => show(result, h("p", { class: "problem", role: "alert" }, error.message || said(error.text))));
  };
  const input = h("input", { type: "file", accept: ".xml,text/xml,application/xml", name: "file", onchange: (event) => { take(event.target.files); event.target.value = ""; } });
  const zone = h("label", {
    class: "drop",
    ondragover: (event) => { event.preventDefault(); zone.dataset.over = "yes"; },
    ondragleave: () => delete zone.dataset.over,
    ondrop: (event) => { event.preventDefault(); delete zone.dataset.over; take(event.dataTransfer.files); },
  }, h("span", {}, t("precheck.drop")), input);
  show(context.place, h("h1", {}, t("page.precheck")), h("p", { class: "muted" }, t("precheck.explain")), zone, result);
}
