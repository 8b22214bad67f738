// Values as people read them.

import { language, t } from "./text.js";

const stored = (name, fallback) => {
  try {
    return localStorage.getItem(name) ?? fallback;
  } catch {
    return fallback;
  }
};

export const zone = () => stored("dxgate.zone", "Asia/Shanghai");

function formatted(instant, options) {
  const locale = language() === "zh" ? "zh-CN" : "en-GB";
  const timeZone = zone() === "local" ? undefined : zone();
  return new Intl.DateTimeFormat(locale, { ...options, timeZone, hourCycle: "h23" }).format(new Date(instant));
}

// The instant of a wall clock's reading (`2026-03-01T09:30`) in the zone that times are shown in.
export function instant(reading) {
  if (zone() === "local") return new Date(reading).toISOString();
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const clock = new Intl.DateTimeFormat("sv-SE", { ...parts, timeZone: zone() });
  const wanted = new Date(`${reading}Z`).getTime();
  const ahead = (at) => new Date(`${clock.format(new Date(at)).replace(" ", "T")}Z`).getTime() - at;
  // The second look is for a clock that was changed between the two.
  return new Date(wanted - ahead(wanted - ahead(wanted))).toISOString();
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

export const when = (instant) => (instant ? formatted(instant, { ...DAY, ...CLOCK }) : "");
export const day = (instant) => (instant ? formatted(instant, DAY) : "");
export const hour = (instant) => formatted(instant, { hour: "2-digit" });

export function ago(instant) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(instant)) / 1000));
  if (seconds < 60) return t("ago.seconds", seconds);
  if (seconds < 3600) return t("ago.minutes", Math.floor(seconds / 60));
  if (seconds < 86400) return t("ago.hours", Math.floor(seconds / 3600));
  return t("ago.days", Math.floor(seconds / 86400));
}

export function size(bytes) {
  if (bytes === undefined || bytes === null) return "";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export const number = (value) => new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en-GB").format(value ?? 0);

// A fingerprint in groups, so that two can be compared by eye.
export const fingerprint = (hex) => (hex ? hex.match(/.{1,4}/g).join(" ") : "");

// A text of the API in the language of the page.
export const said = (text) => text?.[language()] ?? text?.en ?? "";
