"""The smallest Flask app."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def greet():
    return "Hello from requirements.txt.\n"
