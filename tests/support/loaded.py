"""Apps that are switched under load, one for each web server: each answers what `support.clients` expects.

A release is good unless its environment says otherwise, in MANNER: `sick` answers 500 to everything, `fading` is healthy
until it has answered somebody, and says 500 to its health check from then on.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BIN = Path(sys.prefix) / "servers" / "bin"

_ANSWER = """
import hashlib, os

RELEASE, MANNER, SHOWN = os.environ["TRIVET_RELEASE"], os.environ.get("MANNER"), os.environ["TMPDIR"] + "/shown"

def answer(path, body):
    if path == "/health":
        return 500 if MANNER == "sick" or MANNER == "fading" and os.path.exists(SHOWN) else 200, b"ok"
    if MANNER == "sick":
        return 500, b"sick"
    if MANNER == "fading":
        open(SHOWN, "w").close()
    return 200, f"{RELEASE} {hashlib.sha256(body).hexdigest()} {path}\\n".encode() + body
"""
_WSGI = """
from answer import answer

def app(environ, start):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    status, content = answer(environ["PATH_INFO"], environ["wsgi.input"].read(length))
    start(f"{status} Said", [("Content-Length", str(len(content)))])
    return [content]
"""
_ASGI = """
from answer import answer

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    body, event = b"", {"more_body": True}
    while event.get("more_body"):
        event = await receive()
        body += event.get("body", b"")
    status, content = answer(scope["path"], body)
    fields = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content})
"""
_NODE = """
const fs = require("fs"), { createHash } = require("crypto");
const { TRIVET_RELEASE: release, MANNER: manner, TMPDIR: folder, PORT: port } = process.env;
const shown = folder + "/shown";

function answer(path, body) {
  const isBad = manner === "sick" || (manner === "fading" && fs.existsSync(shown));
  if (path === "/health") return [isBad ? 500 : 200, Buffer.from("ok")];
  if (manner === "sick") return [500, Buffer.from("sick")];
  if (manner === "fading") fs.writeFileSync(shown, "");
  const digest = createHash("sha256").update(body).digest("hex");
  return [200, Buffer.concat([Buffer.from(`${release} ${digest} ${path}\\n`), body])];
}

const server = require("http").createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const [status, content] = answer(request.url, Buffer.concat(parts));
    response.writeHead(status, { "Content-Length": content.length });
    response.end(content);
  });
});
server.listen({ port, host: "127.0.0.1" });
ENDING
"""
_POLITE = 'process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });'
_RACK = """
require "digest/sha2"  # at once: what Digest finds by itself at the first use is not for several threads
release, manner, shown = ENV["TRIVET_RELEASE"], ENV["MANNER"], ENV["TMPDIR"] + "/shown"
answer = lambda do |path, body|
  return [manner == "sick" || (manner == "fading" && File.exist?(shown)) ? 500 : 200, "ok"] if path == "/health"
  return [500, "sick"] if manner == "sick"
  File.write(shown, "") if manner == "fading"
  [200, "#{release} #{Digest::SHA256.hexdigest(body)} #{path}\\n".b + body]
end
run(lambda do |env|
  status, content = answer.call(env["PATH_INFO"], env["rack.input"].read.b)
  [status, { "content-length" => content.bytesize.to_s }, [content]]
end)
"""
_DROPPING = """
import http.server, os
from answer import answer

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        status, content = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *arguments):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()  # SIGTERM ends it at once, whatever it is at
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an app consists of, and the command of a good release; `needs` are programs of the machine."""

    command: str
    files: Mapping[str, str]
    needs: tuple[str, ...] = ()
    inherits: bool = False


_PYTHON_WSGI = {"answer.py": _ANSWER, "app.py": _WSGI}
_PYTHON_ASGI = {"answer.py": _ANSWER, "app.py": _ASGI}
_SYNC = f"{_BIN}/gunicorn app:app --workers 2 --bind 127.0.0.1:$PORT"
_THREADS = f"{_BIN}/gunicorn app:app --worker-class gthread --threads 8 --bind 127.0.0.1:$PORT"
APPS = {
    "gunicorn sync": Loaded(_SYNC, _PYTHON_WSGI),
    "gunicorn threads": Loaded(_THREADS, _PYTHON_WSGI),
    "uvicorn": Loaded(f"{_BIN}/uvicorn app:app --port $PORT --no-access-log", _PYTHON_ASGI),
    "hypercorn": Loaded(f"{_BIN}/hypercorn app:app --bind 127.0.0.1:$PORT", _PYTHON_ASGI),
    "granian": Loaded(f"{_BIN}/granian --interface asgi --port $PORT app:app", _PYTHON_ASGI),
    "node": Loaded("node app.js", {"app.js": _NODE.replace("ENDING", _POLITE)}, ("node",)),
    # With fewer threads than clients its kept connections starve new ones for as long as they are asked.
    "puma": Loaded(
        "puma --quiet --threads 0:16 --bind tcp://127.0.0.1:$PORT config.ru", {"config.ru": _RACK}, ("puma",)
    ),
    "one that drops its connections": Loaded("python3 server.py", {"answer.py": _ANSWER, "server.py": _DROPPING}),
    "gunicorn sync, inherited socket": Loaded(_SYNC, _PYTHON_WSGI, inherits=True),
    "gunicorn threads, inherited socket": Loaded(_THREADS, _PYTHON_WSGI, inherits=True),
}
