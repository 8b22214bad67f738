"""Scenes of finding things again: filters that are kept, documents by their numbers; and an agreement that people can read."""

import re

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

NAME = "late <b>ones</b>"


def filters(console):
    """A filter is saved under a name, is there after the page was loaded again, narrows the list, and is gone once it is removed."""
    console.set_up()
    console.drop("refused.xml", b"<order/>")
    console.go("/#/messages?state=failed")
    console.until("the failure", lambda: console.row("refused.xml"))
    console.drop("order-1.xml", b"<order/>")
    console.go("/#/messages")
    console.until("its delivery", lambda: "delivered" in console.row("order-1.xml").text)
    console.fill("text", "refused")
    Select(console.one("select[name=state]")).select_by_value("failed")
    assert console.one("input[name=text]").get_attribute("value") == "refused", "what was typed is lost"
    console.one("input[name=text]").send_keys(".xml")
    console.until("the filter", lambda: "text=refused.xml" in console.driver.current_url and "state=failed" in console.driver.current_url)
    console.press("[data-action=save-filter]")
    console.press("dialog button[type=submit]")
    console.says("Give it a name")
    console.fill("filter-name", NAME)
    console.press("dialog button[type=submit]")
    console.until("its button", lambda: console.one(".saved-filter button").text == NAME)
    assert not console.all(".saved-filter b"), "a name became markup"

    console.go("/#/now")
    console.driver.refresh()
    console.one("main h1")
    console.press('nav a[data-page="messages"]')
    console.until("both messages", lambda: len(console.all(".rows-body .row")) == 2)
    console.press(".saved-filter button:first-child")
    console.until("the one that is asked for", lambda: len(console.all(".rows-body .row")) == 1 and console.row("refused.xml"))
    assert Select(console.one("select[name=state]")).first_selected_option.get_attribute("value") == "failed"
    assert console.one("input[name=text]").get_attribute("value") == "refused.xml"
    console.press("[data-action=clear-filter]")
    console.until("both messages again", lambda: len(console.all(".rows-body .row")) == 2)

    console.press(".saved-filter button[aria-label]")
    console.until("it is gone", lambda: not console.all(".saved-filter"))
    console.driver.refresh()
    console.until("the page again", lambda: console.row("order-1.xml"))
    assert not console.all(".saved-filter"), "a filter that was removed came back"


