"""Scenes without a mouse: everything is reached by Tab, chosen by Enter, Escape and the arrows, and what has the focus is seen."""

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

PASSWORD = "correct horse battery staple"
PAGES = ["now", "messages", "declarations", "precheck", "partners", "certificates", "connectivity", "audit", "settings"]
# More stops than any page has.
STOPS = 250

FOCUS = """
    const it = document.activeElement;
    if (!it || it === document.body || it === document.documentElement) return null;
    const style = getComputedStyle(it);
    const box = it.getBoundingClientRect();
    return {
      what: it.outerHTML.slice(0, 120),
      ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
      there: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    };
"""


BACK = "back"


def press(console, *keys):
    for key in keys:
        chain = ActionChains(console.driver)
        if key == BACK:
            chain.key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
        else:
            chain.send_keys(key).perform()


def is_at(console, selector):
    return console.driver.execute_script("return document.activeElement.matches(arguments[0])", selector)


def look(console):
    """What has the focus, which must be seen; none when it is in nothing of the page."""
    focus = console.driver.execute_script(FOCUS)
    assert focus is None or (focus["ring"] and focus["there"]), f"the focus is not seen: {focus}"
    return focus


def tab_to(console, selector, key=Keys.TAB):
    """Goes on until what the selector names has the focus; every stop on the way is seen."""
    for _ in range(STOPS):
        if is_at(console, selector):
            look(console)
            return
        press(console, key)
        look(console)
    raise AssertionError(f"{selector} is not reached; the page says: {console.text()}")


def walk(console):
    """From here through the rest of the page, every stop seen; the number of stops."""
    for count in range(STOPS):
        press(console, Keys.TAB)
        if look(console) is None or is_at(console, ".skip"):
            return count
    raise AssertionError("the page has no end")


def to_page(console, page):
    tab_to(console, f'nav a[data-page="{page}"]')
    press(console, Keys.ENTER)
    console.until(page, lambda: console.one(f'nav a[data-page="{page}"]').get_attribute("aria-current") == "page" and console.one("main h1"))


def enter(console):
    """The first administrator, without a mouse."""
    with open(console.facts["setup"], encoding="utf-8") as file:
        console.driver.get(next(word for word in file.read().split() if word.startswith("http")))
    console.until("the name's field has the focus", lambda: is_at(console, "[name=name]"))
    press(console, "admin", Keys.TAB, PASSWORD, Keys.ENTER)
    console.one("nav")


def keyboard(console):
    """Every page is walked through from end to end; nothing that has the focus is hidden; the way past the menu is there."""
    enter(console)
    press(console, Keys.TAB)
    tab_to(console, ".skip")
    press(console, Keys.ENTER)
    assert is_at(console, "main"), "the first link leads past the menu"
    for page in PAGES:
        to_page(console, page)
        assert is_at(console, f'nav a[data-page="{page}"]'), f"the focus has left the menu on {page}"
        tab_to(console, "main *")
        walk(console)
    to_page(console, "partners")
    tab_to(console, "main tbody a")
    press(console, Keys.ENTER)
    console.one("#agreement")
    assert is_at(console, "main"), "a new page begins with itself"
    walk(console)


def keyboard_actions(console):
    """A failed message is opened from the list and retried, with the dialog that asks why, all by keys."""
    enter(console)
    drop_refused(console)
    to_page(console, "messages")
    tab_to(console, "select[name=state]")
    # any, queued, ready to send, sending, awaiting MDN, delivered, failed
    press(console, *[Keys.ARROW_DOWN] * 6)
    console.until("the filter", lambda: "state=failed" in console.driver.current_url)
    assert is_at(console, "select[name=state]"), "who chooses goes on choosing"
    console.until("the failure in the list", lambda: any("refused.xml" in each.text for each in console.all(".rows-body .row")))
    tab_to(console, ".rows-scroll")
    press(console, Keys.ARROW_DOWN, Keys.ENTER)
    console.one("button[data-action=retry]")
    tab_to(console, "button[data-action=retry]")
    press(console, Keys.ENTER)
    console.one("dialog[open] textarea")
    assert is_at(console, "dialog textarea"), "the dialog begins with its question"
    for _ in range(6):
        press(console, Keys.TAB)
        focus = look(console)
        assert focus is None or is_at(console, "dialog, dialog *"), f"the focus has left the dialog: {focus}"
    press(console, Keys.ESCAPE)
    console.until("the dialog is gone", lambda: not console.all("dialog"))
    assert is_at(console, "button[data-action=retry]"), "the focus is back where it was"
    press(console, Keys.ENTER)
    console.one("dialog[open] textarea")
    press(console, "they have mended their keys")
    tab_to(console, "dialog button[type=submit]")
    press(console, Keys.ENTER)
    console.until("its delivery", lambda: console.one("h1 .chip").text == "delivered")
    assert look(console) is not None and is_at(console, "main, main *"), "the page was drawn anew, the focus is still in it"
    tab_to(console, ".top #sign-out", BACK)
    press(console, Keys.ENTER)
    console.until("signed out, and ready for the name", lambda: is_at(console, "form.enter [name=name]"))


def keyboard_looks(console):
    """Language and theme are switched, a filter is saved and used, and what happens meanwhile takes no focus away, all by keys."""
    enter(console)
    tab_to(console, "#language")
    press(console, Keys.ENTER)
    console.until("Chinese", lambda: console.one("main h1").text == "现在")
    assert is_at(console, "#language"), "the switch keeps the focus"
    press(console, Keys.ENTER)
    console.until("English", lambda: console.one("main h1").text == "Now")
    to_page(console, "settings")
    tab_to(console, "select[name=theme]")
    press(console, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    ground = "return getComputedStyle(document.body).backgroundColor"
    console.until("dark colours", lambda: console.driver.execute_script(ground) == "rgb(18, 22, 26)")
    look(console)
    to_page(console, "messages")
    tab_to(console, "input[name=text]")
    press(console, "order")
    console.until("the filter", lambda: "text=order" in console.driver.current_url)
    tab_to(console, "button[data-action=save-filter]")
    press(console, Keys.ENTER)
    console.one("dialog[open] input")
    press(console, "orders", Keys.ENTER)
    console.one(".saved-filter")
    tab_to(console, "button[data-action=clear-filter]")
    press(console, Keys.ENTER)
    console.until("no filter", lambda: "text=" not in console.driver.current_url)
    tab_to(console, ".saved-filter button:first-child", BACK)
    press(console, Keys.ENTER)
    console.until("the filter again", lambda: "text=order" in console.driver.current_url)
    to_page(console, "now")
    tab_to(console, 'main a.tile[href*="state=held"]')
    console.driver.execute_script("document.activeElement.marked = true")
    drop_refused(console)
    console.until("the page was drawn anew", lambda: console.driver.execute_script("return !document.querySelector('main a.tile[href*=\"state=held\"]').marked"))
    assert is_at(console, 'main a.tile[href*="state=held"]'), "what came took the focus away"
    look(console)


def drop_refused(console):
    console.drop("refused.xml", b"<order/>")


SCENES = (keyboard, keyboard_actions, keyboard_looks)
