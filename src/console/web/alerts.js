// Alerts: acknowledged, silenced for a while, and sent by every channel to see whether they arrive.

import * as api from "./api.js";
import { ask, askReason, toast } from "./dialog.js";
import { button, h, show, table } from "./dom.js";
import { said, when } from "./format.js";
import { t } from "./text.js";

const HOUR_MS = 3_600_000;
const HOURS = [1, 4, 24, 72, 168];

// Does something and says so; `again` shows what it came to.
async function change(context, again, path, body) {
  try {
    await api.post(path, body);
    toast(t("done"));
    await again();
  } catch (error) {
    context.fail(error);
  }
}

// Asks for how long and why.
async function silence(context, alert, again) {
  const reason = h("textarea", { name: "reason", rows: 3, maxlength: 500, required: true });
  const hours = h("select", { name: "hours" }, HOURS.map((each) => h("option", { value: each }, t("hours", each))));
  const chosen = await ask({
    title: t("silence"), text: t("silence.explain", [alert.code, alert.partner].filter(Boolean).join(" · ")),
    fields: [h("label", {}, t("silence.for"), hours), h("label", {}, t("reason"), reason)],
    valid: () => (reason.value.trim() ? undefined : t("reason.missing")),
    value: () => ({ until: new Date(Date.now() + Number(hours.value) * HOUR_MS).toISOString(), reason: reason.value.trim() }),
  });
  if (chosen) await change(context, again, "/alerts/silences", { code: alert.code, partner: alert.partner ?? undefined, ...chosen });
}

async function acknowledge(context, alert, again) {
  const reason = await askReason(t("acknowledge"), said(alert.text));
  if (reason) await change(context, again, `/alerts/${encodeURIComponent(alert.id)}/acknowledge`, { reason });
}

// What needs a person, with what a person may do about it.
export function alarms(alerts, context, again) {
  const buttons = (alert) => h("div", { class: "buttons" },
    button(t("acknowledge"), () => acknowledge(context, alert, again)), button(t("silence"), () => silence(context, alert, again), { "data-silence": alert.code }));
  return table([
    { head: t("alert.level"), cell: (alert) => h("span", { class: `chip ${alert.level}` }, t(`level.${alert.level}`)) },
    { head: t("alert.what"), cell: (alert) => [alert.message ? h("a", { href: `#/message/${alert.message}` }, said(alert.text)) : said(alert.text), h("div", { class: "muted code" }, alert.code)] },
    { head: t("partner"), cell: (alert) => alert.partner ?? "" },
    { head: t("alert.raised"), cell: (alert) => when(alert.raised) },
    { head: "", cell: (alert) => (alert.acknowledged ? h("span", { class: "muted" }, t("acknowledged")) : context.may("operator") ? buttons(alert) : null) },
  ], alerts, t("nothing-needs-you"));
}

// Silences that last; they can be ended.
export function silences(list, context, again) {
  if (!list.length) return null;
  const end = async (each) => {
    const reason = await askReason(t("silence.end"), t("silence.end.explain"));
    if (reason) await change(context, again, `/alerts/silences/${encodeURIComponent(each.id)}/end`, { reason });
  };
  return h("div", { "data-silences": "" }, h("h2", {}, t("silences")), table([
    { head: t("silence.of"), cell: (each) => h("span", { class: "code" }, [each.code ?? t("any"), each.partner].filter(Boolean).join(" · ")) },
    { head: t("silence.until"), cell: (each) => when(each.until) },
    { head: t("who"), cell: (each) => each.by },
    { head: t("reason"), class: "detail", cell: (each) => each.reason },
    { head: "", cell: (each) => (context.may("operator") ? button(t("silence.end"), () => end(each)) : null) },
  ], list, ""));
}

// Sends a test by every channel and shows what each said.
export function tester(context) {
  if (!context.may("operator")) return null;
  const result = h("div", { role: "status", "data-tested": "" });
  const test = async () => {
    show(result, h("p", { class: "muted" }, t("alerts.testing")));
    try {
      const { channels } = await api.post("/alerts/test", {});
      show(result, table([
        { head: t("alerts.channel"), cell: (each) => h("code", {}, each.channel) },
        { head: t("state"), cell: (each) => h("span", { class: `chip ${each.told ? "up" : "down"}` }, t(each.told ? "alerts.told" : "alerts.untold")) },
        { head: t("reason"), class: "detail", cell: (each) => each.failed ?? "" },
      ], channels, ""));
    } catch (error) {
      show(result, h("p", { class: "problem" }, error.message));
    }
  };
  return h("div", {}, h("div", { class: "buttons" }, button(t("alerts.test"), test, { id: "alerts-test" })), result);
}
