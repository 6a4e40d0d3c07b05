"""A headless Chromium over the DevTools protocol, by pipe: no package is needed, and no port is opened."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
PATIENCE_S = 120.0  # a machine may be busy with other tests
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # which root has none of
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no network
)


def chromium_program() -> str | None:
    """The browser on this machine; `CHROMIUM` names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """A page that is open, and what it has complained about and asked for so far."""

    def __init__(self, browser: "Chromium", session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.requests: list[str] = []
        browser.listen(session, self._hear)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )

    def _hear(self, method: str, what: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(one.get("value", one)) for one in what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.complaints.append(what["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def show(self, width: int, height: int = 900, scheme: str = "light") -> None:
        """As a window of that width in CSS pixels, of people who want a `scheme`."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path: Path, ready: str = "document.readyState === 'complete'") -> None:
        """Waits until `ready` holds."""
        self.call("Page.navigate", url=path.absolute().as_uri())
        self.wait(ready)

    def run(self, expression: str) -> Any:
        """The value of JavaScript, of a promise the one that comes; AssertionError with what it throws."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str, patience_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + patience_s
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition}: not after {patience_s} s; {self.complaints}"
            time.sleep(0.05)

    def picture(self, path: Path, whole: bool = True) -> None:
        """Writes a PNG of the page, or of the window alone."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


class Chromium:
    """A browser without a window; a context manager."""

    def __init__(self, program: str) -> None:
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        # The browser reads from descriptor 3 and writes to 4, whatever the pipes are here.
        far = [fcntl.fcntl(one, fcntl.F_DUPFD, 64) for one in (reads, writes)]

        def hand_over() -> None:
            os.dup2(far[0], 3)
            os.dup2(far[1], 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, "about:blank"], preexec_fn=hand_over, pass_fds=(3, 4), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for one in (reads, writes, *far):
            os.close(one)
        self._pending = b""
        self._number = 0
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def listen(self, session: str, hear: Callable[[str, dict[str, Any]], None]) -> None:
        self._listeners[session] = hear

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; events that come before it go to who listens."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            listener = self._listeners.get(answer.get("sessionId", ""))
            if listener:
                listener(answer["method"], answer["params"])

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._from], [], [], PATIENCE_S)
            assert ready, f"the browser has said nothing for {PATIENCE_S} s"
            read = os.read(self._from, 1 << 20)
            assert read, "the browser has ended"
            self._pending += read
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    @contextmanager
    def page(self) -> Iterator[Page]:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        yield Page(self, session)
        self.call("Target.closeTarget", targetId=target)
