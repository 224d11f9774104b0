import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { greet } from "@example/greetings";

const app = new Hono();
app.get("/", (context) => context.text(greet(context.req.query("name") ?? "world", context.req.query("language"))));

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT ?? 3000) });
process.on("SIGTERM", () => server.close());
