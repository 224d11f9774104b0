"""The web servers that apps use, each as an app of one file that answers its release, and how it inherits a socket."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.toolchains import GO_CACHE, with_go

_BIN = Path(sys.prefix) / "servers" / "bin"

WSGI = """
import os
def app(environ, start):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = os.environ["TRIVET_RELEASE"].encode() + b" " + environ["wsgi.input"].read(length)
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    body = os.environ["TRIVET_RELEASE"].encode() + b" "
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""
NODE = """
const server = require("http").createServer((request, response) => {
  const parts = [Buffer.from(process.env.TRIVET_RELEASE + " ")];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => response.end(Buffer.concat(parts)));
});
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : { port: process.env.PORT, host: "127.0.0.1" });
process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
GO = """
package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func listen() (net.Listener, error) {
	if os.Getenv("LISTEN_FDS") != "" {
		return net.FileListener(os.NewFile(3, "web"))
	}
	return net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
}

func main() {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, os.Getenv("TRIVET_RELEASE")+" ")
		io.Copy(w, r.Body)
	})}
	listener, err := listen()
	if err != nil {
		panic(err)
	}
	ended := make(chan bool)
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		<-told
		server.Shutdown(context.Background())
		close(ended)
	}()
	server.Serve(listener)
	<-ended
}
"""
RACK = """
run ->(env) { [200, {}, ["#{ENV["TRIVET_RELEASE"]} #{env["rack.input"].read}"]] }
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What the app consists of, and its command; `needs` are programs of the machine."""

    command: str
    files: Mapping[str, str]
    needs: tuple[str, ...] = ()


SERVERS = {
    "gunicorn sync": Server(f"{_BIN}/gunicorn app:app --workers 2 --bind 127.0.0.1:$PORT", {"app.py": WSGI}),
    "gunicorn gthread": Server(
        f"{_BIN}/gunicorn app:app --worker-class gthread --threads 4 --bind 127.0.0.1:$PORT", {"app.py": WSGI}
    ),
    "uvicorn": Server(f"{_BIN}/uvicorn app:app --fd 3", {"app.py": ASGI}),
    "hypercorn": Server(f"{_BIN}/hypercorn app:app --bind fd://3", {"app.py": ASGI}),
    "node": Server("node app.js", {"app.js": NODE}, ("node",)),
    "go": Server("./app", {"app.go": GO}),
    "puma": Server("puma --quiet --bind tcp://127.0.0.1:$PORT config.ru", {"config.ru": RACK}, ("puma",)),
}


def compile_go(folder: Path, source: str) -> None:
    """The program lies in the folder as `app`. What was compiled is kept beside the compiler: it takes half a minute."""
    (folder / "go.mod").write_text("module app\n\ngo 1.21\n")
    (folder / "app.go").write_text(source)
    environment = {**with_go(), "GOCACHE": str(GO_CACHE), "GOFLAGS": "-buildvcs=false"}
    subprocess.run(("go", "build", "-o", "app", "."), cwd=folder, env={**environment, "CGO_ENABLED": "0"}, check=True)
