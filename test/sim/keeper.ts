// The keeper's way from its start to its end, by the product's own decisions and steps, without migrations and seed.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { At, Random } from "../../src/base/context.ts";
import type { Log } from "../../src/base/events.ts";
import { decideCopy } from "../../src/plan/copy.ts";
import type { Facts } from "../../src/plan/facts.ts";
import type { Replicator } from "../../src/replica/replicator.ts";
import { readState } from "../../src/replica/state.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { StepContext } from "../../src/steps/context.ts";
import { planUnderLease, whileHeld } from "../../src/steps/lease.ts";
import { observeNewest, observeReplica } from "../../src/steps/observe-replica.ts";
import { SIDE_FILE_SUFFIXES, stateDirectory } from "../../src/steps/places.ts";
import { replicate } from "../../src/steps/replicate.ts";
import { restore } from "../../src/steps/restore.ts";
import type { ObjectStore } from "../../src/storage/store.ts";
import { laterStart, settings } from "../unit/plan/facts.ts";
import type { Life } from "./life.ts";

export type Keeper = {
  /** Undefined until it replicates. */
  readonly replicator: Replicator | undefined;
  /** Tells it that the app is gone: it ships the rest and ends. */
  finish(): void;
};

export function startKeeper({
  path,
  life,
  store,
  driver,
  random,
  syncIntervalMs,
  fence,
  at,
  log,
  ready,
  ended,
  failed,
}: {
  readonly path: string;
  readonly life: Life;
  readonly store: ObjectStore;
  readonly driver: Driver;
  readonly random: Random;
  readonly syncIntervalMs: number;
  /** Whether it takes the replica's lease. */
  readonly fence: "required" | "off";
  readonly at: At;
  readonly log: Log;
  /** The app may start. */
  readonly ready: () => void;
  /** All is shipped. */
  readonly ended: () => void;
  readonly failed: (error: unknown) => void;
}): Keeper {
  const finishing = new AbortController();
  const { signal } = new AbortController();
  let replicator: Replicator | undefined;
  const ownDriver = life.driver(driver);
  const context: StepContext = {
    settings: {
      ...settings,
      syncIntervalMs: { value: syncIntervalMs, source: "default" },
      fence: { value: fence, source: "the simulation" },
    },
    environment: {},
    assets: { read: () => undefined },
    clock: life.clock,
    random,
    log,
    at,
    signal,
    asApp: (start) => start(),
    program: ["flysqlite"],
    replica: async () => ({ store, source: "the simulation" }),
    sqlite: async () => ownDriver,
  };

  async function observe(): Promise<Facts> {
    const { replica, lease } = await observeReplica({ fileName: basename(path), databasePath: path }, context);
    const isThere = existsSync(path);
    const orphans = SIDE_FILE_SUFFIXES.map((suffix) => `${path}${suffix}`).filter((file) => existsSync(file));
    const state = await readState(stateDirectory(path));
    return {
      ...laterStart,
      database: { path, state: isThere ? "present" : "absent", sizeBytes: 0, orphans: isThere ? [] : orphans },
      replica,
      lease,
      state,
      newest: await observeNewest({ replica, state, databasePath: path }, context),
    };
  }

  async function plan() {
    const facts = await observe();
    return { facts, copy: decideCopy(facts), placement: { kind: "direct" } as const, seed: undefined, lines: [] };
  }

  async function keep(): Promise<void> {
    const { planned, lease } = await planUnderLease(plan, context);
    const working = whileHeld(context, lease);
    const restored = await restore(planned, working);
    const running = await replicate(planned, { ...working, restored, lease });
    if (running === undefined) throw new Error(`"${basename(path)}" is not replicated`);
    replicator = running.replicator;
    ready();
    await running.follower.run({ until: finishing.signal });
    await replicator.sync({ signal });
    await lease?.release({ signal });
    ended();
  }

  life.run(() => keep().catch(failed));
  return {
    get replicator() {
      return replicator;
    },
    finish: () => finishing.abort(),
  };
}
