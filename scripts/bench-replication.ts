// Measures replication beside an app: flysqlite and the Litestream of both lines, with the settings that each has by
// itself, to an S3 server on this machine. Figures only; that the replica restores to all commits is checked.
// Usage: npm run bench:replication [-- --seconds 20 --rate 200 --samples 30 --away 60 --only idle,steady,burst,away --of flysqlite]

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { temporaryDirectory } from "../test/support/temporary.ts";
import type { Answer, Request as AppRequest } from "./replication/app.ts";
import type { Request as BucketRequest, Stored } from "./replication/bucket.ts";
import { findReplicators, type Place, type Replicator, type Running, usageOf } from "./replication/replicators.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    rate: { type: "string", default: "200" },
    samples: { type: "string", default: "30" },
    away: { type: "string", default: "60" },
    only: { type: "string", default: "idle,steady,burst,away" },
    /** Part of the names of the replicators that are measured. */
    of: { type: "string", default: "" },
  },
});
const [seconds, rate, samples, away] = [values.seconds, values.rate, values.samples, values.away].map(Number) as [
  number,
  number,
  number,
  number,
];
const scenarios = values.only.split(",");

/** Between two commits on an idle database, in milliseconds: more than any interval of Litestream's. */
const IDLE_MS = [1500, 2500] as const;

/** Longest time that an upload is waited for, in milliseconds. */
const PATIENCE_MS = 120_000;

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const say = (text: string) => void process.stdout.write(`${text}\n`);
const quantile = (numbers: readonly number[], share: number) =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN;

/** A process that answers each request with one message. */
function start<Request, Reply>(file: string, words: readonly string[] = []) {
  const child = fork(join(import.meta.dirname, "replication", file), words, { stdio: "inherit" });
  const ended = once(child, "exit").then(() => Promise.reject(new Error(`${file} ended`)));
  ended.catch(() => {});
  const next = async () => (await Promise.race([once(child, "message"), ended]))[0] as unknown;
  return {
    greeting: next(),
    async ask(request: Request): Promise<Reply> {
      const answer = next();
      child.send(request as object);
      return (await answer) as Reply;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}

await using bucket = start<BucketRequest, readonly Stored[]>("bucket.ts");
const origin = String(await bucket.greeting);

const stored = (sinceMs: number, marks = true) => bucket.ask({ kind: "stored", sinceMs, marks });

/** When each commit was safe: when the first object was stored that holds it, or a later one. */
function lags(objects: readonly Stored[], { first, doneMs }: Answer): readonly number[] {
  const inOrder = [...objects].sort((a, b) => a.atMs - b.atMs);
  let at = 0;
  return doneMs.map((ms, index) => {
    while (at < inOrder.length && (inOrder[at]?.mark ?? 0) < first + index) at += 1;
    return (inOrder[at]?.atMs ?? Number.POSITIVE_INFINITY) - ms;
  });
}

/** Waits until the commit is in the bucket; gives when that was. */
async function safeAt(mark: number, sinceMs: number): Promise<number> {
  for (const giveUpAt = nowMs() + PATIENCE_MS; nowMs() < giveUpAt; await delay(50)) {
    const times = (await stored(sinceMs)).filter((object) => object.mark >= mark).map(({ atMs }) => atMs);
    if (times.length > 0) return Math.min(...times);
  }
  return Number.POSITIVE_INFINITY;
}

/** What a replicator used while `work` ran; memory is the most of what was seen twice a second. */
async function watched<Result>(pid: number | undefined, work: Promise<Result>) {
  if (pid === undefined) return { result: await work, told: "" };
  const before = usageOf(pid);
  let [privateMegabytes, rssMegabytes] = [0, 0];
  let running = true;
  const watching = (async () => {
    while (running) {
      const usage = usageOf(pid);
      privateMegabytes = Math.max(privateMegabytes, usage.privateMegabytes);
      rssMegabytes = Math.max(rssMegabytes, usage.rssMegabytes);
      await delay(500);
    }
  })();
  const result = await work;
  running = false;
  await watching;
  const cpu = usageOf(pid).cpuSeconds - before.cpuSeconds;
  return {
    result,
    told: `memory ${privateMegabytes.toFixed(0)} MB private, ${rssMegabytes.toFixed(0)} MB RSS; processor ${cpu.toFixed(1)} s`,
  };
}

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, { parentPath, name }) => sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}

type Scene = {
  readonly app: ReturnType<typeof start<AppRequest, Answer>>;
  readonly running: Running | undefined;
  readonly directory: string;
};

/** Rates without replication, to compare with. */
const alone = new Map<string, number>();

