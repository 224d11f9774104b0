"""`python manners.py MANNER PORT NAME`: an HTTP app that answers its name, and ends on SIGTERM in one of three manners.

polite: answers what is under way with `Connection: close`, then ends. idle-close: closes idle connections at once,
answers what is under way. abrupt: has no handler; the kernel resets what was open.
"""

import selectors
import signal
import socket
import sys
import time

SERVICE_S = 0.001


class App:
    def __init__(self, manner: str, port: int, name: bytes) -> None:
        self.name = name
        self.manner = manner
        self.is_ending = False
        self.selector = selectors.DefaultSelector()
        self.listening = socket.create_server(("127.0.0.1", port), backlog=512)
        self.selector.register(self.listening, selectors.EVENT_READ)
        self.buffers: dict[socket.socket, bytes] = {}
        if manner != "abrupt":
            signal.signal(signal.SIGTERM, self.end)

    def end(self, *_: object) -> None:
        self.is_ending = True
        self.selector.unregister(self.listening)
        self.listening.close()
        if self.manner == "idle-close":
            for connection in [connection for connection, buffer in self.buffers.items() if not buffer]:
                self.close(connection)

    def close(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        del self.buffers[connection]
        connection.close()

    def run(self) -> None:
        deadline = float("inf")
        while not (self.is_ending and (not self.buffers or time.monotonic() > deadline)):
            for key, _ in self.selector.select(0.5):
                if key.fileobj is self.listening:
                    connection, _ = self.listening.accept()
                    self.buffers[connection] = b""
                    self.selector.register(connection, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self.buffers:
                    self.read(key.fileobj)
            if self.is_ending and deadline == float("inf"):
                deadline = time.monotonic() + 1

    def read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return
        buffer = self.buffers[connection] + data
        head, end, body = buffer.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        self.buffers[connection] = buffer
        if end and len(body) >= length:
            self.buffers[connection] = body[length:]
            self.answer(connection, body[:length])

    def answer(self, connection: socket.socket, body: bytes) -> None:
        time.sleep(SERVICE_S)
        content = self.name + b" " + body
        closing = b"Connection: close\r\n" if self.is_ending else b""
        connection.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (closing, len(content), content))
        if self.is_ending:
            self.close(connection)


if __name__ == "__main__":
    App(sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()).run()
