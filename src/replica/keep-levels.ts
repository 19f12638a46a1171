// Keeps a replica's levels: compacts, asks for snapshots and deletes, each when it is due. For an idle database it asks
// the store for nothing.

import { once } from "node:events";
import { AssertionError } from "../base/assert.ts";
import type { At, Clock, Random } from "../base/context.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { debug, type Log, warn } from "../base/events.ts";
import type { LevelSettings } from "../base/level-settings.ts";
import type { ObjectStore } from "../storage/store.ts";
import type { Catalog } from "./catalog.ts";
import type { Compactor } from "./compact.ts";
import { backoff } from "./follow.ts";
import type { Guard } from "./lease/hold.ts";
import { SYNC_LEVEL } from "./ltx/names.ts";
import { NO_TXID, type Txid } from "./ltx/txid.ts";
import { type Batch, expireHistory, expireUploads, forgettable } from "./retention.ts";
import { boundaryBefore, type Hole, intervalOf, type Scheduled, schedule, type Task, taskName } from "./schedule.ts";

/** Longest sleep, in milliseconds: after it the wall clock is looked at again, which may have jumped. */
const LONGEST_SLEEP_MS = 600_000;

/** Where a deletion is refused, the right to delete may be missing on purpose: it is tried again this much later. */
const DENIED_MS = 3_600_000;

export type LevelKeeper = {
  /**
   * Works until the signal is aborted. Survives a store that fails. Throws E_DIVERGED or E_FENCED where another writer is proved.
   */
  run(options: { readonly signal: AbortSignal }): Promise<void>;
  /** What comes next, soonest first; empty where nothing is to be done. */
  upcoming(): readonly Scheduled[];
};

