"""Small apps for the tests: standard library only, so that building them costs nothing."""

SERVER = """
import http.server, os, signal, sys, threading

VERSION = "v1"

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        body = f"{VERSION} {os.environ.get('GREETING', '-')} {os.environ['TRIVET_RELEASE']}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        print(form % arguments, flush=True)

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", flush=True)
server.serve_forever(poll_interval=0.02)
"""

WORKER = """
import signal, threading
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
print("working", flush=True)
stopping.wait()
print("stopped", flush=True)
"""

DIES = """
import sys
print("no database configured", file=sys.stderr)
sys.exit(3)
"""

SILENT = """
import time
print("thinking", flush=True)
time.sleep(600)
"""


SETTINGS = 'app = "shop"\n\n[processes.web]\ntimeout = 60\n\n[processes.worker]\nsettle = 0.2\n'
PROCFILE = "web: python3 server.py\nworker: python3 worker.py\n"


def shop(
    version: str = "v1", *, web: str = SERVER, procfile: str = PROCFILE, settings: str = SETTINGS
) -> dict[str, str | None]:
    """An app with a web and a worker process that answers with its version, its GREETING and its release."""
    return {
        "Procfile": procfile,
        "server.py": web.replace('VERSION = "v1"', f'VERSION = "{version}"'),
        "worker.py": WORKER,
        "trivet.toml": settings,
    }
