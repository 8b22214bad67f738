"""Scenes of the console in a real browser: console.py SCENE, with the facts of the gateway as JSON on stdin.

A scene ends with 0 when everything in it was seen, else with the reason and what the page said. `screenshots` walks through
the main pages instead and writes pictures.
"""

import base64
import json
import os
import sys
import tempfile
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import finding
import keyboard

SECONDS = 30
PASSWORD = "correct horse battery staple"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]


class Console:
    """The browser, and what a person does with it."""

    def __init__(self, facts, language="en"):
        self.facts = facts
        self.profile = tempfile.TemporaryDirectory()
        options = webdriver.ChromeOptions()
        options.binary_location = facts.get("browser", "/usr/bin/chromium")
        for flag in FLAGS + [f"--user-data-dir={self.profile.name}", f"--lang={language}", f"--accept-lang={language}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_window_size(1280, 900)

    def go(self, path):
        self.driver.get(self.facts["console"] + path)

    def until(self, what, condition):
        def holds(_):
            try:
                return condition()
            except Exception:  # the page is being redrawn
                return False

        return WebDriverWait(self.driver, SECONDS, 0.1).until(holds, f"not seen: {what}; the page says: {self.text()}")

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.until(selector, lambda: next(each for each in self.all(selector) if each.is_displayed()))

    def says(self, text):
        self.until(repr(text), lambda: text in self.text())

    def fill(self, name, value):
        field = self.one(f"[name={name}]")
        field.clear()
        field.send_keys(value)

    def press(self, selector):
        self.until(f"{selector} can be pressed", lambda: self.all(selector)[-1].click() is None)

    def set_up(self):
        """The first administrator, by the link that the gateway wrote at its start."""
        with open(self.facts["setup"], encoding="utf-8") as file:
            link = next(word for word in file.read().split() if word.startswith("http"))
        self.driver.get(link)
        self.fill("name", "admin")
        self.fill("password", PASSWORD)
        self.press("button[type=submit]")
        self.one("nav")

    def sign_in(self, name, password):
        self.fill("name", name)
        self.fill("password", password)
        self.press("button[type=submit]")

    def complaints(self):
        """What the browser itself found wrong: broken policy, missing files, errors of scripts."""
        expected = ("401", "400", "403", "429")
        entries = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        entries = [entry for entry in entries if not ("/api/v1/" in entry and "status of 404" in entry)]
        return [entry for entry in entries if not any(f"status of {code}" in entry for code in expected)]

    def drop(self, name, content):
        """Puts a file into the outbox, as a program does: aside, then renamed."""
        aside = os.path.join(self.facts["outbox"], "." + name)
        with open(aside, "wb") as file:
            file.write(content)
        os.rename(aside, os.path.join(self.facts["outbox"], name))

    def row(self, name):
        return next(each for each in self.all(".rows-body .row") if name in each.text)

    def close(self):
        self.driver.quit()
        self.profile.cleanup()


def sign_in(console):
    """A person makes the first administrator by the link, signs out, and in again; a wrong password is refused."""
    console.set_up()
    console.says("Last 24 hours")
    console.press("#sign-out")
    console.sign_in("admin", "wrong " + PASSWORD)
    console.one(".problem")
    console.fill("password", PASSWORD)
    console.press("button[type=submit]")
    console.says("Last 24 hours")


def mistyped(console):
    """Who mistypes the current password stays signed in, and is told what was wrong."""
    console.set_up()
    console.press('nav a[data-page="settings"]')
    console.until("the dialog", lambda: [each for each in console.all("main button") if "Change the password" in each.text][0].click() is None)
    console.fill("current", "wrong " + PASSWORD)
    console.fill("password", "another " + PASSWORD)
    console.press("dialog button[type=submit]")
    console.says("name, password or one-time code is wrong")
    console.one("nav")


def signed_out(console):
    """Who signs out while nothing answers is told so; from a page whose session was replaced, the one that holds is ended."""
    console.set_up()
    console.says("Last 24 hours")
    console.driver.execute_script("""
        const there = window.fetch;
        window.fetch = (url, options) => (options?.method === "DELETE" ? Promise.reject(new TypeError("no network")) : there(url, options));
        window.mend = () => { window.fetch = there; };
    """)
    console.press("#sign-out")
    console.says("The gateway cannot be reached")
    console.one("nav")
    console.driver.execute_script("window.mend()")
    first = console.driver.current_window_handle
    console.driver.switch_to.new_window("tab")
    console.go("/#/now")
    console.press("#sign-out")
    console.sign_in("admin", PASSWORD)
    console.one("nav")
    console.driver.switch_to.window(first)
    console.press("#sign-out")
    console.one("input[name=password]")
    console.driver.refresh()
    console.one("input[name=password]")
    assert not console.all("nav"), "the session lives on"


LEFT_EARLY = """
    const [every, stop, there] = [window.setInterval, window.clearInterval, window.fetch];
    window.begun = 0;
    window.going = new Set();
    window.setInterval = (...given) => { const id = every(...given); window.begun += 1; window.going.add(id); return id; };
    window.clearInterval = (id) => { window.going.delete(id); stop(id); };
    window.fetch = async (url, options) => { if (String(url).includes("/figures")) await new Promise((then) => { window.release = then; }); return there(url, options); };
"""


def left_early(console):
    """A page that is left while it is still read goes on with nothing."""
    console.set_up()
    console.press('nav a[data-page="messages"]')
    console.one(".rows-scroll")
    console.driver.execute_script(LEFT_EARLY)
    console.press('nav a[data-page="now"]')
    console.until("its questions", lambda: console.driver.execute_script("return Boolean(window.release)"))
    console.press('nav a[data-page="messages"]')
    console.one(".rows-scroll")
    console.driver.execute_script("window.release()")
    console.until("it is there", lambda: console.driver.execute_script("return window.begun") == 1)
    console.until("it has ended", lambda: console.driver.execute_script("return window.going.size") == 0)


def out_of_reach(console):
    """That nothing could be read is said once, and no longer once it can be."""
    console.set_up()
    console.says("Last 24 hours")
    console.driver.execute_script("""
        const there = window.fetch;
        window.asked = 0;
        window.fetch = (url, options) => { if (!String(url).includes("/summary")) return there(url, options); window.asked += 1; return Promise.reject(new TypeError("no network")); };
        window.mend = () => { window.fetch = there; };
    """)
    asked = lambda: console.driver.execute_script("return window.asked")  # noqa: E731
    console.drop("a.xml", b"<a/>")
    console.until("it is said", lambda: asked() >= 1 and "cannot be reached" in console.text())
    before = asked()
    console.drop("b.xml", b"<b/>")
    console.until("another look", lambda: asked() > before)
    console.until("one line", lambda: console.text().count("cannot be reached") == 1)
    console.driver.execute_script("window.mend()")
    console.drop("c.xml", b"<c/>")
    console.until("it is no longer said", lambda: "cannot be reached" not in console.text())
    console.press('nav a[data-page="messages"]')
    console.one(".rows-scroll")
    console.driver.execute_script("""
        const there = window.fetch;
        window.fetch = (url, options) => (String(url).includes("/summary") ? Promise.reject(new TypeError("no network")) : there(url, options));
        window.mend = () => { window.fetch = there; };
    """)
    console.press('nav a[data-page="now"]')
    console.says("cannot be reached")
    console.driver.execute_script("window.mend()")
    console.drop("d.xml", b"<d/>")
    console.until("the first look is forgotten too", lambda: "Last 24 hours" in console.text() and "cannot be reached" not in console.text())


def session_over(console):
    """A page that is only looked at asks who is there once its session is over, instead of reconnecting for ever."""
    console.set_up()
    console.press('nav a[data-page="messages"]')
    console.says("Nothing matches")
    console.one('.connection[data-up="true"]')
    status = console.driver.execute_async_script("""
        const done = arguments[0];
        fetch("/api/v1/session").then((it) => it.json())
          .then((session) => fetch("/api/v1/session", { method: "DELETE", headers: { "X-CSRF-Token": session.csrf } }))
          .then((it) => done(it.status), (error) => done(String(error)));""")
    assert status == 204, status
    console.drop("a.xml", b"<a/>")
    console.one("input[name=password]")


def many(console):
    """However many pages a browser has open, each of them is read: those in the background keep no connection."""
    console.set_up()
    for _ in range(8):
        console.driver.switch_to.new_window("tab")
        console.driver.set_page_load_timeout(SECONDS)
        console.go("/#/messages")
        console.one(".rows-scroll")
        console.says("Nothing matches")


def live(console):
    """A message appears while the list is open, and its page tells its way."""
    console.set_up()
    console.press('nav a[data-page="messages"]')
    console.says("Nothing matches")
    console.drop("order-<b>1.xml", b"<order/>")
    console.until("the message in the list", lambda: console.row("order-<b>1.xml"))
    console.until("its end", lambda: "delivered" in console.row("order-<b>1.xml").text)
    console.until("its page", lambda: console.row("order-<b>1.xml").click() is None)
    console.one(".way .step.done")
    console.until("the steps", lambda: len(console.all(".way .step.done")) >= 4)
    console.says("MIC, ours")
    console.says("the same")
    assert not console.all("main h1 b"), "a name became markup"
    assert len(console.all('#security a[href^="#/certificates/"]')) >= 2, "signer and recipient are named"
    console.press('a[href="#/messages"]')
    console.one(".rows-scroll").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    console.says("Message-ID")


def retry(console):
    """A failed message says why, is not retried without a reason, and is with one; the audit trail has it."""
    console.set_up()
    console.drop("refused.xml", b"<order/>")
    console.go("/#/messages?state=failed,held")
    console.until("the failure", lambda: console.row("refused.xml").click() is None)
    console.one(".problem .code")
    console.press("button[data-action=retry]")
    console.one("dialog[open] textarea")
    console.press("dialog button[type=submit]")
    console.says("Say why")
    console.fill("reason", "they have mended their keys")
    console.press("dialog button[type=submit]")
    console.until("its delivery", lambda: console.one("h1 .chip").text == "delivered")
    console.go("/#/audit")
    console.until("the entry", lambda: console.row("they have mended their keys"))


def language(console):
    """Every page speaks the language that the person has chosen, and keeps it."""
    console.set_up()
    console.press("#language")
    for page, title in [("now", "现在"), ("messages", "报文"), ("declarations", "申报单"), ("precheck", "预检"), ("partners", "伙伴"), ("certificates", "证书"), ("connectivity", "联通测试"), ("audit", "审计"), ("settings", "设置")]:
        console.press(f'nav a[data-page="{page}"]')
        console.until(title, lambda title=title: console.one("main h1").text == title)
    console.go("/")
    console.until("Chinese is kept", lambda: console.one("main h1").text == "现在")
    assert console.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"


def times(console):
    """The times of a filter are those of the zone in which times are shown, whatever the browser's own."""
    console.set_up()
    console.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
    asked = console.driver.execute_async_script("""
        const done = arguments[0];
        import("/assets/format.js").then((it) => done(it.instant("2026-03-01T09:30")), (error) => done(String(error)));""")
    assert asked == "2026-03-01T01:30:00.000Z", asked


def precheck(console):
    """A bad file is shown with its findings beside the lines that they are about."""
    console.set_up()
    console.press('nav a[data-page="precheck"]')
    path = os.path.join(console.profile.name, "bad.xml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(console.facts["bad"])
    console.one("input[name=file]").send_keys(path)
    console.one("[data-verdict].problem")
    console.one(".findings li.error")
    console.one(".source .line[data-level=error] mark")
    console.press(".findings li.error button")
    console.one(".source .line.revealed")


def roles(console):
    """A viewer sees everything and can change nothing, in the page and beside it."""
    console.set_up()
    console.press('nav a[data-page="settings"]')
    console.until("users can be added", lambda: [each for each in console.all("section > button") if "Add a user" in each.text][0].click() is None)
    console.fill("name", "auditor")
    Select(console.one("dialog select[name=role]")).select_by_value("viewer")
    console.fill("password", PASSWORD)
    console.press("dialog button[type=submit]")
    console.until("the user", lambda: "auditor" in console.one("main").text)
    console.drop("refused.xml", b"<order/>")
    console.press("#sign-out")
    console.sign_in("auditor", PASSWORD)
    console.one("nav")
    console.go("/#/messages?state=failed,held")
    console.until("the failure", lambda: console.row("refused.xml").click() is None)
    console.says("Message-ID")
    assert not console.all("[data-action]"), "a viewer is offered actions"
    answer = console.driver.execute_async_script("""
        const done = arguments[0];
        const id = location.hash.split("/").pop();
        fetch("/api/v1/session").then((it) => it.json()).then((session) => fetch(`/api/v1/messages/${id}/retry`, {
          method: "POST", headers: {"Content-Type": "application/json", "X-CSRF-Token": session.csrf}, body: JSON.stringify({reason: "no"})
        })).then((it) => done(it.status), (error) => done(String(error)));""")
    assert answer == 403, f"a viewer's retry was answered with {answer}"
    console.press('nav a[data-page="settings"]')
    console.says("My account")
    assert "Add a user" not in console.text()


def phone(console):
    """At 1280 pixels and on a phone nothing needs more than the width but tables, which scroll by themselves; dark colours are there."""
    console.set_up()
    console.drop("order.xml", b"<order/>")
    console.go("/#/messages")
    console.until("its delivery", lambda: "delivered" in console.row("order.xml").text)
    message = console.until("its link", lambda: console.all(".rows-body .c-file a")[0].get_attribute("href").split("#/")[1])
    for width in (1280, 400):
        console.driver.set_window_size(width, 800)
        for page in PAGES + [message, "partners/theirs"]:
            console.go(f"/#/{page}")
            console.one("main h1")
            wide = console.driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{page} is {wide} pixels too wide at {width}"
            wide = console.driver.execute_script("const it = document.querySelector('main'); return it.scrollWidth - it.clientWidth")
            assert wide <= 0, f"the content of {page} is {wide} pixels too wide at {width}"
    console.go("/#/settings")
    Select(console.one("select[name=theme]")).select_by_value("dark")
    ground = console.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(18, 22, 26)", ground


MILLION = """
    const done = arguments[0];
    (async () => {
      const [{ Rows }, { h }] = await Promise.all([import("/assets/rows.js"), import("/assets/dom.js")]);
      let made = 0;
      const fetch = async () => {
        const lines = Array.from({ length: 50000 }, (_, index) => ({ id: `m${made + index}` }));
        made += lines.length;
        return { lines, next: made < 1000000 ? made : undefined };
      };
      const link = (line) => h("a", { href: `#/message/${line.id}` }, line.id);
      const rows = new Rows({ columns: [{ head: "id", class: "c-file", cell: link }], label: "m", key: (line) => line.id, open: () => {}, fetch });
      document.querySelector("main .page").replaceChildren(rows.element);
      await rows.reload();
      while (!rows.ended) await rows.more();
      const { scroller } = rows;
      const frame = () => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)));
      const took = [];
      const holes = [];
      for (let step = 0; step <= 100; step += 1) {
        scroller.scrollTop = ((scroller.scrollHeight - scroller.clientHeight) * step) / 100;
        await frame();
        const begin = performance.now();
        rows.draw();
        took.push(performance.now() - begin);
        const box = scroller.getBoundingClientRect();
        const shown = [...rows.body.children].map((row) => row.getBoundingClientRect());
        const from = Math.min(...shown.map((each) => each.top));
        const to = Math.max(...shown.map((each) => each.bottom));
        if (from > box.top + 45 || (to < box.bottom - 2 && step < 100)) holes.push([step, from - box.top, to - box.bottom]);
      }
      const last = rows.body.lastElementChild.dataset.id;
      scroller.scrollTop = 0;
      await frame();
      const focused = rows.body.querySelector('[data-id="m3"] a');
      focused.focus();
      for (let n = 0; n < 200; n += 1) rows.put({ id: `new${n}` }, true);
      rows.put({ id: "m3" }, true);
      rows.put({ id: "m4" }, true);
      await frame();
      const kept = document.activeElement?.textContent;
      scroller.scrollTop = 100000;
      await frame();
      const away = document.activeElement === scroller;
      for (let n = 0; n < 5; n += 1) scroller.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
      await frame();
      const end = rows.body.querySelector("[data-chosen]")?.dataset.id;
      took.sort((a, b) => a - b);
      return { count: rows.lines.length, elements: rows.body.children.length, middle: took[50], holes, last, kept, away, end };
    })().then(done, (error) => done(String(error.stack ?? error)));
"""


def million(console):
    """A table of a million rows has few elements, no holes, an end, and the focus stays where it was."""
    console.set_up()
    console.press('nav a[data-page="messages"]')
    console.one(".rows-scroll")
    console.driver.set_script_timeout(120)
    seen = console.driver.execute_async_script(MILLION)
    assert isinstance(seen, dict), seen
    assert seen["count"] == 1_000_200 and seen["elements"] < 120 and not seen["holes"], seen
    assert seen["last"] == "m999999" and seen["end"] == "m999999", seen
    assert seen["kept"] == "m3" and seen["away"], seen
    assert seen["middle"] < 50, f"a drawing takes {seen['middle']} ms"


def alarms(console):
    """An alert is silenced with a reason and for a time, the silence is ended, and a test goes out by the channel."""
    console.set_up()
    console.drop("refused.xml", b"<order/>")
    console.until("the alert", lambda: console.press("[data-silence]") is None)
    console.press("dialog button[type=submit]")
    console.says("Say why")
    Select(console.one("dialog select[name=hours]")).select_by_value("4")
    console.fill("reason", "they mend it tonight")
    console.press("dialog button[type=submit]")
    console.until("the silence", lambda: "they mend it tonight" in console.one("[data-silences]").text)
    console.press("[data-silences] button")
    console.fill("reason", "mended")
    console.press("dialog button[type=submit]")
    console.until("its end", lambda: not console.all("[data-silences]"))
    console.press("#alerts-test")
    console.until("what the channel said", lambda: "told" in console.one("[data-tested]").text)
    console.go("/#/audit")
    for entry in ("ended a silence", "silenced alerts", "tested the alerts"):
        console.until(entry, lambda entry=entry: console.row(entry))


def rotation(console):
    """The page of certificates says which one is used for what now, and a certificate shows its chain."""
    console.set_up()
    console.press('nav a[data-page="certificates"]')
    console.until("the uses", lambda: len(console.all("#rotation tbody tr")) >= 4)
    text = console.one("#rotation").text
    assert "sign" in text and "encrypt" in text and "none is usable" not in text, text
    console.press("#rotation tbody a")
    console.one(".chain")
    console.says("SHA-256 fingerprint")


def exchange(console):
    """A certificate that a partner asks for is accepted once its fingerprint was compared, and ours is offered to it."""
    console.set_up()
    console.press('nav a[data-page="certificates"]')
    row = console.until("the request", lambda: console.one("#exchanges tbody tr"))
    assert console.facts["fingerprint"][:16] in row.text.replace(":", "").replace(" ", "").lower(), row.text
    console.press("[data-exchange=accept]")
    console.press("dialog button[type=submit]")
    console.says("Compare the fingerprints first.")
    console.press("dialog input[name=checked]")
    console.press("dialog button[type=submit]")
    console.until("that it is accepted", lambda: "accepted" in console.one("#exchanges tbody tr").text)
    assert not console.all("[data-exchange=accept]")
    console.driver.execute_script("""
        const there = window.fetch;
        window.posted = 0;
        window.fetch = (url, options) => {
          if (options?.method === "POST") window.posted += 1;
          return String(url).endsWith("/partners") ? Promise.reject(new TypeError("no network")) : there(url, options);
        };
        window.mend = () => { window.fetch = there; };
    """)
    console.press("[data-exchange=ask]")
    console.says("cannot be reached")
    assert console.driver.execute_script("return window.posted") == 0, "nobody was chosen, and something was asked"
    console.driver.execute_script("window.mend()")
    console.press("[data-exchange=ask]")
    console.press("dialog button[type=submit]")
    console.until("our request", lambda: "asked by us" in console.one("#exchanges tbody tr").text)
    console.go("/#/audit")
    console.until("the entry", lambda: console.row("exchanged certificates"))


INTRUDERS = """
    return [
      window.pwned ?? null,
      [...document.querySelectorAll("img, iframe, object, embed, base, form[action], script:not([src^='/assets/'])")].map((it) => it.outerHTML),
      [...document.querySelectorAll("*")].filter((it) => [...it.attributes].some((each) => each.name.startsWith("on"))).map((it) => it.outerHTML),
      [...document.querySelectorAll("a[href]")].map((it) => it.getAttribute("href")).filter((it) => !/^(#|[/]api[/]v1[/])/.test(it)),
    ];
"""


def hostile(console):
    """What strangers wrote into names, header fields and reasons is shown on every page and is nothing but text."""

    def harmless(where):
        intruders = console.driver.execute_script(INTRUDERS)
        assert intruders == [None, [], [], []], f"{where}: {intruders}"

    console.set_up()
    pages = ["now", "messages", "declarations", "precheck", "partners", "certificates", "connectivity", "audit", "settings"]
    for page in pages + ["partners/theirs", "alerts"]:
        console.go(f"/#/{page}")
        console.one("main h1")
        if page in ("messages", "audit"):
            console.one(".rows-body .row")
            console.until("script as text", lambda: "window.pwned" in console.text())
        harmless(page)
    console.go("/#/messages?direction=outbound")
    names = console.until("the files", lambda: len(console.all(".rows-body .row")) >= 11 and [each.get_attribute("href") for each in console.all(".rows-body .c-file a")])
    for name in names:
        console.driver.get(name)
        console.one(".way .step")
        console.says("Message-ID")
        harmless(console.text().splitlines()[0])
    for odd in ["%E0%A4%A", "partners/%00", "message/%3Cscript%3E", "message/..%2f..%2fusers", "<img src=x onerror=window.pwned=1>", "messages?text=<script>window.pwned=1</script>"]:
        console.go("/#/now")
        console.one("main h1")
        console.driver.execute_script("location.hash = arguments[0]", "#/" + odd)
        console.until("an answer", lambda: console.one("main h1, main .problem"))
        harmless(odd)


def connectivity(console):
    """A plan is started in the console, its cases are seen as they end, a failure explains itself, the report is had in every format."""
    downloads = os.path.join(console.profile.name, "downloads")
    os.makedirs(downloads)
    console.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": downloads})
    console.set_up()
    assert console.one("#environment").text.startswith("Test environment"), console.one("#environment").text
    console.press('nav a[data-page="connectivity"]')
    console.press("button[data-action=start]")
    Select(console.one("select[name=plan]")).select_by_value("")
    text = console.one("textarea[name=text]")
    console.driver.execute_script("arguments[0].value = arguments[1]", text, console.facts["plan"])
    console.fill("tester", "Li Si")
    console.press("dialog button[type=submit]")
    console.one('h1 .chip[data-state="running"]')
    console.one('details[data-case="mic"] .chip[data-state="passed"]')
    console.one('h1 .chip[data-state="failed"]')
    failed = console.one('details[data-case="order"][open] .problem').text
    for words in ("layer", "likely cause", "what to ask the data centre", "business-refused"):
        assert words in failed, f"{words!r} is missing: {failed}"
    console.says("Li Si")
    for format, begins in (("pdf", b"%PDF-"), ("docx", b"PK"), ("html", b"<!DOCTYPE html>"), ("json", b"{")):
        console.press(f'a[data-format="{format}"]')

        def downloaded():
            name = next(name for name in os.listdir(downloads) if name.endswith("." + format))
            with open(os.path.join(downloads, name), "rb") as file:
                return file.read().startswith(begins)

        console.until(f"the report as {format}", downloaded)
    console.press('nav a[data-page="connectivity"]')
    console.until("the run in the list", lambda: len(console.all("main tbody tr")) == 2)


PAGES = ["now", "messages", "declarations", "precheck", "partners", "certificates", "connectivity", "audit", "settings"]


def screenshots(console):
    """Pictures of the main pages: small ones into the folder of the facts, or large ones in every look that they name."""
    console.set_up()
    for look in console.facts["looks"] or ["zh-light-1280"]:
        language, theme, width = look.split("-")
        folder, kind = (os.path.join(console.facts["folder"], look), "png") if console.facts["looks"] else (console.facts["folder"], "webp")
        os.makedirs(folder, exist_ok=True)
        console.driver.set_window_size(int(width), 900)
        console.driver.execute_script("localStorage.setItem('dxgate.theme', arguments[0]); localStorage.setItem('dxgate.language', arguments[1])", theme, language)
        console.driver.refresh()
        pictures(console, lambda name: picture(console, os.path.join(folder, f"{name}.{kind}"), kind))


def picture(console, path, kind):
    asked = {"format": kind} if kind == "png" else {"format": kind, "quality": 70}
    with open(path, "wb") as file:
        file.write(base64.b64decode(console.driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]))


def pictures(console, take):
    for page in PAGES:
        console.press(f'nav a[data-page="{page}"]')
        console.one("main h1")
        if page == "precheck":
            path = os.path.join(console.profile.name, "order.xml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(console.facts["bad"])
            console.one("input[name=file]").send_keys(path)
            console.one(".findings")
        if page in ("messages", "declarations", "audit"):
            console.one(".rows-body .row")
        if page in ("partners", "certificates", "settings"):
            console.one("main table")
        take(page)
    for page, name in (("messages", "message"), ("partners", "partner")):
        console.press(f'nav a[data-page="{page}"]')
        console.press(".rows-body .row a" if page == "messages" else "main tbody a")
        console.one(".way .step" if page == "messages" else "main .columns dl")
        take(name)


SCENES = {scene.__name__: scene for scene in (sign_in, mistyped, signed_out, left_early, out_of_reach, session_over, many, live, retry, language, times, precheck, roles, phone, connectivity, million, alarms, rotation, exchange, hostile, screenshots) + keyboard.SCENES + finding.SCENES}


def main():
    scene = SCENES[sys.argv[1]]
    facts = json.load(sys.stdin)
    urllib.request.urlopen(facts["console"] + "/healthz").read()
    console = Console(facts, facts.get("language", "en"))
    try:
        scene(console)
        complaints = console.complaints()
        assert not complaints, f"the browser complains: {complaints}"
    finally:
        console.close()


if __name__ == "__main__":
    main()
