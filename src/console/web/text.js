// The words of the console in Chinese and English.

import { WORDS } from "./words.js";

const KEPT = "dxgate.language";
let chosen;

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

// `zh` or `en`: what the person chose, else what the browser prefers.
export function language() {
  chosen ??= remembered() ?? (navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en");
  return chosen;
}

export function setLanguage(to) {
  chosen = to;
  try {
    localStorage.setItem(KEPT, to);
  } catch { /* a browser that keeps nothing */ }
}

// The word for `key`, with `{0}`, `{1}` … replaced. A name that the gateway knows and the page does not is shown as it is.
export function t(key, ...values) {
  const pair = WORDS[key];
  if (!pair) return key.slice(key.indexOf(".") + 1);
  return pair[language() === "zh" ? 0 : 1].replace(/\{(\d)\}/g, (_, index) => String(values[Number(index)] ?? ""));
}
