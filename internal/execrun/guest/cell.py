"""Runs one cell in the kernel of the Jupyter server of this sandbox, at most once.

    cell.py DIR LANGUAGE

The source is DIR/script. What the cell writes goes to stdout and stderr as it comes. How it ended is left in DIR/result,
in one piece, and what it displayed in files beside it that the result names. All cells of a language run in one kernel,
one after the other, and share what they define. Nothing but the standard library is needed.

The exit code is 0, 1 where the cell failed, and 125 where there is no kernel to run it.
"""
import base64
import binascii
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import struct
import sys
import time
import uuid

HOST, PORT = "127.0.0.1", 8888
# How long the server may take to come up, in seconds.
STARTUP = 45
# How long a cell that is told to stop may take for it, and a kernel for its restart after that.
HALT, RESTART = 5, 6
# How long the kernel may be silent between the two messages that end a cell.
HALF = 10
# What is kept, in characters or bytes.
TEXT, VALUE, TRACEBACK = 16384, 1024, 8192
MAX_FILES, MAX_FILE_BYTES = 32, 16 << 20

EXTENSIONS = {
    "application/javascript": "js", "application/json": "json", "application/pdf": "pdf", "image/gif": "gif",
    "image/jpeg": "jpg", "image/png": "png", "image/svg+xml": "svg", "text/html": "html", "text/latex": "tex",
    "text/markdown": "md", "text/plain": "txt",
}


class Unavailable(Exception):
    """There is no kernel. The cell has not been run."""


class Stopped(Exception):
    """The cell is to be stopped."""


class Lost(Exception):
    """The connection to the kernel is gone."""


def ask(method, path, body=None, timeout=10):
    connection = http.client.HTTPConnection(HOST, PORT, timeout=timeout)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise OSError("the Jupyter server answers %d to %s" % (answer.status, path))
    return json.loads(text.decode()) if text else None


def find_kernel(language):
    """The first living kernel of a language, so that all who use the sandbox share it, or a new one."""
    until = time.monotonic() + STARTUP
    while True:
        try:
            specs = ask("GET", "/api/kernelspecs")
            name = choose_spec(specs, language)
            for kernel in ask("GET", "/api/kernels"):
                if kernel.get("name") == name and kernel.get("execution_state") != "dead":
                    return kernel["id"]
            return ask("POST", "/api/kernels", {"name": name}, timeout=60)["id"]
        except (OSError, ValueError, http.client.HTTPException):
            if time.monotonic() > until:
                raise Unavailable("no Jupyter server answers on port %d of the sandbox: start it from a template with a "
                                  "code interpreter, such as code-runner-beta" % PORT)
            time.sleep(0.25)


def choose_spec(specs, language):
    known = specs.get("kernelspecs") or {}
    if language in known:
        return language
    fitting = sorted(n for n, s in known.items() if s.get("spec", {}).get("language", "").lower() == language.lower())
    if not fitting:
        raise Unavailable("the sandbox has no kernel for %s, only for: %s" % (language, ", ".join(sorted(known)) or "nothing"))
    return specs.get("default") if specs.get("default") in fitting else fitting[0]


