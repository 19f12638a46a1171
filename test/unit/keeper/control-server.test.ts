import { once } from "node:events";
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Status } from "../../../src/base/control.ts";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { wayToSocket } from "../../../src/base/unix-socket.ts";
import { type Control, serveControl } from "../../../src/keeper/control-server.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const status = { answer: "safe", summary: "all is well" } as Status;

type Asked = { readonly status: number; readonly body: unknown; readonly headers: Record<string, unknown> };

/** A server in a directory of its own, and what it was asked for. */
async function serving({ below = "", sync }: { readonly below?: string; readonly sync?: Control["sync"] } = {}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = join(directory.path, below, "control.sock");
  mkdirSync(join(directory.path, below), { recursive: true });
  const timeouts: number[] = [];
  const control: Control = {
    status: () => status,
    sync: async (options) => {
      timeouts.push(options.timeoutMs);
      return (await sync?.(options)) ?? { replica: "file:///replica", replicated: "0000000000000007", tookMs: 3 };
    },
  };
  const server = await serveControl(path, control);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { directory: directory.path, path, control, server, timeouts };
}

async function ask(
  path: string,
  method: string,
  target: string,
  { body, headers = {} }: { readonly body?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Asked> {
  using way = wayToSocket(path);
  const asked = request({ socketPath: way.path, method, path: target, headers, agent: false });
  asked.end(body);
  const [answer] = await once(asked, "response");
  return { status: answer.statusCode, body: JSON.parse(await text(answer)), headers: answer.headers };
}

/** What comes back for bytes that are no proper request. */
async function say(path: string, bytes: string): Promise<string> {
  const socket = connect(path);
  socket.end(bytes);
  return text(socket);
}

const refusal = (problem: string) => ({
  code: "E_USAGE",
  message: `Cannot answer: ${problem}`,
  hint: "There are GET /status and POST /sync",
});

describe("the control socket", () => {
  it("is its owner's alone", async () => {
    const { path } = await serving();
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  it("answers how things stand", async () => {
    const { path } = await serving();
    expect(await ask(path, "GET", "/status")).toMatchObject({
      status: 200,
      body: status,
      headers: { "content-type": "application/json" },
    });
  });

  it.each([
    ["30 s without a word", "/sync", undefined, 30_000],
    ["by the query", "/sync?timeout=1500ms", undefined, 1500],
    ["by the body", "/sync", '{"timeout": "1m30s"}', 90_000],
    ["an empty body", "/sync", "{}", 30_000],
    ["as long as it may", "/sync?timeout=10m", "", 600_000],
  ])("waits for a sync: %s", async (_, target, body, timeoutMs) => {
    const { path, timeouts } = await serving();
    const answer = await ask(path, "POST", target, body === undefined ? {} : { body });
    expect(answer).toMatchObject({
      status: 200,
      body: { replica: "file:///replica", replicated: "0000000000000007", tookMs: 3 },
    });
    expect(timeouts).toEqual([timeoutMs]);
  });

  it.each([
    [
      "a number without a unit",
      "/sync?timeout=5",
      undefined,
      'timeout: "5" is no duration such as 500ms, 10s or 1h30m',
    ],
    ["a time that is too long", "/sync?timeout=1h", undefined, "timeout: more than 600s"],
    ["a number in the body", "/sync", '{"timeout": 5}', 'the body is not like {"timeout": "5s"}'],
    ["another key", "/sync", '{"path": "/etc/passwd"}', 'the body is not like {"timeout": "5s"}'],
    ["no JSON", "/sync", "timeout=5s", 'the body is not like {"timeout": "5s"}'],
    ["a list", "/sync", "[]", 'the body is not like {"timeout": "5s"}'],
    ["a long body", "/sync", `{"timeout": "${" ".repeat(2000)}5s"}`, "the body is longer than 1024 bytes"],
  ])("refuses %s, and goes on", async (_, target, body, problem) => {
    const { path, timeouts } = await serving();
    const answer = await ask(path, "POST", target, body === undefined ? {} : { body });
    expect(answer).toMatchObject({ status: 400, body: refusal(problem) });
    expect(timeouts).toEqual([]);
    expect((await ask(path, "GET", "/status")).status).toBe(200);
  });

  it("does not read an endless body to its end", async () => {
    const { path, timeouts } = await serving();
    const socket = connect(path);
    socket.on("error", () => {}).resume(); // it is hung up on while it still writes
    socket.write("POST /sync HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const writing = setInterval(() => socket.writable && socket.write(" ".repeat(10_000)), 1);
    await closed;
    clearInterval(writing);
    expect(timeouts).toEqual([]);
    expect((await ask(path, "GET", "/status")).status).toBe(200);
  });

  it.each([
    ["GET", "/"],
    ["GET", "/status/"],
    ["GET", "/../../etc/passwd"],
    ["GET", "//status"],
    ["POST", "http://[/sync"],
    ["GET", "/metrics?x=/status"],
  ])("has nothing at %s %s", async (method, target) => {
    const { path } = await serving();
    expect(await ask(path, method, target)).toMatchObject({
      status: 404,
      body: refusal("there is nothing at that path"),
    });
  });

  it.each([
    ["POST", "/status", "GET"],
    ["GET", "/sync", "POST"],
    ["PUT", "/sync", "POST"],
    ["DELETE", "/status", "GET"],
    ["OPTIONS", "/sync", "POST"],
  ])("refuses %s for %s, and says what it takes", async (method, target, allow) => {
    const { path } = await serving();
    expect(await ask(path, method, target)).toMatchObject({ status: 405, headers: { allow } });
  });

  it("answers in JSON also what is no request", async () => {
    const { path } = await serving();
    const nonsense = await say(path, "hello?\r\n\r\n");
    expect(nonsense).toMatch(/^HTTP\/1\.1 400 .*application\/json/s);
    expect(JSON.parse(nonsense.split("\r\n\r\n")[1] ?? "")).toEqual(refusal("this is no HTTP"));
    const long = await say(path, `GET /status HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(10_000)}\r\n\r\n`);
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
    expect(JSON.parse(long.split("\r\n\r\n")[1] ?? "")).toEqual(refusal("the request's head is too long"));
  });

  it("does not wait for ever for a request to come to its end", async () => {
    const { path } = await serving();
    const socket = connect(path);
    socket.write("POST /sync HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{");
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toEqual(refusal("the request did not come to its end"));
  });

  it("says why a sync failed, with its code and what to do", async () => {
    const { path } = await serving({
      sync: () => Promise.reject(new FlysqliteError("E_SYNC", "it lacks 3 transactions", { hint: "wait" })),
    });
    expect(await ask(path, "POST", "/sync")).toMatchObject({
      status: 503,
      body: { code: "E_SYNC", message: "it lacks 3 transactions", hint: "wait" },
    });
  });

  it("stops to wait for a caller that hangs up", async () => {
    const waiting = Promise.withResolvers<AbortSignal>();
    const { path } = await serving({
      sync: ({ signal }) => {
        waiting.resolve(signal);
        return new Promise(() => {});
      },
    });
    const socket = connect(path);
    socket.write("POST /sync HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    const signal = await waiting.promise;
    expect(signal.aborted).toBe(false);
    socket.destroy();
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
  });

  it("lets many wait at the same time, and answers others meanwhile", async () => {
    const released = Promise.withResolvers<void>();
    const { path, timeouts } = await serving({
      sync: async () => {
        await released.promise;
        return { replica: "file:///replica", replicated: "0000000000000007", tookMs: 3 };
      },
    });
    const waiting = Array.from({ length: 60 }, () => ask(path, "POST", "/sync"));
    await vi.waitFor(() => expect(timeouts).toHaveLength(60));
    expect((await ask(path, "GET", "/status")).status).toBe(200);
    released.resolve();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array.from({ length: 60 }, () => 200));
  });

  it("hangs up on callers beyond a bound, and lets others in when some are gone", async () => {
    const { path } = await serving();
    const held = Array.from({ length: 128 }, () => connect(path));
    await Promise.all(held.map((socket) => once(socket, "connect")));
    await vi.waitFor(async () => await expect(ask(path, "GET", "/status")).rejects.toThrow());
    for (const socket of held) socket.destroy();
    await vi.waitFor(async () => expect((await ask(path, "GET", "/status")).status).toBe(200));
  });

  it("works where the path is longer than a socket's may be", async () => {
    const { path } = await serving({ below: "a-directory-with-a-long-name/".repeat(6) });
    expect(path.length).toBeGreaterThan(107);
    expect(await ask(path, "GET", "/status")).toMatchObject({ status: 200, body: status });
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
  });

  it("is gone when it is closed", async () => {
    const { path, server } = await serving();
    await server[Symbol.asyncDispose]();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("takes the place of a socket that a killed keeper left", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "control.sock");
    const left = createServer().listen(path);
    await once(left, "listening");
    await using _server = await serveControl(path, { status: () => status, sync: () => Promise.reject(new Error()) });
    expect(await ask(path, "GET", "/status")).toMatchObject({ body: status });
    left.close();
  });

  it("leaves alone what is no socket", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "control.sock");
    const control: Control = { status: () => status, sync: () => Promise.reject(new Error()) };
    writeFileSync(path, "mine");
    await expect(serveControl(path, control)).rejects.toThrow("in its place is something that is no socket");
    expect(readFileSync(path, "utf8")).toBe("mine");
    const link = join(directory.path, "link.sock");
    symlinkSync(path, link);
    await expect(serveControl(link, control)).rejects.toThrow("no socket");
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });
});
