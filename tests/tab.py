"""A page in headless Chromium, and what it complains about."""

import json

from websocket import create_connection

# Formulas are set, and what was drawn for this width is drawn.
SETTLED = """(async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
})()"""

KEYS = {"Tab": 9, "Enter": 13}


class Tab:
    """A new tab of a browser, spoken to in the DevTools protocol; its messages are ``events``."""

    def __init__(self, address, width):
        self.socket = create_connection(address, suppress_origin=True, timeout=60)
        self.events, self.calls, self.session = [], 0, None
        self.target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=self.target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session = None
        self.call("Target.closeTarget", targetId=self.target)
        self.socket.close()

    def call(self, method, **parameters):
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while (answer := self._receive()).get("id") != self.calls:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def run(self, script):
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def key(self, name, text=""):
        pressed = {"key": name, "code": name, "windowsVirtualKeyCode": KEYS[name]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def show(self, path, address=""):
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri() + address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()
        self.run(SETTLED)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if (kind, key) == ("keyDown", "Enter") else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def _receive(self):
        message = json.loads(self.socket.recv())
        if "method" in message:
            self.events.append(message)
        return message


def complaints(events):
    """Errors that a page reported, and requests for anything but files of the book."""
    for event in events:
        parameters = event["params"]
        match event["method"]:
            case "Runtime.exceptionThrown":
                yield json.dumps(parameters["exceptionDetails"])
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "assert"):
                yield json.dumps(parameters["args"])
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                yield json.dumps(parameters["entry"])
            case "Network.requestWillBeSent":
                address = parameters["request"]["url"]
                if not address.startswith(("file://", "data:", "about:")):
                    yield f"asks for {address}"
