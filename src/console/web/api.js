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

// After this time a stream that was refused is asked for again.
const AGAIN_MS = 5000;

// Server-sent events. What broke off the browser takes up again by itself; what was refused it does not: then the session is asked
// about, and the stream once more. A page in the background has none: a browser keeps six connections to a server, however many
// pages it shows, and six streams would leave none for anything else. What such a page missed it gets when it is looked at.
// `then(kind, data)`; kind `resync` where some of that is lost.
export function listen(then, onState) {
  let [source, last, again] = [undefined, undefined, undefined];
  let [behind, ended] = [document.hidden, false];
  const close = () => {
    clearTimeout(again);
    source?.close();
    source = undefined;
    behind = true;
    onState(false);
  };
  const open = () => {
    clearTimeout(again);
    if (ended || source || document.hidden) return;
    const stream = new EventSource(`/api/v1/events${query({ last })}`);
    source = stream;
    for (const kind of ["message", "alert", "partner", "resync"]) {
      stream.addEventListener(kind, (event) => {
        last = event.lastEventId || last;
        then(kind, JSON.parse(event.data));
      });
    }
    stream.addEventListener("open", () => {
      onState(true);
      // There is no event behind which it could go on.
      if (behind && !last) then("resync", {});
      behind = false;
    });
    stream.addEventListener("error", () => {
      onState(false);
      if (source !== stream || stream.readyState !== EventSource.CLOSED) return;
      close();
      // Whoever is signed out is told by this question.
      again = setTimeout(() => get("/station").catch(() => {}).then(open), AGAIN_MS);
    });
  };
  const looked = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", looked);
  open();
  return () => {
    ended = true;
    clearTimeout(again);
    source?.close();
    document.removeEventListener("visibilitychange", looked);
  };
}
