"""Compiles the assets in the build: strips the stylesheet and names it after its content, so that browsers may keep it for ever."""

import hashlib
import json
import re
from pathlib import Path

here = Path(__file__).parent
css = (here / "assets" / "style.css").read_text()
css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
css = re.sub(r"\s*([{}:;,])\s*", r"\1", re.sub(r"\s+", " ", css)).strip()
name = f"style.{hashlib.sha256(css.encode()).hexdigest()[:10]}.css"
static = here / "static"
static.mkdir(exist_ok=True)
(static / name).write_text(css)
(static / "manifest.json").write_text(json.dumps({"style.css": name}))
print(f"compiled {name}: {len(css)} bytes")
