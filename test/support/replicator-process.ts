// A replicator in a process of its own, so that it can die as one: without closing anything. Started by
// replicator.ts.

import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { systemClock, systemRandom } from "../../src/base/system.ts";
import { createCatalog } from "../../src/replica/catalog.ts";
import { unguarded } from "../../src/replica/lease/hold.ts";
import { SNAPSHOT_LEVEL } from "../../src/replica/ltx/names.ts";
import { createReplicator } from "../../src/replica/replicator.ts";
import { attach } from "../../src/sqlite/attached.ts";
import { openFileStore } from "../../src/storage/file.ts";
import { installedDriver } from "./driver.ts";
import { seededRandom } from "./random.ts";
import { decideStart, listFiles } from "./replica.ts";

export type ReplicatorRequest = "sync" | "capture";

export type ReplicatorAnswer = {
  /** Salts of the log up to which was copied. */
  readonly salts: string | undefined;
  /** Reasons of the full copies since the last answer. */
  readonly fullCopies: readonly string[];
  readonly error: string | undefined;
};

const { values } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    replica: { type: "string", default: "" },
    state: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
    /** Longest pause between two steps, in milliseconds. */
    pause: { type: "string", default: "0" },
    /** A step, and how many times it is passed by before the process dies at it: "uploaded:2". */
    "die-at": { type: "string", default: "" },
  },
});
const random = seededRandom(Number(values.seed));
const [deadlyLabel, passes] = values["die-at"].split(":");
let passesLeft = Number(passes ?? 0);
const sleeping = new Int32Array(new SharedArrayBuffer(4));
const fullCopies: string[] = [];
const { signal } = new AbortController();

function at(label: string): void {
  if (label === deadlyLabel) {
    if (passesLeft === 0) process.kill(process.pid, "SIGKILL");
    passesLeft -= 1;
  }
  const pause = Number(values.pause);
  if (pause > 0 && random.unit() < 0.4) Atomics.wait(sleeping, 0, 0, random.unit() * pause);
}

mkdirSync(values.state, { recursive: true });
const store = openFileStore(values.replica, { random: systemRandom });
const driver = await installedDriver();
const attached = attach(values.database, { driver, at });
const start = await decideStart(store, {
  path: values.database,
  stateDirectory: values.state,
  databaseId: "one-database",
});
const catalog = createCatalog(await listFiles(store));
const replicator = await createReplicator({
  attached,
  start,
  catalog,
  store,
  local: openFileStore(values.state, { random: systemRandom, durable: false }),
  stateDirectory: values.state,
  guard: unguarded,
  clock: systemClock,
  log: ({ text }) => void (text.startsWith("copied the whole") && fullCopies.push(text)),
  at,
  signal,
});

async function perform(request: ReplicatorRequest): Promise<string | undefined> {
  try {
    await replicator[request]({ signal });
    await replicator.upload({ signal });
    if (catalog.reached(SNAPSHOT_LEVEL) < replicator.copiedAt) await replicator.snapshot({ signal });
    return undefined;
  } catch (error) {
    return String(error);
  }
}

process.on("message", async (request: ReplicatorRequest) => {
  const error = await perform(request);
  const { position } = attached;
  const salts = position?.kind === "log" ? position.header.salts.join() : undefined;
  const answer: ReplicatorAnswer = { salts, fullCopies: fullCopies.splice(0), error };
  process.send?.(answer);
});
process.send?.("attached");
