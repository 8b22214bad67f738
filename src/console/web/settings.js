// How the console looks, the person's own account, and for administrators users, tokens and backups.

import * as api from "./api.js";
import { ask, toast } from "./dialog.js";
import { button, facts, h, show, table } from "./dom.js";
import { number, size, when, zone } from "./format.js";
import { language, setLanguage, t } from "./text.js";

const LONGEST_TOKEN_DAYS = 366;
const THEME = "dxgate.theme";

const remembered = (name) => { try { return localStorage.getItem(name) ?? ""; } catch { return ""; } };
const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a browser that keeps nothing */ } };

// Light, dark, or what the system says.
export function applyTheme() {
  const theme = remembered(THEME);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

const choice = (label, name, options, current, changed) => h("label", {}, label,
  h("select", { name, onchange: (event) => changed(event.target.value) }, options.map(([value, text]) => h("option", { value, selected: value === current }, text))));

const looks = () => h("section", {}, h("h2", {}, t("looks")), h("div", { class: "filters" },
  choice(t("language"), "language", [["zh", "中文"], ["en", "English"]], language(), (value) => { setLanguage(value); location.reload(); }),
  choice(t("theme"), "theme", [["", t("theme.system")], ["light", t("theme.light")], ["dark", t("theme.dark")]], remembered(THEME), (value) => { remember(THEME, value); applyTheme(); }),
  choice(t("zone"), "zone", [["Asia/Shanghai", "Asia/Shanghai (UTC+8)"], ["UTC", "UTC"], ["local", t("zone.local")]], zone(), (value) => { remember("dxgate.zone", value); location.reload(); })));

const input = (name, label, attributes) => {
  const field = h("input", { name, ...attributes });
  return [field, h("label", {}, label, field)];
};

// Runs `work`, says that it was done or what is wrong.
const attempt = (context, work) => async () => {
  try {
    if ((await work()) !== false) toast(t("done"));
  } catch (error) {
    context.fail(error);
  }
};

function account(context, me, again) {
  const password = attempt(context, async () => {
    const [current, currentLabel] = input("current", t("user.password"), { type: "password", autocomplete: "current-password" });
    const [next, nextLabel] = input("password", t("user.password.new"), { type: "password", autocomplete: "new-password", minlength: 12 });
    const answer = await ask({ title: t("user.change-password"), fields: [currentLabel, nextLabel], valid: () => (next.value.length < 12 ? t("user.password.short") : undefined), value: () => ({ current: current.value, password: next.value }) });
    if (!answer) return false;
    return api.post("/session/password", answer);
  });
  const totp = attempt(context, async () => {
    const [current, currentLabel] = input("current", t("user.password"), { type: "password", autocomplete: "current-password" });
    const answer = await ask({ title: t(me.totp ? "totp.off" : "totp.on"), fields: currentLabel, value: () => ({ current: current.value }) });
    if (!answer) return false;
    if (me.totp) {
      await api.remove("/session/totp", answer);
    } else {
      const { secret, uri } = await api.post("/session/totp", answer);
      const [code, codeLabel] = input("code", t("user.code"), { inputmode: "numeric", maxlength: 8 });
      const confirmed = await ask({ title: t("totp.on"), text: t("totp.scan"), fields: [h("p", {}, h("a", { href: uri.startsWith("otpauth://") ? uri : "#/settings" }, t("totp.open"))), h("p", {}, h("code", { class: "secret" }, secret)), codeLabel], value: () => ({ code: code.value }) });
      if (!confirmed) return false;
      await api.post("/session/totp/confirm", confirmed);
    }
    return again();
  });
  return h("section", {}, h("h2", {}, t("account")), facts([[t("user.name"), me.name], [t("user.role"), t(`role.${me.role}`)], [t("totp"), me.kind === "user" ? t(me.totp ? "yes" : "no") : undefined], [t("session.until"), when(me.until)]]),
    me.kind === "user" ? h("div", { class: "buttons" }, button(t("user.change-password"), password), button(t(me.totp ? "totp.off" : "totp.on"), totp)) : null);
}

async function users(context, again) {
  const { users: list } = await api.get("/users");
  const roles = (current) => h("select", { name: "role" }, ["viewer", "operator", "admin"].map((role) => h("option", { value: role, selected: role === current }, t(`role.${role}`))));
  const add = attempt(context, async () => {
    const [name, nameLabel] = input("name", t("user.name"), { maxlength: 64 });
    const [password, passwordLabel] = input("password", t("user.password.new"), { type: "password", autocomplete: "new-password" });
    const role = roles("viewer");
    const answer = await ask({ title: t("user.add"), fields: [nameLabel, h("label", {}, t("user.role"), role), passwordLabel], valid: () => (name.value.trim() ? (password.value.length < 12 ? t("user.password.short") : undefined) : t("user.name.missing")), value: () => ({ name: name.value.trim(), role: role.value, password: password.value }) });
    if (!answer) return false;
    await api.post("/users", answer);
    return again();
  });
  const change = (user) => attempt(context, async () => {
    const role = roles(user.role);
    const answer = await ask({ title: t("user.change", user.name), fields: h("label", {}, t("user.role"), role), value: () => ({ role: role.value }) });
    if (!answer) return false;
    await api.patch(`/users/${encodeURIComponent(user.name)}`, answer);
    return again();
  });
  const drop = (user) => attempt(context, async () => {
    if (!(await ask({ title: t("user.remove", user.name), danger: true, value: () => true }))) return false;
    await api.remove(`/users/${encodeURIComponent(user.name)}`);
    return again();
  });
  return h("section", {}, h("h2", {}, t("users")), table([
    { head: t("user.name"), cell: (user) => user.name }, { head: t("user.role"), cell: (user) => t(`role.${user.role}`) }, { head: t("totp"), cell: (user) => t(user.totp ? "yes" : "no") },
    { head: t("user.last-login"), cell: (user) => when(user.last_login) },
    { head: "", cell: (user) => h("div", { class: "buttons" }, button(t("change"), change(user)), button(t("remove"), drop(user), { class: "danger" })) },
  ], list, t("users.none")), button(t("user.add"), add));
}

async function tokens(context, again) {
  const { tokens: list } = await api.get("/tokens");
  const add = attempt(context, async () => {
    const [name, nameLabel] = input("name", t("token.name"), { maxlength: 64 });
    const [days, daysLabel] = input("days", t("token.days"), { type: "number", min: 1, max: LONGEST_TOKEN_DAYS, value: "90" });
    const scope = h("select", { name: "scope" }, ["read", "operate", "admin"].map((each) => h("option", { value: each }, t(`scope.${each}`))));
    const answer = await ask({ title: t("token.add"), fields: [nameLabel, h("label", {}, t("token.scope"), scope), daysLabel], valid: () => (name.value.trim() ? undefined : t("token.name.missing")), value: () => ({ name: name.value.trim(), scope: scope.value, days: Number(days.value) }) });
    if (!answer) return false;
    const { token } = await api.post("/tokens", answer);
    await ask({ title: t("token.made"), text: t("token.once"), fields: h("p", {}, h("code", { class: "secret" }, token)), confirm: t("token.noted"), value: () => true });
    return again();
  });
  const drop = (token) => attempt(context, async () => {
    if (!(await ask({ title: t("token.remove", token.name), danger: true, value: () => true }))) return false;
    await api.remove(`/tokens/${encodeURIComponent(token.id)}`);
    return again();
  });
  return h("section", {}, h("h2", {}, t("tokens")), table([
    { head: t("token.name"), cell: (token) => token.name }, { head: t("token.scope"), cell: (token) => t(`scope.${token.scope}`) }, { head: t("token.expires"), cell: (token) => when(token.expires) },
    { head: t("token.last-used"), cell: (token) => when(token.last_used) }, { head: "", cell: (token) => button(t("remove"), drop(token), { class: "danger" }) },
  ], list, t("tokens.none")), button(t("token.add"), add));
}

async function backup() {
  const status = await api.get("/backup").catch(() => undefined);
  return h("section", {}, h("h2", {}, t("backup")), status ? facts([
    [t("state"), status.failed ? status.failed.code : t(status.running ? "backup.running" : status.sequence ? "backup.done" : "backup.none")],
    [t("size"), status.bytes ? size(status.bytes) : undefined], [t("files"), status.files ? number(status.files) : undefined],
  ]) : null, h("p", { class: "muted" }, t("backup.explain")));
}

// Shows the page.
export async function settingsPage(context) {
  const again = () => settingsPage(context);
  const [me, station] = await Promise.all([api.session(), api.get("/station").catch(() => undefined)]);
  show(context.place, h("h1", {}, t("page.settings")), looks(), account(context, me, again),
    station ? h("section", {}, h("h2", {}, t("station")), facts([[t("station.name"), station.name], ["DXPID", station.dxpid], [t("as2-name"), station.as2_name], [t("as2-url"), station.as2_url], [t("version"), station.version], [t("started"), when(station.started)]])) : null);
  if (context.may("admin")) context.place.append(await users(context, again), await tokens(context, again), await backup());
}
