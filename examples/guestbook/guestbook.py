"""The guestbook's web process: shows the entries and takes new ones."""

import json
import os
from pathlib import Path

from flask import Flask, redirect, render_template, request

import book

app = Flask(__name__)
ASSETS = json.loads(Path(__file__).with_name("static").joinpath("manifest.json").read_text())


@app.get("/")
def show():
    return render_template(
        "book.html",
        title=os.environ.get("TITLE", "Guestbook"),
        release=os.environ["TRIVET_RELEASE"],
        assets=ASSETS,
        entries=book.entries(),
        statistics=book.statistics(),
    )


@app.post("/")
def sign():
    name, text = request.form.get("name", "").strip(), request.form.get("text", "").strip()
    if not name or not text:
        return "A name and a text, please.\n", 400
    book.add(name[:80], text[:500])
    return redirect("/", code=303)


@app.get("/health")
def health():
    book.entries()
    return os.environ["TRIVET_RELEASE"] + "\n"
