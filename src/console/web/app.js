// The frame of the console: who is signed in, which page is shown, what the gateway says meanwhile.

import * as api from "./api.js";
import { toast } from "./dialog.js";
import { button, h, show } from "./dom.js";
import { when } from "./format.js";
import { language, setLanguage, t } from "./text.js";
import { applyTheme } from "./settings.js";
import { enterPage } from "./enter.js";
import { nowPage } from "./now.js";
import { messagesPage } from "./messages.js";
import { messagePage } from "./message.js";
import { declarationsPage } from "./declarations.js";
import { precheckPage } from "./precheck.js";
import { partnersPage } from "./partners.js";
import { certificatesPage } from "./certificates.js";
import { connectivityPage } from "./connectivity.js";
import { auditPage } from "./audit.js";
import { settingsPage } from "./settings.js";

const PAGES = [
  ["now", nowPage], ["messages", messagesPage], ["declarations", declarationsPage], ["precheck", precheckPage], ["partners", partnersPage],
  ["certificates", certificatesPage], ["connectivity", connectivityPage], ["audit", auditPage], ["settings", settingsPage],
];
const ROLES = ["viewer", "operator", "admin"];
const SCOPES = { read: "viewer", operate: "operator", admin: "admin" };

const app = document.getElementById("app");
let session;
let leave = () => {};
let stopListening = () => {};
let main;
let connection;

// Whether the person may do what wants `role`.
const may = (role) => ROLES.indexOf(SCOPES[session.role] ?? session.role) >= ROLES.indexOf(role);

// An address may say anything.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parts() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const names = path.split("/").filter(Boolean).map(decoded);
  return { names: names.length ? names : ["now"], search: new URLSearchParams(search ?? "") };
}

function frame() {
  main = h("main", { id: "main", tabindex: "-1" });
  connection = h("span", { class: "connection", role: "status" });
  const links = PAGES.map(([name]) => h("a", { href: `#/${name}`, "data-page": name }, t(`page.${name}`)));
  const other = language() === "zh" ? "en" : "zh";
  show(app,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip")),
    h("div", { class: "band", id: "environment", role: "note", hidden: true }),
    h("header", { class: "top" },
      h("a", { class: "brand", href: "#/now" }, "dxgate"),
      h("span", { class: "environment", id: "station" }),
      connection,
      h("span", { class: "who" }, session.name, h("span", { class: "muted" }, ` · ${t(`role.${SCOPES[session.role] ?? session.role}`)}`)),
      button(t("language.other"), () => { setLanguage(other); enter(); }, { id: "language", lang: other === "zh" ? "zh-CN" : "en" }),
      button(t("sign-out"), signOut, { id: "sign-out" })),
    h("div", { class: "body" }, h("nav", { "aria-label": t("pages") }, links), main));
  api.get("/station").then((station) => {
    const band = document.getElementById("environment");
    const until = station.environment_until ? ` · ${t("environment.until", when(station.environment_until))}` : "";
    band.textContent = `${t(`environment.band.${station.environment}`)}${until}`;
    band.dataset.environment = station.environment;
    band.hidden = false;
    document.getElementById("station").textContent = [...new Set([station.name ?? station.as2_name, station.dxpid])].filter(Boolean).join(" · ");
  }).catch(() => {});
}

async function route() {
  const { names, search } = parts();
  leave();
  leave = () => {};
  const name = names[0] === "message" ? "messages" : names[0];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const page = names[0] === "message" ? messagePage : PAGES.find(([page]) => page === names[0])?.[1];
  document.title = `${t(`page.${name}`)} · dxgate`;
  const place = h("div", { class: "page" });
  show(main, place);
  if (!page) return show(place, h("h1", {}, t("no-such-page")), h("p", {}, h("a", { href: "#/now" }, t("page.now"))));
  const handlers = [];
  const context = {
    place, search, argument: names[1], may, session,
    // Calls `then(kind, data)` for what the gateway says while this page is shown.
    listen: (then) => handlers.push(then),
    // Says what went wrong; gives the line, for who wants to take it back.
    fail: (error) => {
      if (error.status === 401 && error.code !== "login-failed") return undefined;
      const line = h("p", { class: "problem", role: "alert" }, error.message);
      place.prepend(line);
      return line;
    },
  };
  heard = handlers;
  // A page may be left before it is there: then it ends as soon as it is.
  let here = true;
  leave = () => { here = false; };
  try {
    const left = await page(context);
    if (typeof left !== "function") return;
    if (here) leave = left;
    else left();
  } catch (error) {
    if (error.name !== "AbortError") context.fail(error);
  }
}

let heard = [];

function connected(up) {
  if (!connection) return;
  connection.textContent = up ? t("live") : t("not-live");
  connection.dataset.up = String(up);
}

async function signOut() {
  try {
    await api.signOut();
  } catch (error) {
    return toast(error.message);
  }
  askWho();
}

function askWho() {
  stopListening();
  leave();
  leave = () => {};
  session = undefined;
  enterPage(app, (entered) => { session = entered; history.replaceState(null, "", "/#/now"); enter(); });
}

function enter() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  frame();
  stopListening();
  stopListening = api.listen((kind, data) => heard.forEach((then) => then(kind, data)), connected);
  route();
}

async function start() {
  applyTheme();
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  api.whenSignedOut(askWho);
  window.addEventListener("hashchange", () => { if (session) route(); });
  if (location.pathname === "/setup") return askWho();
  try {
    session = await api.session();
    enter();
  } catch {
    askWho();
  }
}

start();
