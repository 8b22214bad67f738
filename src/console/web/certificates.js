// Certificates of the station and its partners, their windows drawn along one line of time.

import * as api from "./api.js";
import { facts, h, show, svg, table } from "./dom.js";
import { day, fingerprint } from "./format.js";
import { t } from "./text.js";

const YEAR_MS = 365.25 * 86_400_000;
const WIDTH = 240;
const HEIGHT = 16;

const key = (certificate) => [certificate.owner, certificate.partner, certificate.fingerprint].join();

// The span that all windows are drawn in: a year back, three ahead.
function bar(certificate) {
  const now = Date.now();
  const from = now - YEAR_MS;
  const to = now + 3 * YEAR_MS;
  const x = (instant) => Math.min(WIDTH, Math.max(0, ((new Date(instant) - from) / (to - from)) * WIDTH));
  const begin = x(certificate.from ?? certificate.not_before);
  const end = x(certificate.until ?? certificate.not_after);
  return svg("svg", { class: "window", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${day(certificate.not_before)} – ${day(certificate.not_after)}` },
    svg("rect", { class: "track", x: 0, y: 5, width: WIDTH, height: 6 }),
    svg("rect", { class: "valid", x: x(certificate.not_before), y: 5, width: Math.max(1, x(certificate.not_after) - x(certificate.not_before)), height: 6 }),
    svg("rect", { class: certificate.active ? "used" : "idle", x: begin, y: 3, width: Math.max(2, end - begin), height: 10 }),
    svg("line", { class: "today", x1: x(now), x2: x(now), y1: 0, y2: HEIGHT }));
}

const owner = (certificate) => (certificate.owner === "station" ? t("own") : certificate.partner);
const left = (certificate) => h("span", { class: `chip ${certificate.days_left < 14 ? "error" : certificate.days_left < 60 ? "warning" : "up"}` }, t("days-left", certificate.days_left));

function one(context, certificates, wanted) {
  const found = certificates.filter((each) => each.fingerprint === wanted);
  show(context.place, h("p", {}, h("a", { href: "#/certificates" }, `← ${t("page.certificates")}`)), h("h1", {}, t("certificate")),
    found.length ? found.map((each) => h("section", {}, bar(each), facts([
      [t("certificate.owner"), owner(each)], [t("certificate.uses"), [each.uses].flat().join(", ")], [t("certificate.subject"), each.subject], [t("certificate.issuer"), each.issuer],
      [t("certificate.serial"), h("code", {}, each.serial)], [t("certificate.algorithm"), each.algorithm], [t("certificate.fingerprint"), h("code", {}, fingerprint(each.fingerprint))],
      [t("certificate.not_before"), day(each.not_before)], [t("certificate.not_after"), [day(each.not_after), " ", left(each)]],
      [t("certificate.from"), day(each.from)], [t("certificate.planned-until"), day(each.until)], [t("certificate.active"), t(each.active ? "yes" : "no")],
      [t("certificate.chain"), each.issuer === each.subject ? t("certificate.self-signed") : each.issuer],
    ]))) : [h("p", {}, t("certificate.past")), h("p", {}, h("code", {}, fingerprint(wanted)))]);
}

// Shows all certificates, or one by its fingerprint.
export async function certificatesPage(context) {
  const { certificates } = await api.get("/certificates");
  if (context.argument) return one(context, certificates, context.argument);
  const sorted = [...certificates].sort((a, b) => (owner(a) === owner(b) ? a.days_left - b.days_left : a.owner === "station" ? -1 : b.owner === "station" ? 1 : key(a) < key(b) ? -1 : 1));
  show(context.place, h("h1", {}, t("page.certificates")), h("p", { class: "muted" }, t("certificates.explain")),
    table([
      { head: t("certificate.owner"), cell: owner },
      { head: t("certificate.uses"), cell: (each) => [each.uses].flat().join(", ") },
      { head: t("certificate.subject"), cell: (each) => h("a", { href: `#/certificates/${each.fingerprint}` }, each.subject) },
      { head: t("certificate.window"), cell: bar },
      { head: t("certificate.not_after"), cell: (each) => [day(each.not_after), " ", left(each)] },
      { head: t("certificate.active"), cell: (each) => t(each.active ? "yes" : "no") },
      { head: t("certificate.fingerprint"), class: "detail", cell: (each) => h("code", {}, fingerprint(each.fingerprint.slice(0, 16))) },
    ], sorted, t("certificates.none")));
}
