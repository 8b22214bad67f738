// The API, as the console asks it. Errors are `Problem`s with the code and the texts of the server.

import { language } from "./text.js";

let csrf;
let onSignedOut = () => {};

export class Problem extends Error {
  constructor(status, body) {
    super(body?.text?.[language()] ?? body?.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? "unreachable";
  }
}

export function whenSignedOut(then) {
  onSignedOut = then;
}

async function request(method, path, { json, body, signal, headers } = {}) {
  const sent = { ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) sent["X-CSRF-Token"] = csrf;
  const options = { method, headers: sent, body: json === undefined ? body : JSON.stringify(json), signal, credentials: "same-origin" };
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { text: { zh: "无法连接网关。", en: "The gateway cannot be reached." } });
  }
  if (answer.ok) return answer;
  const problem = new Problem(answer.status, await answer.json().catch(() => undefined));
  // A wrong password or code says nothing about the session.
  if (answer.status === 401 && path !== "/session" && problem.code !== "login-failed") onSignedOut();
  throw problem;
}

async function json(answer) {
  return answer.status === 204 ? undefined : answer.json();
}

export const get = async (path, options) => json(await request("GET", path, options));
export const post = async (path, body) => json(await request("POST", path, { json: body }));
export const patch = async (path, body) => json(await request("PATCH", path, { json: body }));
export const remove = async (path, body) => json(await request("DELETE", path, { json: body }));
export const upload = async (path, body) => json(await request("POST", path, { body }));
export const bytes = (path, options) => request("GET", path, options);

// A query string of what is set.
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

function entered(session) {
  csrf = session.csrf;
  return session;
}

export const session = async () => entered(await get("/session"));
export const signIn = async (name, password, code) => entered(await post("/session", { name, password, ...(code ? { code } : {}) }));
export const setUp = async (link, name, password) => entered(await post("/setup", { link, name, password }));

// Ends the session that the browser has now: another page may have begun it. None is as good; if it lives on, that is thrown.
export async function signOut() {
  try {
    await session();
    await remove("/session");
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  csrf = undefined;
}

// Server-sent events; the browser reconnects by itself. `then(kind, data)`; kind `resync` also after a reconnection that lost some.
export function listen(then, onState) {
  const source = new EventSource("/api/v1/events");
  for (const kind of ["message", "alert", "partner", "resync"]) {
    source.addEventListener(kind, (event) => then(kind, JSON.parse(event.data)));
  }
  source.addEventListener("open", () => onState(true));
  source.addEventListener("error", () => onState(false));
  return () => source.close();
}
