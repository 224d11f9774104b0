const express = require("express");
const tally = require("./tally");

const app = express();
app.get("/health", (request, response) => response.send("well"));
app.get("/", (request, response) => response.json({ title: process.env.TITLE ?? "Tally", totals: tally.read() }));
app.post("/votes/:name", (request, response) => {
  tally.vote(request.params.name);
  response.status(202).end();
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1");
process.on("SIGTERM", () => server.close());
