"""The worker process: counts entries and words once a second, until it is told to stop."""

import signal
import threading

import book

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
print("counting", flush=True)
last = None
while not stopping.wait(1):
    now = book.count()
    if now != last:
        print(f"{now[0]} entries, {now[1]} words", flush=True)
        last = now
print("stopped counting", flush=True)
