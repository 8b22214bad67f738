// Questions that want an answer before something is done.

import { button, h } from "./dom.js";
import { t } from "./text.js";

// Opens a dialog; resolves with what `value` gives when it is confirmed, else with undefined. `fields` go into it; `valid` says what is missing.
export function ask({ title, text, fields, confirm, danger, valid, value }) {
  return new Promise((resolve) => {
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    let answer;
    const dialog = h("dialog", { "aria-label": title, onclose: () => { dialog.remove(); resolve(answer); } },
      h("form", {
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          const missing = valid?.();
          problem.hidden = !missing;
          problem.textContent = missing ?? "";
          if (missing) return;
          answer = value();
          dialog.close();
        },
      },
      h("h2", {}, title), text ? h("p", {}, text) : null, fields, problem,
      h("div", { class: "buttons" },
        button(t("cancel"), () => dialog.close()),
        h("button", { type: "submit", class: danger ? "danger" : "primary" }, confirm ?? title))));
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("input, textarea, select")?.focus();
  });
}

// Asks why; undefined when the person thought better of it.
export function askReason(title, text, danger) {
  const reason = h("textarea", { name: "reason", rows: 3, maxlength: 500, required: true });
  return ask({
    title, text, danger,
    fields: h("label", {}, t("reason"), reason),
    valid: () => (reason.value.trim() ? undefined : t("reason.missing")),
    value: () => reason.value.trim(),
  });
}

// Says that something was done.
export function toast(text) {
  const note = h("div", { class: "toast", role: "status" }, text);
  document.body.append(note);
  setTimeout(() => note.remove(), 4000);
}
