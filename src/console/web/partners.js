// Partners: what was agreed, whether they can be reached, pausing them.

import { agreementFacts, profileWord } from "./agreement.js";
import * as api from "./api.js";
import { askReason, toast } from "./dialog.js";
import { button, facts, h, show, table } from "./dom.js";
import { day, fingerprint, number, said, when } from "./format.js";
import { t } from "./text.js";

const state = (partner) => (!partner.enabled ? "off" : partner.paused ? "paused" : partner.down ? "down" : "up");
const stateChip = (partner) => h("span", { class: `chip ${state(partner)}` }, t(`partner.${state(partner)}`));

const findingsTable = (findings) => table([
  { head: t("alert.level"), cell: (finding) => h("span", { class: `chip ${finding.severity}` }, t(`level.${finding.severity}`)) },
  { head: t("alert.what"), cell: (finding) => [said(finding.text), h("div", { class: "muted code" }, [finding.code, finding.key, finding.line && `${t("line")} ${finding.line}`].filter(Boolean).join(" · "))] },
], findings, t("check.fine"));

async function list(context) {
  const result = h("div", { role: "status" });
  const { partners } = await api.get("/partners");
  const reload = async () => {
    try {
      const { findings } = await api.post("/partners/reload", {});
      toast(t("done"));
      await partnersPage(context);
      context.place.append(h("section", {}, h("h2", {}, t("check")), findingsTable(findings)));
    } catch (error) {
      context.fail(error);
    }
  };
  show(context.place, h("h1", {}, t("page.partners")),
    table([
      { head: t("partner"), cell: (partner) => h("a", { href: `#/partners/${encodeURIComponent(partner.id)}` }, partner.name ?? partner.id) },
      { head: t("state"), cell: stateChip },
      { head: t("as2-name"), cell: (partner) => h("code", {}, partner.as2_name) },
      { head: t("profile"), cell: (partner) => profileWord(partner.profile) },
      { head: "URL", class: "detail", cell: (partner) => partner.url },
      { head: t("tile.waiting"), class: "number", cell: (partner) => number(partner.waiting) },
      { head: t("certificate.until"), cell: (partner) => day(partner.certificate_until) },
    ], partners, t("no-partners")),
    context.may("admin") ? h("div", { class: "buttons" }, button(t("partners.reload"), reload)) : null, result);
}

async function one(context) {
  const id = context.argument;
  const path = `/partners/${encodeURIComponent(id)}`;
  const partner = await api.get(path);
  const result = h("div", { role: "status" });
  const check = async () => {
    try {
      const { findings } = await api.post(`${path}/check`, {});
      show(result, h("h2", {}, t("check")), findingsTable(findings));
    } catch (error) {
      context.fail(error);
    }
  };
  const turn = async (action) => {
    const reason = await askReason(t(`partner.${action}`), t(`partner.${action}.explain`));
    if (!reason) return;
    try {
      await api.post(`${path}/${action}`, { reason });
      toast(t("done"));
      await one(context);
    } catch (error) {
      context.fail(error);
    }
  };
  show(context.place,
    h("p", {}, h("a", { href: "#/partners" }, `← ${t("page.partners")}`)),
    h("h1", {}, partner.name ?? partner.id, " ", stateChip(partner)),
    partner.paused ? h("p", { class: "notice" }, `${when(partner.paused.at)} · ${partner.paused.by} · ${partner.paused.reason}`) : null,
    h("div", { class: "buttons" }, button(t("check"), check),
      context.may("operator") ? button(t(partner.paused ? "partner.resume" : "partner.pause"), () => turn(partner.paused ? "resume" : "pause")) : null,
      h("a", { class: "button", href: `#/messages?partner=${encodeURIComponent(id)}` }, t("partner.messages"))),
    result,
    h("div", { class: "columns" },
      h("section", {}, h("h2", {}, t("identity")), facts([
        [t("as2-name"), h("code", {}, partner.as2_name)], [t("profile"), profileWord(partner.profile)], ["URL", partner.url], [t("tile.waiting"), number(partner.waiting)],
      ])),
      h("section", { id: "agreement" }, h("h2", {}, t("agreement")), facts(agreementFacts(partner.agreement ?? [])))),
    h("section", {}, h("h2", {}, t("page.certificates")), table([
      { head: t("certificate.subject"), cell: (each) => each.subject },
      { head: t("certificate.uses"), cell: (each) => [each.uses].flat().map((use) => t(`use.${use}`)).join(", ") },
      { head: t("certificate.until"), cell: (each) => day(each.not_after) },
      { head: t("certificate.fingerprint"), cell: (each) => h("a", { href: `#/certificates/${each.fingerprint}` }, h("code", {}, fingerprint(each.fingerprint))) },
    ], partner.certificates ?? [], t("certificates.none"))),
    (partner.waivers ?? []).length ? h("section", {}, h("h2", {}, t("waivers")), table([
      { head: t("waiver"), cell: (waiver) => h("span", { class: "chip error" }, waiver.algorithm) }, { head: t("certificate.until"), cell: (waiver) => day(waiver.until) },
      { head: t("reason"), class: "detail", cell: (waiver) => waiver.reason },
    ], partner.waivers, "")) : null);
}

// Shows all partners, or one.
export const partnersPage = (context) => (context.argument ? one(context) : list(context));
