// Certificates of the station and its partners, their windows drawn along one line of time.

import * as api from "./api.js";
import { exchangesSection } from "./exchanges.js";
import { facts, h, show, svg, table } from "./dom.js";
import { day, fingerprint, when } from "./format.js";
import { t } from "./text.js";

const YEAR_MS = 365.25 * 86_400_000;
const WIDTH = 240;
const HEIGHT = 16;
const CHAIN = 6;

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

const owner = (certificate) => (certificate.owner === "station" ? t("own") : certificate.owner === "console" ? t("certificate.console") : certificate.partner);
const link = (certificate) => h("a", { href: `#/certificates/${certificate.fingerprint}` }, certificate.subject);
const begins = (certificate) => certificate.from ?? certificate.not_before;

// Of several for the same use the active one that began last is taken; the gateway chooses in the same way.
function rotation(certificates) {
  const groups = new Map();
  for (const each of certificates) {
    for (const use of [each.uses].flat()) {
      const name = [each.owner, each.partner, use].join();
      groups.set(name, [...(groups.get(name) ?? []), { use, ...each }]);
    }
  }
  const newest = (a, b) => new Date(begins(b)) - new Date(begins(a)) || new Date(b.not_before) - new Date(a.not_before);
  return [...groups.values()].map((group) => {
    const coming = group.filter((each) => new Date(begins(each)) > Date.now()).sort((a, b) => newest(b, a));
    return { owner: owner(group[0]), use: group[0].use, now: group.filter((each) => each.active).sort(newest)[0], next: coming[0] };
  });
}

function rotationTable(certificates) {
  return table([
    { head: t("certificate.owner"), cell: (each) => each.owner },
    { head: t("certificate.uses"), cell: (each) => t(`use.${each.use}`) },
    { head: t("rotation.now"), cell: (each) => (each.now ? [link(each.now), h("div", { class: "muted code" }, fingerprint(each.now.fingerprint.slice(0, 16)))] : h("span", { class: "chip error" }, t("rotation.none"))) },
    { head: t("rotation.until"), cell: (each) => (each.now ? [day(each.now.until ?? each.now.not_after), " ", left(each.now)] : "") },
    { head: t("rotation.next"), cell: (each) => (each.next ? [link(each.next), h("div", { class: "muted" }, t("rotation.from", when(begins(each.next))))] : "–") },
  ], rotation(certificates), t("certificates.none"));
}

// From a certificate up, as far as those that are configured go.
function chain(certificate, all) {
  const links = [certificate];
  while (links.length < CHAIN && links.at(-1).issuer !== links.at(-1).subject) {
    const issuer = all.find((each) => each.subject === links.at(-1).issuer && !links.includes(each));
    if (!issuer) break;
    links.push(issuer);
  }
  const last = links.at(-1);
  return h("ol", { class: "chain" }, links.map((each) => h("li", {}, each === certificate ? each.subject : link(each))),
    h("li", { class: "muted" }, last.issuer === last.subject ? t("certificate.self-signed") : t("certificate.issuer-elsewhere", last.issuer)));
}
const uses = (certificate) => [certificate.uses].flat().map((use) => t(`use.${use}`)).join(", ");
const left = (certificate) => h("span", { class: `chip ${certificate.days_left < 14 ? "error" : certificate.days_left < 60 ? "warning" : "up"}` }, t("days-left", certificate.days_left));

function one(context, certificates, wanted) {
  const found = certificates.filter((each) => each.fingerprint === wanted);
  show(context.place, h("p", {}, h("a", { href: "#/certificates" }, `← ${t("page.certificates")}`)), h("h1", {}, t("certificate")),
    found.length ? found.map((each) => h("section", {}, bar(each), facts([
      [t("certificate.owner"), owner(each)], [t("certificate.uses"), uses(each)], [t("certificate.subject"), each.subject], [t("certificate.issuer"), each.issuer],
      [t("certificate.serial"), h("code", {}, each.serial)], [t("certificate.algorithm"), each.algorithm], [t("certificate.fingerprint"), h("code", {}, fingerprint(each.fingerprint))],
      [t("certificate.not_before"), day(each.not_before)], [t("certificate.not_after"), [day(each.not_after), " ", left(each)]],
      [t("certificate.from"), day(each.from)], [t("certificate.planned-until"), day(each.until)], [t("certificate.active"), t(each.active ? "yes" : "no")],
      [t("certificate.chain"), chain(each, certificates)],
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
      { head: t("certificate.uses"), cell: uses },
      { head: t("certificate.subject"), cell: (each) => h("a", { href: `#/certificates/${each.fingerprint}` }, each.subject) },
      { head: t("certificate.window"), cell: bar },
      { head: t("certificate.not_after"), cell: (each) => [day(each.not_after), " ", left(each)] },
      { head: t("certificate.active"), cell: (each) => t(each.active ? "yes" : "no") },
      { head: t("certificate.fingerprint"), class: "detail", cell: (each) => h("code", {}, fingerprint(each.fingerprint.slice(0, 16))) },
    ], sorted, t("certificates.none")),
    h("section", { id: "rotation" }, h("h2", {}, t("rotation")), h("p", { class: "muted" }, t("rotation.explain")), rotationTable(sorted)),
    await exchangesSection(context, () => certificatesPage(context)));
}
