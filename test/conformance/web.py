# A web server for the checks of the port proxy, run in a sandbox: it tells what it was asked, and echoes one message of
# each WebSocket.
import base64
import hashlib
import http.server
import json
import sys


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path.startswith("/moved"):
            self.answer(302, "", ("Location", "/elsewhere"))
            return
        told = {"method": self.command, "uri": self.path, "header": dict(self.headers), "body": body}
        self.answer(418 if self.path.startswith("/teapot") else 200, json.dumps(told))

    do_POST = do_GET

    def answer(self, status, text, *headers):
        self.send_response(status)
        for name, value in (("Content-Length", str(len(text.encode()))), ("Content-Type", "application/json"), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def echo(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()),
        ):
            self.send_header(name, value)
        self.end_headers()
        head = self.rfile.read(2)
        size = head[1] & 0x7F  # a short text in one frame
        mask = self.rfile.read(4)
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
        self.wfile.write(bytes([0x81, len(text)]) + text)
        self.wfile.flush()
        self.rfile.read(2)
        self.close_connection = True


http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Web).serve_forever()
