"""A list of books: GET shows it, POST adds the title in its body."""

import http.server
import os

import sqlalchemy as sa

ENGINE = sa.create_engine(f"sqlite:///{os.environ['TRIVET_STORAGE']}/books.db")
BOOKS = sa.Table("books", sa.MetaData(), autoload_with=ENGINE)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with ENGINE.connect() as connection:
            titles = connection.scalars(sa.select(BOOKS.c.title).order_by(BOOKS.c.id)).all()
        self.answer("\n".join((", ".join(BOOKS.c.keys()), *titles)))

    def do_POST(self):
        title = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with ENGINE.begin() as connection:
            connection.execute(sa.insert(BOOKS).values(title=title))
        self.answer("added")

    def answer(self, text):
        body = f"{text}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
