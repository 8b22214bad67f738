// Signing in, and making the first administrator.

import * as api from "./api.js";
import { button, h, show } from "./dom.js";
import { language, setLanguage, t } from "./text.js";

const field = (label, attributes) => {
  const input = h("input", attributes);
  return [input, h("label", {}, label, input)];
};

// A form with one problem line; `submit` may throw.
function form(title, fields, label, submit) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: "primary" }, label);
  return h("form", {
    class: "enter",
    onsubmit: async (event) => {
      event.preventDefault();
      problem.hidden = true;
      send.disabled = true;
      try {
        await submit();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
      send.disabled = false;
    },
  }, h("h1", {}, title), fields, problem, send);
}

function signInForm(then) {
  const [name, nameLabel] = field(t("user.name"), { name: "name", autocomplete: "username", required: true, maxlength: 64, autofocus: true });
  const [password, passwordLabel] = field(t("user.password"), { name: "password", type: "password", autocomplete: "current-password", required: true });
  const [code, codeLabel] = field(t("user.code"), { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 8 });
  return form(t("sign-in"), [nameLabel, passwordLabel, codeLabel], t("sign-in"), async () => then(await api.signIn(name.value, password.value, code.value)));
}

function setupForm(link, then) {
  const [name, nameLabel] = field(t("user.name"), { name: "name", autocomplete: "username", required: true, maxlength: 64, autofocus: true });
  const [password, passwordLabel] = field(t("user.password.new"), { name: "password", type: "password", autocomplete: "new-password", required: true, minlength: 12 });
  return form(t("setup"), [h("p", {}, t("setup.explain")), nameLabel, passwordLabel], t("setup.do"), async () => then(await api.setUp(link, name.value, password.value)));
}

// Shows the form that fits and calls `then(session)`.
export async function enterPage(app, then) {
  const draw = (open) => {
    const link = location.pathname === "/setup" ? location.hash.slice(1) : "";
    const other = language() === "zh" ? "en" : "zh";
    show(app, h("main", { class: "door" },
      h("div", { class: "brand" }, "dxgate"),
      open && link ? setupForm(link, then) : signInForm(then),
      open && !link ? h("p", { class: "notice" }, t("setup.hint")) : null,
      button(t("language.other"), () => { setLanguage(other); document.documentElement.lang = other === "zh" ? "zh-CN" : "en"; draw(open); }, { id: "language" })));
    document.title = "dxgate";
    app.querySelector("input")?.focus();
  };
  const { open } = await api.get("/setup").catch(() => ({ open: false }));
  draw(open);
}
