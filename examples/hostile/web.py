"""What the hostile app is at run time: a harmless one, that says what its build has tried."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Path("attempts.txt").read_bytes())


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
