"""A headless Chromium driven through the DevTools protocol over a pipe: no further package is needed for it.

`Browser` starts it, `Page` opens one file and records whatever it logs, throws or asks the network for.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".venv" / "chromium"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
TIMEOUT = 60.0


def find() -> tuple[str, dict[str, str]] | None:
    """The browser and what its environment needs: `CHROMIUM`, the one that set-up put in place, the system's; or none."""
    if named := os.environ.get("CHROMIUM"):
        return named, {}
    if (KEPT / "chromium").is_file():
        return str(KEPT / "chromium"), {"LD_LIBRARY_PATH": str(KEPT / "lib")}
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return (found, {}) if found else None


class Browser:
    """A running browser with a profile of its own, gone with the `with` block."""

    def __init__(self, program: str, environment: dict[str, str]):
        self.profile = tempfile.TemporaryDirectory(prefix="tapline-browser-")
        to_read, to_write = os.pipe(), os.pipe()
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
            " --disable-component-update --disable-sync --disable-extensions --hide-scrollbars --mute-audio"
            " --disable-dev-shm-usage --remote-debugging-pipe"
        ).split()

        # The browser reads commands from descriptor 3 and writes answers to 4.
        def wire() -> None:
            reading, writing = os.dup(to_read[0]), os.dup(to_write[1])
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={self.profile.name}", "about:blank"],
            env={**os.environ, **environment, "HOME": self.profile.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=wire,
        )
        os.close(to_read[0])
        os.close(to_write[1])
        self.commands, self.answers = to_read[1], to_write[0]
        os.set_blocking(self.answers, False)
        self.left, self.last, self.events = b"", 0, []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile.name, ignore_errors=True)

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict:
        """Sends a command and waits for its answer; events that come meanwhile are kept."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data) :]
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            for found in self.read():
                if found.get("id") == message["id"]:
                    if "error" in found:
                        raise RuntimeError(f"{method}: {found['error']['message']}")
                    return found["result"]
        raise TimeoutError(f"{method} was not answered within {TIMEOUT:.0f} s")

    def read(self) -> list[dict]:
        """Messages that are there by now."""
        try:
            data = os.read(self.answers, 1 << 20)
        except BlockingIOError:
            time.sleep(0.005)
            return []
        if not data:
            raise RuntimeError(f"the browser ended with code {self.process.poll()}")
        *whole, self.left = (self.left + data).split(b"\0")
        messages = [json.loads(message) for message in whole]
        self.events += [message for message in messages if "method" in message]
        return messages


class Page:
    """One tab."""

    def __init__(self, browser: Browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict:
        return self.browser.call(method, self.session, **parameters)

    def size(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def scheme(self, scheme: str) -> None:
        """`light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, file: Path) -> None:
        """Opens a file from disk and waits until it is loaded."""
        self.browser.events.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        end = time.monotonic() + TIMEOUT
        while not any(event["method"] == "Page.loadEventFired" for event in self.browser.events):
            if time.monotonic() > end:
                raise TimeoutError(f"{file} was not loaded within {TIMEOUT:.0f} s")
            self.browser.read()

    def run(self, script: str) -> object:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def key(self, name: str, text: str = "") -> None:
        """Presses and lets go of a key; `text` is what it types."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32, "Home": 36}
        common = {"key": name, "windowsVirtualKeyCode": codes[name], "code": "Space" if name == " " else name}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def mouse(self, x: float, y: float, click: bool = False) -> None:
        """Moves the pointer there, and clicks."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if click:
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, file: Path, whole: bool = True) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **({"clip": self.extent()} if whole else {}))
        file.write_bytes(base64.b64decode(data["data"]))

    def extent(self) -> dict:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def complaints(self) -> list[str]:
        """What was logged or thrown, and every request but those for the page itself and for pictures inside it."""
        self.run("0")
        found = []
        for event in self.browser.events:
            method, parameters = event["method"], event.get("params", {})
            if method == "Runtime.consoleAPICalled":
                found.append(f"console: {parameters['args']}")
            elif method == "Runtime.exceptionThrown":
                found.append(f"thrown: {parameters['exceptionDetails']}")
            elif method == "Log.entryAdded":
                found.append(f"log: {parameters['entry']['text']}")
            elif method == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("file:", "data:")) or (url.startswith("file:") and parameters["type"] != "Document"):
                    found.append(f"request: {url}")
        return found
