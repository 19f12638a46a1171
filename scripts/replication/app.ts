// The app of the measurement: one-row transactions in WAL mode, as they are told over IPC. Each row holds the number of
// its commit as text, so that an uploaded page tells which commits are safe.
// Usage: node app.ts DATABASE, with an IPC channel

import { randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

export type Request =
  /** One commit. */
  | { readonly kind: "one" }
  | { readonly kind: "steady"; readonly rate: number; readonly seconds: number }
  /** As fast as it can. */
  | { readonly kind: "burst"; readonly seconds: number };

export type Answer = {
  /** Number of the first commit. */
  readonly first: number;
  /** When each commit was done, in milliseconds of the machine's monotonic clock; of a burst only the last. */
  readonly doneMs: readonly number[];
  /** How long each took, in milliseconds; of a burst none. */
  readonly tookMs: readonly number[];
  readonly count: number;
  /** How long all of it took, in milliseconds. */
  readonly ms: number;
  /** The largest log that was seen, in bytes. */
  readonly walBytes: number;
};

const { stat } = await import("node:fs/promises");
const path = process.argv[2] ?? "";
const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
database.exec("CREATE TABLE IF NOT EXISTS entry (n INTEGER PRIMARY KEY, mark TEXT NOT NULL, text TEXT NOT NULL)");
const insert = database.prepare("INSERT INTO entry VALUES (?, ?, ?)");
const text = randomBytes(3000).toString("base64");
let last = Number(database.prepare("SELECT coalesce(max(n), 0) AS n FROM entry").get()?.["n"]);

/** Of the machine, so that other processes can compare. */
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

function commit(): void {
  last += 1;
  const from = (last * 37) % 3900;
  insert.run(last, `<${String(last).padStart(10, "0")}>`, text.slice(from, from + 100));
}

async function perform(request: Request): Promise<Answer> {
  const first = last + 1;
  const doneMs: number[] = [];
  const tookMs: number[] = [];
  const startedMs = nowMs();
  let walBytes = 0;
  const look = async () => {
    walBytes = Math.max(walBytes, (await stat(`${path}-wal`).catch(() => ({ size: 0 }))).size);
  };
  const timed = () => {
    const beganMs = nowMs();
    commit();
    const endedMs = nowMs();
    doneMs.push(endedMs);
    tookMs.push(endedMs - beganMs);
  };
  if (request.kind === "one") timed();
  if (request.kind === "steady") {
    const { rate, seconds } = request;
    for (let done = 0; done < rate * seconds; await delay(1)) {
      const due = Math.min(rate * seconds, Math.ceil(((nowMs() - startedMs) / 1000) * rate));
      for (; done < due; done += 1) timed();
      if (done % rate < 3) await look();
    }
  }
  if (request.kind === "burst") {
    while (nowMs() - startedMs < request.seconds * 1000) {
      for (let i = 0; i < 500; i += 1) commit();
      await look();
    }
    doneMs.push(nowMs());
  }
  await look();
  return { first, doneMs, tookMs, count: last - first + 1, ms: nowMs() - startedMs, walBytes };
}

process.on("message", async (request: Request) => process.send?.(await perform(request)));
process.send?.("ready");
