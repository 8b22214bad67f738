// The first page: what goes on, and what needs a person.

import * as api from "./api.js";
import { alarms, silences, tester } from "./alerts.js";
import { trafficChart } from "./chart.js";
import { button, h, show, table } from "./dom.js";
import { ago, day, number, said } from "./format.js";
import { t } from "./text.js";

// A certificate that ends sooner is named on this page.
const SOON_DAYS = 60;
const REFRESH_MS = 60_000;
// Messages whose alerts are shown: at first, and at most in one answer of the API.
const FEW = 50;
const MOST = 500;
// Many events become one refresh.
const GATHER_MS = 800;

const tile = (name, value, href, alarming) => h("a", { class: "tile", href, "data-alarm": alarming ? "yes" : undefined },
  h("span", { class: "value", "data-figure": name }, value), h("span", { class: "label" }, t(`tile.${name}`)));

function tiles(queue) {
  const oldest = queue.oldest ? ago(queue.oldest.since) : "–";
  return h("div", { class: "tiles" },
    tile("waiting", number(queue.waiting), "#/messages?state=queued,composed,sending,awaiting-receipt"),
    tile("oldest", oldest, queue.oldest ? `#/message/${queue.oldest.id}` : "#/messages"),
    tile("failed", number(queue.failed), "#/messages?state=failed", queue.failed > 0),
    tile("held", number(queue.held), "#/messages?state=held", queue.held > 0),
    tile("unpublished", number(queue.unpublished), "#/messages"));
}

function partners(list) {
  const state = (partner) => (!partner.enabled ? "off" : partner.paused ? "paused" : partner.down ? "down" : "up");
  return table([
    { head: t("partner"), cell: (partner) => h("a", { href: `#/partners/${encodeURIComponent(partner.id)}` }, partner.name ?? partner.id) },
    { head: t("state"), cell: (partner) => h("span", { class: `chip ${state(partner)}` }, t(`partner.${state(partner)}`)) },
    { head: t("tile.waiting"), class: "number", cell: (partner) => number(partner.waiting) },
  ], list, t("no-partners"));
}

function expiring(certificates) {
  const soon = certificates.filter((certificate) => certificate.days_left < SOON_DAYS).sort((a, b) => a.days_left - b.days_left);
  return table([
    { head: t("certificate.owner"), cell: (certificate) => (certificate.owner === "station" ? t("own") : certificate.partner) },
    { head: t("certificate.subject"), cell: (certificate) => certificate.subject },
    { head: t("certificate.not_after"), cell: (certificate) => `${day(certificate.not_after)} · ${t("days-left", certificate.days_left)}` },
  ], soon, t("none-expires"));
}

// That there are more alerts than are shown, and the way to them.
function further(shown, more) {
  return h("p", { class: "muted", "data-further": "" }, t("needs-person.more", number(shown)), " ",
    shown < MOST ? button(t("needs-person.show-more"), more) : t("needs-person.all"));
}

// Shows the page and keeps it true.
export async function nowPage(context) {
  const summary = h("div");
  const chart = h("div");
  const open = h("section", {});
  const silenced = h("section", {});
  const side = h("div", { class: "columns" });
  show(context.place, h("h1", {}, t("page.now")), summary, chart, open, silenced, tester(context), side);

  let shown = FEW;
  const more = () => { shown = Math.min(shown * 2, MOST); look(); };

  async function load() {
    const [state, queue, figures, alerts, silent, partnerList, certificates] = await Promise.all([
      api.get("/summary"), api.get("/queue"), api.get("/figures"), api.get(`/alerts?limit=${shown}`), api.get("/alerts/silences"), api.get("/partners"), api.get("/certificates"),
    ]);
    show(summary, state.ready ? null : h("div", { class: "problem", role: "alert" }, state.reasons.map((reason) => h("p", {}, said(reason.text)))), tiles(queue));
    show(chart, h("h2", {}, t("traffic")), trafficChart(figures.hours), figures.complete ? null : h("p", { class: "muted" }, t("traffic.incomplete")));
    show(open, h("h2", {}, t("needs-person")), alarms(alerts.alerts, context, load), alerts.next ? further(shown, more) : null);
    show(silenced, silences(silent.silences, context, load));
    show(side,
      h("section", {}, h("h2", {}, t("page.partners")), partners(partnerList.partners)),
      h("section", {}, h("h2", {}, t("expiring")), expiring(certificates.certificates)));
  }

  let pending;
  let trouble;
  // What cannot be read is said once, and no longer when it can be.
  async function look() {
    const failed = await load().then(() => undefined, (error) => error);
    trouble?.remove();
    trouble = failed && context.fail(failed);
  }
  const later = () => { pending ??= setTimeout(() => { pending = undefined; look(); }, GATHER_MS); };
  context.listen(later);
  await look();
  const timer = setInterval(later, REFRESH_MS);
  return () => { clearInterval(timer); clearTimeout(pending); };
}
