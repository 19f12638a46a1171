// A machine with a volume, an app and a keeper, and a bucket: what happens to them, and what must hold.

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import { describe, FlysqliteError, systemCode } from "../../src/base/errors.ts";
import type { Event } from "../../src/base/events.ts";
import { NO_TXID, type Txid } from "../../src/replica/ltx/txid.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { stateDirectory } from "../../src/steps/places.ts";
import type { App } from "./app.ts";
import type { Action } from "./app-process.ts";
import { type Bucket, createBucket, LATEST_MS } from "./bucket.ts";
import { createChecker } from "./checker.ts";
import { createHistory, type StateNumber, type States } from "./history.ts";
import { type Keeper, startKeeper } from "./keeper.ts";
import { boot } from "./kernel/kernel.ts";
import { beginLife, Dead, type Life } from "./life.ts";
import { cutLog, type Durable, durableNow } from "./log-cut.ts";
import type { Mix } from "./mix.ts";
import { createTimeline } from "./timeline.ts";
import { Violation } from "./violation.ts";
import { createVolume } from "./volume.ts";

/** What ends at once, and what it takes along: a container its app, a power cut what was not durable, a volume all. */
export type Death = "keeper" | "container" | "power" | "volume";

export type World = ReturnType<typeof createWorld>;

/** A restart takes up to so long, in milliseconds. */
const RESTART_MS = 3000;

/** Time between two points where a keeper may die, in milliseconds, more or less. */
const POINTS_MS = 20;