export function createLevelKeeper({
  catalog,
  compactor,
  store,
  settings,
  copiedAt,
  snapshot,
  guard,
  clock,
  random,
  log,
  at,
}: {
  readonly catalog: Catalog;
  readonly compactor: Compactor;
  readonly store: ObjectStore;
  readonly settings: LevelSettings;
  /** Last transaction that was a copy of the whole database: a restore should not read what is before it. */
  readonly copiedAt: () => Txid;
  /** Adds a copy of the whole database at level 9, and notes it in the catalog. */
  readonly snapshot: (options: { readonly reason: string; readonly signal: AbortSignal }) => Promise<void>;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly at: At;
}): LevelKeeper {
  const done = new Map<string, number>();
  const holes = new Map<number, Hole>();
  /** By a task's name: how often it failed, and until when it isn't tried, by the monotonic clock. */
  const failed = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  /** Who sleeps looks at these whether something is due sooner. */
  const sleepers = new Set<() => void>();
  const lookAgain = () => {
    for (const look of sleepers) look();
  };

  function upcoming(): readonly Scheduled[] {
    const nowMs = clock.now();
    const found = schedule({
      catalog,
      settings,
      done,
      holes: allHoles(),
      snapshot: compactor.soundSnapshot(),
      nowMs,
    });
    return found
      .map(({ task, atMs }) => {
        const waitMs = (failed.get(taskName(task))?.untilMs ?? 0) - clock.monotonic();
        return { task, atMs: Math.max(atMs, nowMs + waitMs) };
      })
      .sort((a, b) => a.atMs - b.atMs);
  }

  /** A copy of the whole database counts as one too: what is before it is of no use to the newest state. */
  function allHoles(): readonly Hole[] {
    const last = copiedAt();
    const copied = last === NO_TXID || last > catalog.lastTxid ? [] : [{ level: SYNC_LEVEL, last }];
    return [...holes.values(), ...copied];
  }

  async function perform(task: Task, signal: AbortSignal): Promise<void> {
    const boundary = boundaryBefore(clock.now(), intervalOf(task, settings));
    if (task.kind === "compact") await compact(task.level, signal);
    else if (task.kind === "snapshot") await takeSnapshot(task.reason, signal);
    else await expire(task.what, signal);
    done.set(taskName(task), boundary);
    failed.delete(taskName(task));
  }

  async function compact(level: number, signal: AbortSignal): Promise<void> {
    const { hole, foundDamage } = await compactor.compact({ level, signal });
    catalog.remove(forgettable(catalog, settings));
    if (hole === undefined) holes.delete(level);
    else holes.set(level, { level, last: hole.last });
    if (foundDamage) lookForHole();
  }

  /** What can't be restored from the replica is still on the volume: a snapshot brings it back. */
  function lookForHole(): void {
    if (compactor.isRestorable()) return;
    holes.set(0, { level: 0, last: catalog.lastTxid });
    log(warn("replicate", "the replica's newest state can't be restored: a snapshot is needed"));
  }

  async function takeSnapshot(reason: string, signal: AbortSignal): Promise<void> {
    const before = compactor.soundSnapshot()?.max ?? NO_TXID;
    const isNeeded = allHoles().some(({ last }) => last > before);
    await guard({ signal });
    await snapshot({ reason, signal });
    const after = compactor.soundSnapshot()?.max ?? NO_TXID;
    // Else it would be asked for again at once, and for ever.
    if (isNeeded && after === before) throw new Error("there is nothing new to copy");
    if ((holes.get(0)?.last ?? NO_TXID) <= after) holes.delete(0);
  }

  async function expire(what: "uploads" | "history", signal: AbortSignal): Promise<void> {
    const find = what === "uploads" ? expireUploads : expireHistory;
    for (const batch of find(catalog, { settings, nowMs: clock.now() })) await deleteBatch(batch, signal);
  }

  async function deleteBatch(batch: Batch, signal: AbortSignal): Promise<void> {
    await guard({ signal });
    at("deleting");
    await store.deleteMany(
      batch.map(({ key }) => key),
      { signal },
    );
    at("deleted");
    catalog.remove(batch);
    log(debug("replicate", `deleted ${batch.length} files that nothing needs any more`));
  }

  function noteFailure(task: Task, error: unknown): void {
    const name = taskName(task);
    const failures = (failed.get(name)?.failures ?? 0) + 1;
    const isRefused = task.kind === "expire" && error instanceof FlysqliteError && error.code === "E_REPLICA_DENIED";
    const waitMs = isRefused ? DENIED_MS : backoff(failures, random);
    failed.set(name, { failures, untilMs: clock.monotonic() + waitMs });
    const what = { compact: "not compacted", snapshot: "no snapshot", expire: "nothing deleted" }[task.kind];
    const hint = isRefused
      ? "; `retention: {enabled: false}` in litestream.yml leaves it to the bucket's own rules"
      : "";
    log(warn("replicate", `${what}, next try in ${Math.round(waitMs / 1000)} s: ${describe(error)}${hint}`));
  }

  /** Does what is due of the tasks of these kinds, one after the other. */
  async function work(kinds: readonly Task["kind"][], signal: AbortSignal): Promise<void> {
    const find = () => upcoming().find(({ task }) => kinds.includes(task.kind));
    while (!signal.aborted) {
      const next = find();
      if (next === undefined || next.atMs > clock.now()) {
        const atMs = next?.atMs ?? Number.POSITIVE_INFINITY;
        await sleepUntil(atMs, { isSooner: () => (find()?.atMs ?? atMs) < atMs, signal });
        continue;
      }
      try {
        await perform(next.task, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isFatal(error)) throw error;
        noteFailure(next.task, error);
      }
      lookAgain(); // what one did may be what the other waits for
    }
  }

  /** Until that time, or until something is due sooner, or until the signal is aborted. */
  async function sleepUntil(
    atMs: number,
    { isSooner, signal }: { readonly isSooner: () => boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const woken = new AbortController();
    const either = AbortSignal.any([signal, woken.signal]);
    const look = () => {
      if (isSooner()) woken.abort("due sooner");
    };
    sleepers.add(look);
    const ms = Math.min(atMs - clock.now(), LONGEST_SLEEP_MS);
    if (atMs < Number.POSITIVE_INFINITY) await clock.sleep(ms, { signal: either }).catch(() => {});
    else if (!either.aborted) await once(either, "abort");
    sleepers.delete(look);
  }

  return {
    upcoming,

    async run({ signal }) {
      using _listening = catalog.onChange(lookAgain);
      lookForHole();
      const failure = new AbortController();
      const stop = AbortSignal.any([signal, failure.signal]);
      const both = [work(["compact", "expire"], stop), work(["snapshot"], stop)]; // a large snapshot takes its time
      try {
        await Promise.all(both);
      } finally {
        failure.abort();
        await Promise.allSettled(both);
      }
    },
  };
}

/** What no other try makes good. */
function isFatal(error: unknown): boolean {
  if (error instanceof FlysqliteError) return error.code === "E_DIVERGED" || error.code === "E_FENCED";
  return error instanceof AssertionError;
}