def declarations(console):
    """A document is found by each number that it has, the status chips say 放行 and 退单, and a status narrows the list."""
    console.set_up()
    # While receipts come in without a pause the list is there all the same.
    traffic = console.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        const [Stream, there] = [window.EventSource, window.fetch];
        window.EventSource = class extends Stream { constructor(...given) { super(...given); window.stream = this; } };
        window.fetch = async (url, options) => { if (String(url).includes("/declarations")) await new Promise((then) => setTimeout(then, 300)); return there(url, options); };
        window.busy = setInterval(() => window.stream?.dispatchEvent(new MessageEvent("message", { data: '{"id":"x","direction":"inbound"}' })), 50);
    """})
    console.driver.refresh()
    console.one("nav")
    console.press('nav a[data-page="declarations"]')
    console.until("all documents while receipts come in", lambda: len(console.all(".rows-body .row")) == 3)
    # From here on nothing is drawn anew by itself: pages that are loaded later have no such traffic either.
    console.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": traffic["identifier"]})
    console.driver.refresh()
    rows = lambda: console.all(".rows-body .row")  # noqa: E731
    console.until("all documents", lambda: len(rows()) == 3)
    chips = lambda: [each.find_element(By.CSS_SELECTOR, ".chip") for each in rows()]  # noqa: E731
    assert sorted(chip.text for chip in chips()) == ["放行", "放行", "海关退单"], [chip.text for chip in chips()]
    colours = {chip.text: chip.value_of_css_property("color") for chip in chips()}
    assert colours["放行"] != colours["海关退单"], colours
    for name, number in console.facts["released"].items():
        console.fill("key", number)
        console.until(f"the document of {name} {number}", lambda number=number: len(rows()) == 1 and number in rows()[0].text and "放行" in rows()[0].text)
    console.fill("key", console.facts["rejected"])
    console.until("the rejected one", lambda: len(rows()) == 1 and "海关退单" in rows()[0].text)
    console.until("why", lambda: "1313" in rows()[0].text)
    console.one("input[name=key]").clear()
    console.one("input[name=key]").send_keys(" ")
    console.until("all documents again", lambda: len(rows()) == 3)
    for status, count in (("rejected", 1), ("released", 2), ("waiting", 0)):
        Select(console.one("select[name=status]")).select_by_value(status)
        console.until(f"those that are {status}", lambda count=count: len(rows()) == count)
    console.driver.refresh()
    console.until("the address keeps what is asked for", lambda: Select(console.one("select[name=status]")).first_selected_option.get_attribute("value") == "waiting")
    Select(console.one("select[name=status]")).select_by_value("rejected")
    console.until("the rejected one", lambda: len(rows()) == 1)
    rows()[0].click()
    console.one(".way .step.bad")
    console.until("its message says what became of each document", lambda: "海关退单" in console.one("main").text and "放行" in console.one("main").text)


def agreement(console):
    """A partner's page says everything in the language that was chosen, none of it in the keys of its file."""
    console.set_up()
    for chosen in ("en", "zh"):
        if chosen == "zh":
            console.press("#language")
        console.go("/#/partners/theirs")
        console.driver.refresh()
        heads = console.until("the agreement", lambda: [each.text for each in console.all("#agreement dt")])
        values = [each.text for each in console.all("#agreement dd")]
        assert len(heads) == len(values) >= 10, heads
        assert not [text for text in heads + values if "_" in text], heads + values
        chinese = [text for text in heads if re.search("[\u4e00-\u9fff]", text)]
        assert len(chinese) == (len(heads) if chosen == "zh" else 0), heads
        assert len(heads) == len(set(heads)), heads
        weak = [each.text for each in console.all("#agreement .chip.error")]
        assert weak == [("可以没有" if chosen == "zh" else "optional")] * 2, f"waived protection is shown as such: {weak}"
        words = ["1 小时", "同步", "是"] if chosen == "zh" else ["1 h", "synchronous", "yes"]
        assert all(any(word in value for value in values) for word in words), values


def further(console):
    """The first page says that there are more alerts than it shows, and shows them when it is asked."""
    console.set_up()
    for number in range(60):
        console.drop(f"refused-{number}.xml", b"<order/>")
    alerts = lambda: len(console.all("[data-silence]"))
    console.until("that there are more", lambda: console.one("[data-further]") and alerts() == 50)
    assert "50" in console.one("[data-further]").text
    console.press("[data-further] button")
    console.until("all of them", lambda: alerts() == 60 and not console.all("[data-further]"))


LIVELY = """
    const done = arguments[0];
    (async () => {
      const { Rows } = await import("/assets/rows.js");
      const pause = (ms) => new Promise((then) => setTimeout(then, ms));
      let top = 1000;
      const fetch = async (limit, before = top) => {
        if (limit > 200) await pause(400);
        const lines = Array.from({ length: Math.min(limit, before) }, (_, index) => ({ id: `n${before - index}` }));
        return { lines, next: before - lines.length || undefined };
      };
      const rows = new Rows({ columns: [{ head: "id", class: "c-file", cell: (line) => line.id }], label: "n", key: (line) => line.id, open: () => {}, fetch });
      document.querySelector("main .page").replaceChildren(rows.element);
      await rows.reload();
      const row = rows.body.querySelector('[data-id="n998"]');
      await rows.refresh();
      const same = row.isConnected;
      rows.scroller.scrollTop = 195 * 40;
      await pause(100);
      for (let n = 0; n < 5; n += 1) { await pause(50); top += 1; await rows.refresh(); }
      return { same, count: rows.lines.length };
    })().then(done, (error) => done(String(error.stack ?? error)));
"""


def lively(console):
    """While much happens, a row that did not change stays, and whoever scrolls down gets further lines."""
    console.set_up()
    console.press('nav a[data-page="messages"]')
    console.one(".rows-scroll")
    console.driver.set_script_timeout(60)
    seen = console.driver.execute_async_script(LIVELY)
    assert isinstance(seen, dict) and seen["same"] and seen["count"] >= 700, seen


SCENES = (filters, declarations, agreement, further, lively)
