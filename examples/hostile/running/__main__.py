"""`python3 -m running targets.json`, and then nothing more."""

import signal
import sys

from running import run

run()
if "stay" in sys.argv:
    signal.pause()
