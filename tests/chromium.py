"""A headless Chromium, driven over the pipe that its DevTools protocol speaks: no port, no driver, no other package.

https://chromedevtools.github.io/devtools-protocol/ names the commands and events; `--remote-debugging-pipe` reads them
from file descriptor 3 and writes to 4, as JSON with a zero byte after each.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_EXEC = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])  # clear of 3 and 4
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the ends of two pipes where Chromium looks for them, and becomes it."""
_PATIENCE = 60.0
"""Seconds until an answer that does not come is given up."""


class Chromium:
    """One browser with one page."""

    def __init__(self, profile: Path) -> None:
        (commands, self._write), (self._read, answers) = os.pipe(), os.pipe()
        self._waiting = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict] = []
        """What the page told by itself, in order: requests, console messages, exceptions."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EXEC, str(commands), str(answers), *_command(profile)],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._write)
        os.close(self._read)

    def send(self, method: str, **parameters: object) -> dict:
        """A command's answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while (message := self._next()).get("id") != self._number:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def open(
        self, path: Path, *, width: int = 1200, height: int = 900, scheme: str = "light", fragment: str = ""
    ) -> None:
        """Load a file, as a window of that size on a system of that colour scheme."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("Page.navigate", url="about:blank")  # a fragment alone would not load it anew
        self.until("location.protocol === 'about:'")
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri() + fragment)
        self.until("location.protocol === 'file:' && document.readyState === 'complete'")

    def js(self, expression: str) -> object:
        """The value of an expression on the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.js(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Click an element."""
        self.js(f"document.querySelector({json.dumps(selector)}).click()")

    def key(self, key: str, code: int) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """What was fetched since the page was opened, the page itself included."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent if not one["request"]["url"].startswith("data:")]

    def complaints(self) -> list[str]:
        """Errors and warnings of the page."""
        found = []
        for event in self.events:
            method, told = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(told["exceptionDetails"])[:500])
            elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
                found.append(json.dumps(told["args"])[:500])
            elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
        return found

    def _next(self) -> dict:
        while b"\0" not in self._waiting:
            read = os.read(self._read, 1 << 20)
            assert read, "Chromium has ended"
            self._waiting += read
        message, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(message)


def _command(profile: Path) -> list[str]:
    quiet = ("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--mute-audio")
    offline = (
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-default-browser-check",
    )
    return [
        FOUND or "chromium",
        "--headless",
        "--no-sandbox",  # containers run as root
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        *quiet,
        *offline,
    ]
