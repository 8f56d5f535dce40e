"""A real browser, Chromium without a window, driven over WebDriver (w3.org/TR/webdriver2): JSON over HTTP to the program chromedriver,
which is installed beside it. A client library would be one more dependency for the few calls below."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars"
).split()


def programs():
    """The paths of Chromium and of chromedriver, None for what is missing; on Linux and macOS alone."""
    if os.name != "posix":
        return None, None
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return browser, shutil.which("chromedriver") or shutil.which("chromedriver", path=os.environ.get("CHROMEWEBDRIVER", ""))


def port(said):
    """Where chromedriver listens, from what it has said. Raises AssertionError if it says nothing within a minute."""
    for _ in range(600):
        if found := re.search(r"started successfully on port (\d+)", said.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"chromedriver does not start: {said.read_text()}")


class Browser:
    """A browser with one page. folder: an empty one for its profile. width, height: of the page in CSS pixels. scheme: "light" or
    "dark"."""

    def __init__(self, folder, width=1440, height=900, scheme="light"):
        browser, driver = programs()
        said = Path(folder, "chromedriver.log")
        with open(said, "wb") as output:  # a session of its own, so that the browser ends with it, whatever happens
            self.process = subprocess.Popen([driver, "--port=0"], stdout=output, stderr=output, start_new_session=True)
        try:
            self.address = f"http://127.0.0.1:{port(said)}"
            options = {
                "binary": browser,
                "args": [*QUIET, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", "about:blank"],
                "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1, "touch": width < 600}},
            }
            asked = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            self.session = ""
            self.session = "/session/" + self.call("/session", capabilities={"alwaysMatch": asked})["sessionId"]
            media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}  # scrolling takes no time
            features = [{"name": name, "value": value} for name, value in media.items()]
            self.call("/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"media": "", "features": features})
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("", method="DELETE")
        finally:
            self.end()

    def end(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, path, method="POST", **content):
        """The value that chromedriver answers with. Raises AssertionError for an error of the page or the browser."""
        body = json.dumps(content).encode() if method == "POST" else None
        request = urllib.request.Request(self.address + self.session + path, body, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, path):
        self.call("/url", url=Path(path).resolve().as_uri())

    def run(self, script, *arguments):
        """What JavaScript returns; it finds the arguments in `arguments`."""
        return self.call("/execute/sync", script=script, args=list(arguments))

    def texts(self, selector):
        """The texts of all elements that a CSS selector finds."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def box(self, selector):
        """Scroll an element to the middle; where it then is: left, top, width, height. Raises AssertionError if there is
        none."""
        script = """const found = document.querySelector(arguments[0]);
            if (!found) return null;
            found.scrollIntoView({block: "center"});
            const {left, top, width, height} = found.getBoundingClientRect();
            return [left, top, width, height];"""
        box = self.run(script, selector)
        assert box, f"there is no {selector}"
        return box

    def click(self, selector, x=0.5, y=0.5):
        """Click an element, or touch it on a narrow page, at a fraction of its width and height."""
        left, top, width, height = self.box(selector)
        place = {"type": "pointerMove", "origin": "viewport", "x": round(left + x * width), "y": round(top + y * height)}
        actions = [place, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        kind = "touch" if self.run("return matchMedia('(pointer: coarse)').matches") else "mouse"
        self.call("/actions", actions=[{"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": actions}])

    def press(self, *names):
        """Press keys, one after the other, where the page has its focus."""
        actions = [{"type": kind, "value": KEYS[name]} for name in names for kind in ("keyDown", "keyUp")]
        self.call("/actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def log(self, kind):
        """What the console said ("browser"), or what the browser did ("performance"), since the last time."""
        return self.call("/se/log", type=kind)

    def complaints(self):
        return [entry["message"] for entry in self.log("browser")]

    def requests(self):
        """The addresses that pages from files asked for since the last time, themselves included; not those of the browser's own pages."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in asked if one["documentURL"].startswith("file:")]
