// The guestbook: a small Prisma app over HTTP, with a few routes by which a test makes it misbehave.
//
//   GET  /health                 200 once it listens
//   GET  /entries                all entries, oldest first
//   POST /entries                {"author","text"}: 201 with the row, once it is committed
//   GET  /count                  {"count"}
//   GET  /env                    its environment, secrets blacked out
//   POST /crash?code=3           ends with that status, or with ?signal=KILL by that signal
//   POST /orphan?seconds=1       leaves a process behind whose parent is gone: {"pid"}
//
// IGNORE_TERM=1 makes it deaf to SIGTERM.

import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { constants } from "node:os";
import process from "node:process";
import { text } from "node:stream/consumers";
import { openDatabase } from "./database.ts";

type Answer = { readonly status: number; readonly body: unknown; readonly afterwards?: () => void };
type Route = (request: IncomingMessage, query: URLSearchParams) => Answer | Promise<Answer>;

const database = openDatabase();

const routes: { readonly [route: string]: Route } = {
  "GET /health": () => ok({ status: "ok" }),
  "GET /entries": async () => ok(await database.entry.findMany({ include: { author: true }, orderBy: { id: "asc" } })),
  "GET /count": async () => ok({ count: await database.entry.count() }),
  "GET /env": () => ok(visibleEnvironment()),
  "POST /entries": async (request) => {
    const entry = parseEntry(await text(request));
    if (entry === undefined) return { status: 400, body: { error: 'expected {"author": "…", "text": "…"}' } };
    const author = { connectOrCreate: { where: { name: entry.author }, create: { name: entry.author } } };
    return {
      status: 201,
      body: await database.entry.create({ data: { text: entry.text, author }, include: { author: true } }),
    };
  },
  "POST /crash": (_, query) => ({ status: 202, body: {}, afterwards: () => crash(query) }),
  "POST /orphan": async (_, query) => ({ status: 201, body: { pid: await leaveOrphan(query.get("seconds") ?? "1") } }),
};

const server = createServer((request, response) => {
  void respond(request, response);
});

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://guestbook");
  const route = routes[`${request.method} ${url.pathname}`];
  const { status, body, afterwards } = route ? await answer(route, request, url.searchParams) : notFound();
  if (!server.listening) response.shouldKeepAlive = false; // so that an answer under way doesn't hold up the stop
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`, afterwards);
}

async function answer(route: Route, request: IncomingMessage, query: URLSearchParams): Promise<Answer> {
  try {
    return await route(request, query);
  } catch (error) {
    console.error(error);
    return { status: 500, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function notFound(): Answer {
  return { status: 404, body: { error: "no such route" } };
}

function parseEntry(json: string): { readonly author: string; readonly text: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("author" in value) || !("text" in value)) return undefined;
  const { author, text } = value;
  return typeof author === "string" && typeof text === "string" ? { author, text } : undefined;
}

function visibleEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [name, /SECRET|KEY|TOKEN|PASSWORD/i.test(name) ? "***" : value]),
  );
}

function crash(query: URLSearchParams): void {
  const signal = query.get("signal");
  if (signal === null) process.exit(Number(query.get("code") ?? 1));
  process.kill(process.pid, constants.signals[`SIG${signal}` as NodeJS.Signals]);
}

/** Starts a shell that starts `sleep` in the background and ends, and waits for that: `sleep` has no parent then. */
function leaveOrphan(seconds: string): Promise<number> {
  const shell = spawn("sh", ["-c", 'sleep "$1" >/dev/null 2>&1 & echo $!', "sh", seconds], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const pid = text(shell.stdout);
  shell.once("error", reject);
  shell.once("exit", () => void pid.then((line) => resolve(Number(line)), reject));
  return promise;
}

/** Answers what was asked already, then ends. */
async function stop(): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
  await database.$disconnect();
  process.exit(0);
}

process.on("SIGTERM", () => {
  if (process.env.IGNORE_TERM !== "1") void stop();
});

const port = Number(process.env.PORT ?? 3000);
server.listen(port, "127.0.0.1", () => {
  const address = server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  console.log(`listening on http://127.0.0.1:${actual}`);
});