export function createWorld({
  directory,
  app,
  driver,
  random,
  mix,
  say,
}: {
  /** An empty one. */
  readonly directory: string;
  readonly app: App;
  readonly driver: Driver;
  readonly random: Random;
  /** What happens; may be another one later. */
  readonly mix: () => Mix;
  /** Told of all that happens. */
  readonly say: (what: string) => void;
}) {
  const path = join(directory, "app.db");
  const places = { stateDirectory: stateDirectory(path), logName: `${basename(path)}-wal` };
  const timeline = createTimeline();
  const history = createHistory();
  const volume = createVolume();
  const watchers = new Set<() => void>();
  const chance = (odds: number) => random.unit() < odds;
  const isDuring = (spans: Mix["outages"]) => spans.some(([from, to]) => timeline.nowMs >= from && timeline.nowMs < to);
  const bucket: Bucket = createBucket({
    timeline,
    random,
    network: () => (isDuring(mix().outages) ? undefined : mix().network),
  });
  const checker = createChecker({ store: bucket.memory, history, driver, directory });
  const fullCopies: string[] = [];
  const warnings: string[] = [];
  let durable: Durable | undefined;
  let stamp = 0;
  /** The state at which the app last emptied the log. */
  let emptiedAt: StateNumber | undefined;
  let violation: unknown;
  /** The last transaction that a keeper knew to be in the bucket. */
  let acked: Txid = NO_TXID;
  let life: Life | undefined;
  let keeper: Keeper | undefined;
  let hasEnded = false;
  /** True also while it has closed its connections. */
  let appRuns = false;
  /** The state that the capture under way takes: for one that must end where a view began, at least that one's. */
  let seen: States = { least: 0, most: 0 };
  let viewed: StateNumber | undefined;

  boot({
    ...places,
    volume,
    freeBytes: () => (isDuring(mix().full) ? 0 : Number.MAX_SAFE_INTEGER),
    fileCall: () => {
      dieSometimes("a call for a file");
      return random.unit() * 2;
    },
    writeFailure: () => {
      if (isDuring(mix().full)) return Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
      if (chance(mix().writeFailure)) return Object.assign(new Error("EIO: input/output error"), { code: "EIO" });
      return undefined;
    },
    logSynced: () => {
      durable = durableNow(path);
    },
    watchers,
  });

  function fail(what: string): never {
    violation ??= new Violation(what);
    throw violation;
  }

  function act(action: Action): void {
    stamp += 1;
    const { error, states } = app.act(action, stamp);
    for (const hash of states) history.add(hash);
    if (error === undefined && action.kind === "checkpoint" && action.mode === "TRUNCATE") emptiedAt = history.now;
    say(`app: ${JSON.stringify(action)} ${error ?? ""} ${states.length > 0 ? `-> state ${history.now}` : ""}`);
    for (const tell of [...watchers]) if (!chance(mix().missedNews)) timeline.after(0, tell);
  }

  function nextAction(): Action {
    const { isOpen, isWriting, isReading } = app.is;
    if (!isOpen) return { kind: "open" };
    if (isWriting && chance(0.3)) return { kind: "end", how: chance(0.7) ? "commit" : "rollback" };
    if (isReading && chance(0.15)) return { kind: "end reading" };
    const { actions, emptiesTwice } = mix();
    let rest = random.unit() * actions.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, make] of actions) {
      rest -= weight;
      if (rest >= 0) continue;
      const action = make();
      const isEmptying = action.kind === "checkpoint" && action.mode === "TRUNCATE";
      if (!isEmptying || emptiesTwice || emptiedAt !== history.now) return action;
    }
    return { kind: "commit", rows: 1, bytes: 100 };
  }

  /** The app does something, if it can now. */
  function actAtRandom(): void {
    if (appRuns) act(nextAction());
  }

  function atLabel(label: string): void {
    life?.live();
    say(`at ${label}`);
    const next = () => ((keeper?.replicator?.captured ?? NO_TXID) + 1n) as Txid;
    if (label === "reader begun" || label === "sealing") viewed = undefined;
    if (label === "snapshot begun") {
      viewed = history.now;
      seen = { least: viewed, most: viewed };
      history.ships(next(), seen);
    }
    if (label === "recorded") history.ships(next(), seen);
    if (appRuns && chance(mix().interjections)) act(nextAction());
    if (label === "capture") seen = { least: viewed ?? history.now, most: history.now };
    dieSometimes(label);
  }

  /** Whoever replicates may die at any point. */
  function dieSometimes(where: string): void {
    if (keeper?.replicator === undefined || !chance(POINTS_MS / mix().keeperDeathMs)) return;
    say(`at ${where}`);
    die("keeper");
    throw new Dead(`died at ${where}`);
  }

  function note({ level, text }: Event): void {
    if (life === undefined) return; // what a dead process would say
    say(`keeper: ${text}`);
    if (text.startsWith("copied the whole database")) fullCopies.push(text.replace(/^[^:]*: /, ""));
    if (level === "warn") warnings.push(text);
  }

  function noteAcked(): void {
    const known = keeper?.replicator?.lastTxid ?? NO_TXID;
    if (known > acked) acked = known;
  }

  async function check(): Promise<StateNumber | undefined> {
    const state = await checker.newest(acked);
    say(`the bucket has state ${state} of ${history.now}`);
    return state;
  }

  /** Something dies now, is looked at, and starts again. */
  function die(wanted: Death): void {
    noteAcked();
    const what = wanted === "volume" && acked === NO_TXID ? "container" : wanted; // with nothing in the bucket all is lost
    say(`death of the ${what}`);
    letGo();
    if (what !== "keeper") {
      app.ask({ kind: "vanish" });
      appRuns = false;
    }
    const wait = what === "volume" ? LATEST_MS * 2 : random.unit() * RESTART_MS;
    timeline.after(0, async () => {
      const restored = await check();
      if (what === "power") {
        volume.losePower(random);
        cutLog(path, { durable, random });
        durable = durableNow(path);
      }
      if (what === "volume") {
        for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
        volume.clear();
      }
      // What was on its way to the bucket has arrived by then.
      timeline.after(wait, async () => start(what, what === "volume" ? await check() : restored));
    });
  }

  /** The keeper's process is no more, and its locks and files neither. */
  function letGo(): void {
    const mustGuard = !app.is.isOpen && existsSync(path);
    if (mustGuard) app.ask({ kind: "guard", path });
    life?.die();
    if (mustGuard) app.ask({ kind: "end guard" });
    [life, keeper] = [undefined, undefined];
    watchers.clear();
  }

  /** Starts the keeper, and behind it the app where that does not run. */
  function start(after: Death | "nothing", restored?: StateNumber): void {
    say("start");
    const begun = beginLife({ timeline, wallOffsetMs: () => 0 });
    life = begun;
    const failed = (error: unknown) => {
      if (begun !== life || error instanceof Dead) return;
      say(`keeper failed: ${describe(error)}`);
      const isPassing = error instanceof FlysqliteError ? error.code === "E_REPLICA_UNREACHABLE" : isOfTheDisk(error);
      if (isPassing) {
        letGo();
        timeline.after(random.unit() * RESTART_MS, () => start(after, restored));
      } else {
        violation ??= error instanceof Violation ? error : new Violation(`the keeper failed: ${stackOf(error)}`);
      }
    };
    keeper = startKeeper({
      path,
      life: begun,
      store: bucket.storeFor(begun),
      driver,
      random,
      syncIntervalMs: mix().syncIntervalMs,
      fence: mix().fence,
      at: atLabel,
      log: note,
      ready: () => {
        if (!appRuns) openApp(after, restored);
      },
      ended: () => {
        hasEnded = true;
      },
      failed,
    });
  }

  /** The app finds the state that it left, or one that the death explains. */
  function openApp(after: Death | "nothing", restored: StateNumber | undefined): void {
    appRuns = true;
    const [hash = ""] = app.ask({ kind: "open", path }).states;
    if (history.count === 0) {
      history.add(hash);
      return;
    }
    const state = history.isNow(hash) ? history.now : history.find(hash);
    say(`app: opens state ${state}`);
    if (state === undefined) fail("the app finds a state that never was");
    if (after === "power") {
      if (!history.leadsTo(state, history.now)) fail(`after the power cut the app finds state ${state}`);
      if (restored !== undefined && !history.leadsTo(restored, state)) {
        fail(`the bucket has state ${restored}, and the volume after the power cut state ${state}`);
      }
    } else if (state !== (after === "volume" ? (restored ?? 0) : history.now)) {
      fail(`the app finds state ${state} after ${history.now}`);
    }
    history.goBackTo(state);
  }

  return {
    timeline,
    history,
    fullCopies,
    warnings,
    get violation() {
      return violation;
    },
    get hasEnded() {
      return hasEnded;
    },

    begin(): void {
      mkdirSync(directory, { recursive: true });
      app.ask({ kind: "make", path, pageSize: mix().pageSize, autoVacuum: mix().autoVacuum });
      start("nothing");
    },

    actAtRandom,

    /** Where it runs at all. */
    dieIfAlive(what: Death): void {
      if (keeper?.replicator !== undefined) die(what);
    },

    /** Which state the bucket has; fails where a restore would not be right. */
    check,

    /** Restores some of the transactions too that are not the last. */
    async checkSome(count: number): Promise<void> {
      const all = await checker.transactions();
      for (let i = 0; i < Math.min(count, all.length); i += 1) {
        await checker.after(all[Math.floor(random.unit() * all.length)] ?? NO_TXID);
      }
    },

    /** True where all that was committed is in the bucket. */
    isReplicated(): boolean {
      const replicator = keeper?.replicator;
      return replicator !== undefined && !replicator.isBehind && replicator.uncapturedBytes === 0;
    },

    /** Ends what the app has begun, and keeps it from doing more. */
    calmApp(): void {
      if (!app.is.isOpen) return;
      if (app.is.isWriting) act({ kind: "end", how: "rollback" });
      if (app.is.isReading) act({ kind: "end reading" });
    },

    /** The app ends, and the keeper ships the rest. */
    stop(): void {
      keeper?.finish();
    },

    letGo(): void {
      letGo();
      app.ask({ kind: "vanish" });
    },
  };
}

/** The supervisor starts the keeper again where the volume let it fail. */
function isOfTheDisk(error: unknown): boolean {
  return ["EIO", "ENOSPC"].includes(systemCode(error) ?? "");
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
