// Certificate exchange: what partners ask us to trust, what we ask of them. A person decides.

import * as api from "./api.js";
import { ask, askReason, toast } from "./dialog.js";
import { button, h, table } from "./dom.js";
import { day, fingerprint, when } from "./format.js";
import { t } from "./text.js";

const path = (exchange, action) => `/certificate-exchanges/${encodeURIComponent(exchange.id)}/${action}`;
const verdict = (certificate) => (certificate.accepted === undefined ? null : h("span", { class: `chip ${certificate.accepted ? "up" : "error"}` }, t(certificate.accepted ? "exchange.accepted" : "exchange.rejected")));

const described = (certificate) => h("div", { class: "exchanged" },
  h("div", {}, certificate.subject ?? "?", " ", verdict(certificate)),
  h("div", { class: "muted" }, [certificate.uses.map((use) => t(`use.${use}`)).join(", "), certificate.algorithm, certificate.not_after && `${day(certificate.not_before)} – ${day(certificate.not_after)}`].filter(Boolean).join(" · ")),
  h("code", { class: "fingerprint" }, fingerprint(certificate.fingerprint)),
  certificate.reason ? h("div", { class: "muted" }, certificate.reason) : null);

// The fingerprints stand in the dialog: they are what is agreed to.
function askToAccept(exchange) {
  const checked = h("input", { type: "checkbox", name: "checked" });
  return ask({
    title: t("exchange.accept"),
    text: t("exchange.accept.explain", exchange.partner),
    fields: [exchange.certificates.map(described), h("label", { class: "check" }, checked, " ", t("exchange.checked"))],
    valid: () => (checked.checked ? undefined : t("exchange.checked.missing")),
    value: () => true,
  });
}

async function askPartner() {
  const { partners } = await api.get("/partners");
  const able = partners.filter((partner) => partner.enabled && partner.profile !== "dxp");
  const chosen = h("select", { name: "partner" }, able.map((partner) => h("option", { value: partner.id }, partner.name ?? partner.id)));
  return ask({ title: t("exchange.ask"), text: t("exchange.ask.explain"), fields: h("label", {}, t("partner"), chosen), value: () => chosen.value });
}

function actions(context, exchange, change) {
  if (!context.may("admin") || exchange.direction !== "inbound" || exchange.state !== "open") return null;
  const accept = async () => {
    if (await askToAccept(exchange)) await change(path(exchange, "accept"), {});
  };
  const reject = async () => {
    const reason = await askReason(t("exchange.reject"), t("exchange.reject.explain"), true);
    if (reason) await change(path(exchange, "reject"), { reason });
  };
  return h("div", { class: "buttons" }, button(t("exchange.accept"), accept, { "data-exchange": "accept" }), button(t("exchange.reject"), reject, { "data-exchange": "reject" }));
}

// The exchanges as a section of the page of certificates; `refresh` shows that page again.
export async function exchangesSection(context, refresh) {
  const { exchanges } = await api.get("/certificate-exchanges");
  const change = async (where, body) => {
    try {
      await api.post(where, body);
      toast(t("done"));
      await refresh();
    } catch (error) {
      context.fail(error);
    }
  };
  const send = async () => {
    try {
      const partner = await askPartner();
      if (partner) await change("/certificate-exchanges", { partner });
    } catch (error) {
      context.fail(error);
    }
  };
  return h("section", { id: "exchanges" }, h("h2", {}, t("exchanges")), h("p", { class: "muted" }, t("exchanges.explain")),
    table([
      { head: t("partner"), cell: (each) => [each.partner, h("div", { class: "muted" }, t(`exchange.direction.${each.direction}`))] },
      { head: t("exchange.certificates"), cell: (each) => each.certificates.map(described) },
      { head: t("exchange.asked"), cell: (each) => h("a", { href: `#/message/${each.id}` }, when(each.asked)) },
      { head: t("exchange.respond_by"), class: "detail", cell: (each) => day(each.respond_by) },
      { head: t("exchange.state"), cell: (each) => [h("span", { class: `chip ${each.state === "open" ? "warning" : "off"}` }, t(`exchange.${each.state}`)), each.answer ? h("div", { class: "muted" }, h("a", { href: `#/message/${each.answer.message}` }, when(each.answer.at)), " · ", each.answer.by) : null, actions(context, each, change)] },
    ], exchanges, t("exchanges.none")),
    context.may("admin") ? h("div", { class: "buttons" }, button(t("exchange.ask"), send, { "data-exchange": "ask" })) : null);
}
