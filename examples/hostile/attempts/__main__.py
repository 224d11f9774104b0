"""`python3 -m attempts`"""

from attempts import run

run()
