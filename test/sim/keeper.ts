// The keeper's way from its start to its end, by the product's own decisions and steps, without migrations and seed.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { At, Random } from "../../src/base/context.ts";
import type { Log } from "../../src/base/events.ts";
import type { OnStaleVolume } from "../../src/config/settings.ts";
import { type CopyDecision, decideCopy } from "../../src/plan/copy.ts";
import type { Facts } from "../../src/plan/facts.ts";
import type { Lease } from "../../src/replica/lease/hold.ts";
import type { LeaseTimes } from "../../src/replica/lease/rules.ts";
import type { Replicator } from "../../src/replica/replicator.ts";
import { readState, settleState } from "../../src/replica/state.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { StepContext } from "../../src/steps/context.ts";
import { planUnderLease, requireLeaseStillOurs, whileHeld } from "../../src/steps/lease.ts";
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
  /** Undefined until it has it, and where it needs none. */
  readonly lease: Lease | undefined;
  /** Tells it that the app is gone: it ships the rest and ends. */
  finish(): void;
};

export function startKeeper({
  path,
  machine,
  isAgain,
  life,
  store,
  driver,
  random,
  syncIntervalMs,
  fence,
  leaseTimes,
  onStaleVolume,
  at,
  log,
  ready,
  ended,
  failed,
}: {
  readonly path: string;
  /** Its name. */
  readonly machine: string;
  /** It follows one that died under a running app. */
  readonly isAgain: boolean;
  readonly life: Life;
  readonly store: ObjectStore;
  readonly driver: Driver;
  readonly random: Random;
  readonly syncIntervalMs: number;
  /** Whether it takes the replica's lease. */
  readonly fence: "required" | "off";
  readonly leaseTimes: LeaseTimes;
  readonly onStaleVolume: OnStaleVolume;
  readonly at: At;
  readonly log: Log;
  /** The app may start, on the volume's database or on one that was restored. */
  readonly ready: (copy: CopyDecision["kind"]) => void;
  /** All is shipped. */
  readonly ended: () => void;
  readonly failed: (error: unknown) => void;
}): Keeper {
  const finishing = new AbortController();
  const { signal } = new AbortController();
  let replicator: Replicator | undefined;
  let held: Lease | undefined;
  const ownDriver = life.driver(driver);
  const context: StepContext = {
    settings: {
      ...settings,
      syncIntervalMs: { value: syncIntervalMs, source: "default" },
      fence: { value: fence, source: "the simulation" },
    },
    environment: { FLY_MACHINE_ID: machine },
    assets: { read: () => undefined },
    clock: life.clock,
    random,
    log,
    at,
    signal,
    asApp: (start) => start(),
    program: ["flysqlite"],
    replica: async () => ({ store, source: "the simulation" }),
    leaseTimes,
    sqlite: async () => ownDriver,
  };

  async function observe(): Promise<Facts> {
    const { replica, lease } = await observeReplica({ fileName: basename(path), databasePath: path }, context);
    const isThere = existsSync(path);
    const orphans = SIDE_FILE_SUFFIXES.map((suffix) => `${path}${suffix}`).filter((file) => existsSync(file));
    const state = readState(stateDirectory(path));
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
    const copy = decideCopy(facts, isAgain ? "refuse" : onStaleVolume);
    return { facts, copy, placement: { kind: "direct" } as const, seed: undefined, lines: [] };
  }

  async function keep(): Promise<void> {
    if (isAgain) await requireLeaseStillOurs(path, context);
    const { planned, lease } = await planUnderLease(plan, context);
    held = lease;
    const working = whileHeld(context, lease);
    const running = await begin(planned, lease, working);
    replicator = running.replicator;
    ready(planned.copy.kind);
    await running.follower.run({ until: finishing.signal });
    lease?.lost.throwIfAborted();
    await replicator.sync(working);
    await settleState(stateDirectory(path), replicator.lastTxid).catch(() => {});
    await lease?.release({ signal });
    ended();
  }

  async function begin(planned: Awaited<ReturnType<typeof plan>>, lease: Lease | undefined, working: StepContext) {
    try {
      const restored = await restore(planned, working);
      const running = await replicate(planned, { ...working, restored, lease });
      if (running === undefined) throw new Error(`"${basename(path)}" is not replicated`);
      await lease?.guard(working);
      return running;
    } catch (error) {
      if (!isAgain) await lease?.release({ signal });
      throw error;
    }
  }

  life.run(() => keep().catch(failed));
  return {
    get replicator() {
      return replicator;
    },
    get lease() {
      return held;
    },
    finish: () => void life.pass(0).then(() => finishing.abort()),
  };
}