const SCENES: Readonly<Record<string, (scene: Scene) => Promise<string>>> = {
  async idle({ app, running }) {
    if (running === undefined) return "";
    const found: number[] = [];
    const { told } = await watched(
      running.pid,
      (async () => {
        for (let sample = 0; sample < samples; sample += 1) {
          await delay(IDLE_MS[0] + Math.random() * (IDLE_MS[1] - IDLE_MS[0]));
          const sinceMs = nowMs();
          const answer = await app.ask({ kind: "one" });
          found.push((await safeAt(answer.first, sinceMs)) - (answer.doneMs[0] ?? 0));
        }
      })(),
    );
    const [low, half, most] = [0, 0.5, 1].map((share) => quantile(found, share).toFixed(0));
    return `lag median ${half} ms (${low} to ${most}); ${told}`;
  },

  async steady({ app, running }) {
    const sinceMs = nowMs();
    const { result: answer, told } = await watched(running?.pid, app.ask({ kind: "steady", rate, seconds }));
    const reached = answer.count / (answer.ms / 1000);
    const commits = `${reached.toFixed(1)} commits/s, each ${quantile(answer.tookMs, 0.5).toFixed(2)} ms, p99 ${quantile(answer.tookMs, 0.99).toFixed(2)} ms`;
    if (running === undefined) {
      alone.set("steady", reached);
      return commits;
    }
    await safeAt(answer.first + answer.count - 1, sinceMs);
    const lag = lags(await stored(sinceMs), answer);
    const [half, high, most] = [0.5, 0.99, 1].map((share) => quantile(lag, share).toFixed(0));
    const share = ((100 * reached) / (alone.get("steady") ?? Number.NaN)).toFixed(1);
    return `${commits} (${share} %); lag median ${half} ms, p99 ${high} ms, most ${most} ms; ${told}`;
  },

  async burst({ app, running }) {
    const sinceMs = nowMs();
    const { result: answer, told } = await watched(running?.pid, app.ask({ kind: "burst", seconds }));
    const reached = answer.count / (answer.ms / 1000);
    const commits = `${reached.toFixed(0)} commits/s, log up to ${(answer.walBytes / 1e6).toFixed(0)} MB`;
    if (running === undefined) {
      alone.set("burst", reached);
      return commits;
    }
    const endedMs = answer.doneMs[0] ?? 0;
    const during = (await stored(sinceMs, false)).filter(({ atMs }) => atMs < endedMs);
    const safeMs = await safeAt(answer.first + answer.count - 1, endedMs);
    const share = ((100 * reached) / (alone.get("burst") ?? Number.NaN)).toFixed(0);
    const megabytes = during.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 1e6;
    return `${commits} (${share} %); ${during.length} uploads of ${megabytes.toFixed(0)} MB meanwhile; all of it there ${(safeMs - endedMs).toFixed(0)} ms after the end; ${told}`;
  },

  async away({ app, running, directory }) {
    if (running === undefined) return "";
    await bucket.ask({ kind: "away", away: true });
    const before = sizeOf(directory);
    const { result: answer, told } = await watched(running.pid, app.ask({ kind: "steady", rate, seconds: away }));
    const grown = (sizeOf(directory) - before) / 1e6;
    const backMs = nowMs();
    await bucket.ask({ kind: "away", away: false });
    const safeMs = await safeAt(answer.first + answer.count - 1, backMs);
    const objects = (await stored(backMs, false)).length;
    return `${away} s away at ${rate} commits/s: volume ${grown.toFixed(0)} MB more, log up to ${(answer.walBytes / 1e6).toFixed(0)} MB; all of it there ${(safeMs - backMs).toFixed(0)} ms after its return, in ${objects} uploads; ${told}`;
  },
};

async function measure(scenario: string, replicator: Replicator | undefined): Promise<void> {
  using temporary = temporaryDirectory();
  const directory = join(temporary.path, "volume");
  mkdirSync(directory);
  const place: Place = { directory, origin };
  await bucket.ask({ kind: "forget" });
  await using app = start<AppRequest, Answer>("app.ts", [join(directory, "app.db")]);
  await app.greeting;
  const sinceMs = nowMs();
  const made = await app.ask({ kind: "one" });
  let told: string;
  {
    await using running = replicator?.start(place);
    if (running !== undefined && (await safeAt(made.first, sinceMs)) === Number.POSITIVE_INFINITY)
      throw new Error(`${replicator?.name} replicates nothing: ${running.output()}`);
    await delay(2000); // what it does at its start is over
    told = (await SCENES[scenario]?.({ app, running, directory })) ?? "no such scenario";
  }
  if (told !== "") say(`${scenario.padEnd(7)} ${(replicator?.name ?? "no replication").padEnd(18)} ${told}`);
  if (replicator === undefined) return;
  const last = (await app.ask({ kind: "one" })).first - 1; // made after its end
  const output = join(temporary.path, "restored.db");
  await replicator.restore(place, output);
  using restored = new DatabaseSync(output, { readOnly: true });
  const { n, rows } = restored.prepare("SELECT max(n) AS n, count(*) AS rows FROM entry").get() ?? {};
  if (n !== last || rows !== last) say(`  LOST: ${String(n)} of ${last} commits are in the replica`);
  rmSync(output);
}

const replicators = findReplicators().filter(({ name }) => name.includes(values.of));
for (const scenario of scenarios) {
  for (const replicator of [undefined, ...replicators]) await measure(scenario, replicator);
}
