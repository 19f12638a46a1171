// A keeper in a process of its own, run from the sources as main.ts runs it, with the times that a test gives its lease.
// Started by keeper.ts.

import { parseArgs } from "node:util";
import { Refusal, toFlysqliteError } from "../../src/base/errors.ts";
import type { ToKeeper } from "../../src/base/messages.ts";
import { systemClock, systemRandom } from "../../src/base/system.ts";
import { createLog, renderFailure } from "../../src/cli/render-event.ts";
import { readSettings } from "../../src/config/settings.ts";
import { type Channel, keep } from "../../src/keeper/keeper.ts";
import { keepInPlace } from "../../src/keeper/sidecar.ts";
import type { StepContext } from "../../src/steps/context.ts";
import { createReplicaStore } from "../../src/steps/replica-store.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { installedDriver } from "./driver.ts";

const { values } = parseArgs({
  options: {
    /** What main.ts is told as its path: it is started in the migrator's role. */
    main: { type: "string", default: "" },
    app: { type: "string", default: "" },
    volume: { type: "string", default: "" },
    replica: { type: "string", default: "" },
    ttl: { type: "string", default: "" },
    wait: { type: "string", default: "" },
    again: { type: "boolean", default: false },
    /** Without an app: replicates the database that is there. */
    sidecar: { type: "boolean", default: false },
    fence: { type: "string", default: "auto" },
    "on-stale-volume": { type: "string", default: "refuse" },
  },
});

const write = (line: string) => void process.stderr.write(`${line}\n`);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort(new Error("stopped by SIGTERM")));
const messages: ToKeeper[] = [];
let deliver: (message: ToKeeper) => void = (message) => void messages.push(message);
process.on("message", (message: ToKeeper) => deliver(message));
process.on("disconnect", () => process.exit(1)); // the test is over

const channel: Channel = {
  send: (message) => void process.send?.(message),
  onMessage(listener) {
    deliver = listener;
    for (const message of messages.splice(0)) listener(message);
  },
};

/** Set by SIGUSR2: this whole process halts before its next upload, which is sent when it is continued. */
let isToHalt = false;
process.on("SIGUSR2", () => {
  isToHalt = true;
  write("halts before its next upload");
});

function halting(store: ObjectStore): ObjectStore {
  return {
    ...store,
    async put(key, body, options) {
      if (isToHalt && key.startsWith(`${store.levelDirectory(0)}/`)) {
        isToHalt = false;
        write("halted");
        process.kill(process.pid, "SIGSTOP");
      }
      return store.put(key, body, options);
    },
  };
}

async function run(): Promise<void> {
  const flags = {
    ...{ volume: values.volume, replica: values.replica, fence: values.fence, log: "debug", "sync-interval": "50ms" },
    "on-stale-volume": values["on-stale-volume"],
    ...(values.sidecar ? { database: `file:${values.volume}/app.db` } : {}),
  };
  const environment = process.env;
  const settings = await readSettings({ flags, command: ["sh"], environment, workingDirectory: values.app });
  const log = createLog("debug", write);
  const open = createReplicaStore({ settings, environment, clock: systemClock, random: systemRandom, log });
  const driver = installedDriver();
  const context: StepContext = {
    settings,
    environment,
    assets: { read: () => undefined },
    clock: systemClock,
    random: systemRandom,
    log,
    at: () => {},
    signal: stop.signal,
    program: [process.execPath, values.main],
    asApp: (start) => start(),
    replica: async (name) => {
      const opened = await open(name);
      return opened && { ...opened, store: halting(opened.store) };
    },
    sqlite: () => driver,
    leaseTimes: { ttlMs: Number(values.ttl), waitMs: Number(values.wait) },
  };
  if (!values.sidecar) return keep(channel, { ...context, again: values.again });
  const ready = () => new Promise<void>((resolve) => process.send?.({ kind: "ready" }, () => resolve()));
  await keepInPlace({ ready, onMessage: channel.onMessage }, context);
}

run().then(
  () => process.exit(0),
  (error: unknown) => {
    const failures = error instanceof Refusal ? error.failures : [toFlysqliteError(error)];
    for (const failure of failures) for (const line of renderFailure(failure, "text")) write(line);
    process.exit(stop.signal.aborted ? 143 : failures[0].exitStatus);
  },
);