class WebSocket:
    """The client's side of RFC 6455, as far as a server of this machine needs it."""

    def __init__(self, path):
        self.sock = socket.create_connection((HOST, PORT), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((
            "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path, HOST, PORT, key)).encode())
        self.buffer, self.parts, self.kind = bytearray(), [], 0
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Lost("the server does not open the channels of the kernel")
        self.sock.settimeout(None)

    def more(self):
        piece = self.sock.recv(1 << 16)
        if not piece:
            raise Lost("the connection to the kernel was closed")
        self.buffer += piece

    def need(self, size):
        while len(self.buffer) < size:
            self.more()

    def send(self, opcode, payload):
        length, mask = len(payload), os.urandom(4)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.sock.sendall(head + mask + masked)

    def frame(self):
        """The next frame. Nothing is taken before it is there as a whole, since reading can time out anywhere."""
        self.need(2)
        first, length, head = self.buffer[0], self.buffer[1] & 0x7F, 2
        if length >= 126:
            head = 4 if length == 126 else 10
            self.need(head)
            length = int.from_bytes(self.buffer[2:head], "big")
        self.need(head + length)
        payload = bytes(self.buffer[head:head + length])
        del self.buffer[:head + length]
        return first, payload

    def message(self):
        """The next message: its kind, 1 for text and 2 for binary, and its content."""
        while True:
            first, payload = self.frame()
            opcode = first & 0x0F
            if opcode == 8:
                raise Lost("the server closed the connection to the kernel")
            if opcode == 9:
                self.send(10, payload)
            elif opcode in (0, 1, 2):
                self.kind = self.kind or opcode
                self.parts.append(payload)
                if first & 0x80:
                    kind, content = self.kind, b"".join(self.parts)
                    self.kind, self.parts = 0, []
                    return kind, content


class Cell:
    def __init__(self, directory):
        self.directory = directory
        self.session, self.request = uuid.uuid4().hex, uuid.uuid4().hex
        self.begun = self.idle = self.replied = False
        self.files, self.bytes = [], 0
        self.text, self.count, self.types, self.error = "", 0, set(), None

    def run(self, kernel, source):
        try:
            channels = WebSocket("/api/kernels/%s/channels?session_id=%s" % (kernel, self.session))
        except (OSError, Lost) as why:
            raise Unavailable("the kernel cannot be reached: %s" % why)
        channels.send(1, json.dumps({
            "header": {"msg_id": self.request, "session": self.session, "username": "wrenn", "msg_type": "execute_request",
                       "version": "5.3", "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
            "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
            # It does not stop on an error: that would make the kernel drop the cells of others that wait behind it.
            "content": {"code": source, "silent": False, "store_history": True, "user_expressions": {},
                        "allow_stdin": False, "stop_on_error": False},
        }).encode())
        try:
            self.follow(channels)
        except Stopped:
            self.halt(kernel, channels)

    def follow(self, channels):
        while not (self.idle and self.replied):
            try:
                self.take(parse(*channels.message()))
            except socket.timeout:
                if not self.idle:
                    self.fail("Incomplete", "the kernel does not tell whether the cell has ended")
                return
            except (OSError, Lost) as why:
                self.fail("KernelLost", str(why))
                return
            if self.idle or self.replied:
                channels.sock.settimeout(HALF)

    def halt(self, kernel, channels):
        """Ends the cell. It is not told to end before it has begun: what runs until then is somebody else's."""
        until, told = time.monotonic() + HALT, False
        try:
            while not self.idle and time.monotonic() < until:
                if self.begun and not told:
                    told = True
                    ask("POST", "/api/kernels/%s/interrupt" % kernel, timeout=2)
                channels.sock.settimeout(max(0.05, min(0.5, until - time.monotonic())))
                try:
                    self.take(parse(*channels.message()))
                except socket.timeout:
                    pass
        except (OSError, Lost, ValueError, http.client.HTTPException):
            pass
        if not self.idle:
            # A kernel that does not let go of the cell loses it with all else that it has.
            self.fail("KernelRestarted", "the cell did not end when it was told to, and its kernel was restarted")
            ask("POST", "/api/kernels/%s/restart" % kernel, timeout=RESTART)

    def take(self, message):
        kind, content = message["header"].get("msg_type"), message.get("content") or {}
        if kind == "status" and content.get("execution_state") in ("restarting", "dead"):
            self.fail("KernelDied", "the kernel died, and what it held with it")
            self.idle = self.replied = True
            return
        if (message.get("parent_header") or {}).get("msg_id") != self.request:
            return
        self.begun = True
        self.count = content.get("execution_count") or self.count
        if kind == "status":
            self.idle = self.idle or content.get("execution_state") == "idle"
        elif kind == "stream":
            stream = sys.stderr if content.get("name") == "stderr" else sys.stdout
            stream.buffer.write(content.get("text", "").encode("utf-8", "replace"))
            stream.buffer.flush()
        elif kind == "execute_result":
            self.text = self.show(content.get("data") or {}, True)
        elif kind == "display_data":
            self.show(content.get("data") or {}, False)
        elif kind == "error":
            self.fail(content.get("ename"), content.get("evalue"), content.get("traceback"))
        elif kind == "execute_reply":
            self.replied = True
            if content.get("status") == "error":
                self.fail(content.get("ename"), content.get("evalue"), content.get("traceback"))
            elif content.get("status") in ("aborted", "abort"):
                self.fail("Aborted", "the kernel dropped the cell before it began")

    def show(self, bundle, is_value):
        """Keeps what is displayed, as files, and returns the plain text of a value."""
        self.types.update(bundle)
        text = joined(bundle.get("text/plain") or "")
        for mime in sorted(bundle):
            alone = len(bundle) == 1 and not is_value
            if mime != "text/plain" or alone or (is_value and len(text) > TEXT):
                self.save(mime, content_of(mime, bundle[mime]))
        return text if is_value else ""

    def save(self, mime, content):
        if len(self.files) >= MAX_FILES or self.bytes + len(content) > MAX_FILE_BYTES:
            return
        name = "cell-%d.%s" % (len(self.files), EXTENSIONS.get(mime, "bin"))
        write(os.path.join(self.directory, name), content)
        self.files.append({"name": name, "mimeType": mime[:128], "bytes": len(content)})
        self.bytes += len(content)

    def fail(self, name, value, traceback=()):
        if self.error is None:
            plain = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(traceback or ()))
            self.error = {"name": str(name or "Error")[:256], "value": str(value or "")[:VALUE], "traceback": plain[-TRACEBACK:]}

    def result(self):
        return {"text": self.text[:TEXT], "executionCount": self.count, "error": self.error, "files": self.files,
                "mimeTypes": sorted(t[:128] for t in self.types)[:32]}


def parse(kind, frame):
    """Reads a message. A binary one has a count and offsets of parts before it; the first part is the JSON."""
    if kind == 2:
        count, start = struct.unpack("!II", frame[:8])
        end = struct.unpack("!I", frame[8:12])[0] if count > 1 else len(frame)
        frame = frame[start:end]
    return json.loads(frame.decode("utf-8", "replace"))


def joined(text):
    return "".join(text) if isinstance(text, list) else str(text)


def content_of(mime, content):
    if mime.endswith("json") or not isinstance(content, (str, list)):
        return json.dumps(content).encode()
    text = joined(content)
    if mime.split("/")[0] in ("image", "audio", "video") and not mime.endswith("+xml") or mime == "application/pdf":
        try:
            return base64.b64decode(text)
        except (binascii.Error, ValueError):
            pass
    return text.encode("utf-8", "replace")


def write(path, content):
    with open(path + ".tmp", "wb") as file:
        file.write(content)
    os.rename(path + ".tmp", path)


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped()


def main(directory, language):
    signal.signal(signal.SIGTERM, stop)
    cell, code, result = Cell(directory), 0, None
    try:
        with open(os.path.join(directory, "script"), encoding="utf-8") as file:
            source = file.read()
        # A cell that waits its turn here can be withdrawn. One that waits in the kernel cannot.
        lock = os.path.join(os.path.dirname(os.path.dirname(directory)), "kernel-%s.lock" % re.sub("[^A-Za-z0-9]", "-", language))
        with open(lock, "a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            cell.run(find_kernel(language), source)
    except Unavailable as why:
        result, code = {"unavailable": str(why)}, 125
    except Stopped:
        cell.fail("Stopped", "the cell was told to stop before it began")
    if result is None:
        result = cell.result()
        code = 1 if cell.error else 0
    write(os.path.join(directory, "result"), json.dumps(result).encode())
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
