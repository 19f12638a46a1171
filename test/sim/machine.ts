// A machine with a volume, an app and a keeper: how it starts and ends, what happens to it, and what must hold of it.

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import { describe, FlysqliteError, systemCode } from "../../src/base/errors.ts";
import type { Event } from "../../src/base/events.ts";
import type { CopyDecision } from "../../src/plan/copy.ts";
import { LEASE_KEY, parseLease } from "../../src/replica/lease/content.ts";
import { LEASE_TIMES } from "../../src/replica/lease/rules.ts";
import { formatTxid, NO_TXID, type Txid } from "../../src/replica/ltx/txid.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { stateDirectory } from "../../src/steps/places.ts";
import type { App } from "./app.ts";
import { type Bucket, LATEST_MS } from "./bucket.ts";
import { createCaptures } from "./captures.ts";
import { createClocks } from "./clocks.ts";
import { createDoings } from "./doings.ts";
import { createFinds } from "./finds.ts";
import type { History, StateNumber } from "./history.ts";
import { type Keeper, startKeeper } from "./keeper.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { Ledger } from "./ledger.ts";
import { beginLife, Dead, type Life } from "./life.ts";
import { cutLog, type Durable, durableAtEnd, durableNow } from "./log-cut.ts";
import type { Mix } from "./mix.ts";
import { drawHalt } from "./pair.ts";
import type { Timeline } from "./timeline.ts";
import { Violation } from "./violation.ts";
import { createVolume } from "./volume.ts";

/** What ends at once, and what it takes along: a container its app, a power cut what was not durable, a volume all. */
export type Death = "keeper" | "container" | "power" | "volume";

/** What stands still for a while: the keeper under an app that goes on, all processes, or the machine with its clock. */
export type Halt = "keeper" | "machine" | "suspended";

export type Machine = ReturnType<typeof createMachine>;

/** What all machines share. */
export type Surroundings = {
  readonly driver: Driver;
  readonly random: Random;
  /** What happens; may be another one later. */
  readonly mix: () => Mix;
  /** Told of all that happens. */
  readonly say: (what: string) => void;
  readonly timeline: Timeline;
  readonly bucket: Bucket;
  readonly ledger: Ledger;
  /** A number that no app had before. */
  readonly nextStamp: () => number;
  /** Which state the bucket has; fails where a restore would not be right. */
  readonly check: () => Promise<StateNumber | undefined>;
  /** Told of what must never be. */
  readonly violated: (violation: unknown) => void;
  /** Something was done, by which more than this machine may have changed. */
  readonly moved: () => void;
  /** A machine is halted, or can't reach the bucket: another one may be started in its place. */
  readonly fellSilent: () => void;
  /** A machine has ended, and nothing brings it back by itself. */
  readonly wentDown: () => void;
};

/** A restart takes up to so long, in milliseconds. */
const RESTART_MS = 3000;

/** Somebody looks into a refusal, or into a machine that replicates no further, within this time in milliseconds. */
const ATTENTION_MS = 10_000;

/** A request that was held up has arrived by then, in milliseconds, where nothing else is slow. */
const SETTLING_MS = 1000;

/** Time between two points where a keeper may die, in milliseconds, more or less. */
const POINTS_MS = 20;

/**
 * Where the keeper was sure of the lease a moment ago, and is about to write to the bucket; and how likely a halt is
 * there in comparison. A merge is rare.
 */
const BEFORE_WRITING: ReadonlyMap<string, number> = new Map([
  ["prepared", 1],
  ["merging", 3],
  ["deleting", 1],
]);

export function createMachine({
  name,
  directory,
  app,
  history,
  number,
  ...surroundings
}: Surroundings & {
  readonly name: string;
  /** Of the volume. */
  readonly directory: string;
  readonly app: App;
  readonly history: History;
  /** Which one of the two it is, where there are two. */
  readonly number: 0 | 1;
}) {
  const { driver, random, mix, timeline, bucket, ledger, check } = surroundings;
  const path = join(directory, "app.db");
  const { pair } = mix();
  const clocks = createClocks(timeline, pair && { rate: pair.rates[number], wallOffsetMs: pair.wallOffsetsMs[number] });
  const volume = createVolume();
  const watchers = new Set<() => void>();
  const fullCopies: string[] = [];
  const warnings: string[] = [];
  const chance = (odds: number) => random.unit() < odds;
  const isDuring = (spans: Mix["outages"]) => spans.some(([from, to]) => timeline.nowMs >= from && timeline.nowMs < to);
  const say = (what: string) => surroundings.say(pair === undefined ? what : `${name}  ${what}`);
  let durable: Durable | undefined;
  /** The last transaction that a keeper knew to be in the bucket. */
  let acked: Txid = NO_TXID;
  let life: Life | undefined;
  let keeper: Keeper | undefined;
  let hasEnded = false;
  /** True also while it has closed its connections. */
  let appRuns = false;
  let isAppHalted = false;
  let cutUntilMs = 0;
  /** Counts the starts and ends, so that a start that is to come can be given up. */
  let turns = 0;
  let startIsDue = false;
  /** It was told to end. */
  let isStopping = false;
  /** What its volume has been through since an app had it open, and what the bucket had then. */
  let cut: { readonly inBucket: StateNumber | undefined } | undefined;
  /** Somebody has said that the next start is to go on with the bucket's database. */
  let isToRestore = false;
  const captures = createCaptures(history);
  const finds = createFinds({ history, machine: name, check, fail, after: timeline.after });
  const doings = createDoings({
    app,
    history,
    random,
    mix,
    nextStamp: surroundings.nextStamp,
    did: (what) => {
      say(what);
      for (const tell of [...watchers]) if (!chance(mix().missedNews)) tell();
      surroundings.moved();
    },
  });

  const kernel: Kernel = {
    stateDirectory: stateDirectory(path),
    logName: `${basename(path)}-wal`,
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
  };

  function fail(what: string): never {
    const violation = new Violation(what);
    surroundings.violated(violation);
    throw violation;
  }

  function atLabel(label: string): void {
    life?.live();
    say(`at ${label}`);
    captures.passes(label, ((keeper?.replicator?.captured ?? NO_TXID) + 1n) as Txid);
    if (label === "uploaded") timeline.after(0, noteAcked);
    if (appRuns && chance(mix().interjections)) doings.actAtRandom();
    captures.passed(label);
    dieSometimes(label);
    haltSometimes(label);
  }

  /** Between the last look at the lease and what is written there may be any time. */
  function haltSometimes(label: string): void {
    const odds = BEFORE_WRITING.get(label);
    const { pair: now } = mix();
    if (odds === undefined || now === undefined || !chance(odds * now.slips)) return;
    halt(drawHalt(random), (1 + 3 * random.unit()) * now.leaseTimes.ttlMs);
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
    if (level === "warn" && pair !== undefined && text.includes("was written by someone else")) lookInto("it is stuck");
  }

  /** What a keeper says that it has replicated counts, and only the one that has the lease may say so. */
  function noteAcked(): void {
    const known = keeper?.replicator?.lastTxid ?? NO_TXID;
    if (keeper === undefined || life?.isHalted || known <= acked) return;
    acked = known;
    const states = history.shippedIn(known).filter(({ least }) => history.leadsTo(least, history.now));
    if (states.length === 0) {
      fail(`machine ${name} has transaction ${formatTxid(known)} replicated, which is none of its own`);
    }
    ledger.acknowledge({ txid: known, machine: name, states });
    const { lease } = keeper;
    const object = bucket.memory.objects.get(LEASE_KEY);
    if (lease === undefined || object === undefined) return;
    const { epoch, machine } = parseLease(object.bytes, bucket.memory.address);
    if (epoch === lease.epoch) return;
    fail(`machine ${name} says that transaction ${formatTxid(known)} is replicated, while ${machine} has the lease`);
  }

  /** Something dies now, is looked at, and starts again. */
  function die(wanted: Death): void {
    noteAcked();
    const what = wanted === "volume" && ledger.newest === NO_TXID ? "container" : wanted; // with nothing in the bucket all is lost
    say(`death of the ${what}`);
    letGo();
    if (what !== "keeper") endApp();
    const absenceMs = what === "keeper" || !chance(0.5) ? 0 : random.unit() * (mix().pair?.absenceMs ?? 0);
    const wait = absenceMs + (what === "volume" ? LATEST_MS * 2 : random.unit() * RESTART_MS);
    const turn = awaitStart();
    timeline.after(0, async () => {
      const inBucket = await check();
      if (what === "power") {
        cut = { inBucket };
        volume.losePower(random);
        if (existsSync(path)) cutLog(path, { durable, random });
        durable = durableNow(path);
      }
      if (what === "volume") {
        for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
        volume.clear();
      }
      // What was on its way to the bucket has arrived by then.
      timeline.after(wait, () => startIf(turn));
    });
  }

  /** The keeper's process is no more, and its locks and files neither. */
  function letGo(): void {
    durable = durableAtEnd(path, durable);
    const mustGuard = !app.is.isOpen && existsSync(path);
    if (mustGuard) app.ask({ kind: "guard", path });
    life?.die();
    if (mustGuard) app.ask({ kind: "end guard" });
    [life, keeper] = [undefined, undefined];
    isAppHalted = false;
    clocks.wake();
    watchers.clear();
    turns += 1;
    startIsDue = false;
    isStopping = false;
  }

  function endApp(): void {
    app.ask({ kind: "vanish" });
    appRuns = false;
  }

  /** A start is to come. Gives what it has to name. */
  function awaitStart(): number {
    startIsDue = true;
    return turns;
  }

  function startIf(turn: number): void {
    if (turn === turns && startIsDue) start();
  }

  function startLater(ms: number): void {
    const turn = awaitStart();
    timeline.after(ms, () => startIf(turn));
  }

  function checkLater(): void {
    timeline.after(SETTLING_MS, async () => void (await check()));
  }

  /** All of it ends, and the platform may start it again. */
  function end(restartsWithinMs: number | undefined): void {
    noteAcked();
    letGo();
    endApp();
    if (restartsWithinMs === undefined) surroundings.wentDown();
    else startLater(random.unit() * restartsWithinMs);
  }

  /** What this volume has and the bucket lacks must not be gone on with: somebody lets the machine restore. */
  function lookInto(why: string): void {
    if (isToRestore) return;
    isToRestore = true;
    const turn = turns;
    timeline.after(0, async () => {
      if (turn !== turns) return;
      say(`somebody looks: ${why}`);
      const inBucket = await check();
      if (inBucket === undefined || history.leadsTo(inBucket, history.now)) {
        fail(`${why}, though the bucket's state ${inBucket} leads to state ${history.now} of machine ${name}`);
      }
      timeline.after(random.unit() * ATTENTION_MS, () => {
        if (turn === turns) end(RESTART_MS);
      });
    });
  }

  /** Starts the keeper, and behind it the app where that does not run. */
  function start(): void {
    say("start");
    turns += 1;
    startIsDue = false;
    const begun = beginLife({ timeline, clocks, kernel });
    life = begun;
    keeper = startKeeper({
      path,
      machine: name,
      isAgain: appRuns,
      life: begun,
      store: bucket.storeFor(begun, () => timeline.nowMs < cutUntilMs),
      driver,
      random,
      syncIntervalMs: mix().syncIntervalMs,
      fence: mix().fence,
      leaseTimes: mix().pair?.leaseTimes ?? LEASE_TIMES,
      onStaleVolume: isToRestore ? "restore" : (mix().pair?.onStaleVolume ?? "refuse"),
      at: atLabel,
      log: note,
      ready: (copy) => {
        timeline.after(0, noteAcked);
        if (!appRuns) openApp(copy);
        else ledger.opens(history.now, name);
      },
      ended: () => {
        say("the end");
        hasEnded = true;
        end(undefined);
      },
      failed: (error) => {
        if (begun === life && !(error instanceof Dead)) failed(error);
      },
    });
  }

  function failed(error: unknown): void {
    say(`keeper failed: ${describe(error)}`);
    const code = error instanceof FlysqliteError ? error.code : undefined;
    const wasReady = keeper?.replicator !== undefined;
    const isPassing = code === "E_REPLICA_UNREACHABLE" || code === "E_RESTORE_SPACE" || isOfTheDisk(error);
    if (isPassing && isStopping && pair !== undefined) end(undefined);
    else if (isPassing) {
      noteAcked();
      letGo();
      startLater(random.unit() * RESTART_MS);
    } else if (code === "E_FENCED" && (pair !== undefined || !wasReady)) {
      checkLater();
      // The platform may start it again: it then waits for the other one, or is refused.
      end(pair === undefined || chance(0.7) ? RESTART_MS : undefined);
    } else if (code === "E_DIVERGED" && pair !== undefined) {
      keeper = undefined;
      lookInto("it was refused");
    } else {
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      surroundings.violated(error instanceof Violation ? error : new Violation(`the keeper failed: ${stack}`));
    }
  }

  /** The app goes on with what it finds. */
  function openApp(copy: CopyDecision["kind"]): void {
    appRuns = true;
    const [hash = ""] = app.ask({ kind: "open", path }).states;
    if (history.count === 0) {
      history.add(hash);
      return;
    }
    const txid = keeper?.replicator?.lastTxid ?? NO_TXID;
    const state = copy === "restore" ? finds.restored(hash, txid) : finds.kept(hash, cut);
    say(`app: opens state ${state}`);
    ledger.opens(state, name);
    history.goBackTo(state);
    cut = undefined;
    isToRestore = false;
  }

  function halt(what: Halt, ms: number): void {
    if (life === undefined || life.isHalted) return;
    say(`halted for ${Math.round(ms)} ms: ${what}`);
    const halted = life;
    noteAcked();
    halted.halt();
    isAppHalted = what !== "keeper";
    if (what === "suspended") clocks.suspend();
    surroundings.fellSilent();
    timeline.after(ms, () => {
      if (halted === life) wake();
    });
  }

  function wake(): void {
    if (!life?.isHalted) return;
    say("goes on");
    isAppHalted = false;
    clocks.wake();
    life.goOn();
    checkLater(); // what it was about to write is there then
  }

  return {
    name,
    kernel,
    clocks,
    history,
    fullCopies,
    warnings,

    /** True after it was told to end, and did. */
    get hasEnded() {
      return hasEnded;
    },

    get isDown() {
      return life === undefined && !startIsDue;
    },

    /** True while it would write to the bucket without asking for leave. */
    get isSure() {
      return life !== undefined && !life.isHalted && keeper?.lease?.state === "held";
    },

    /** True where all that was committed is in the bucket. */
    get isReplicated() {
      const { replicator, lease } = keeper ?? {};
      if (lease !== undefined && lease.state !== "held") return false;
      return replicator !== undefined && !replicator.isBehind && replicator.uncapturedBytes === 0;
    },

    noteAcked,

    /** The first of all: it has a database to begin with. */
    begin(): void {
      mkdirSync(directory, { recursive: true });
      app.ask({ kind: "make", path, pageSize: mix().pageSize, autoVacuum: mix().autoVacuum });
      start();
    },

    /** Where it is down. A machine without a database has to find one in the bucket. */
    start(): void {
      if (life !== undefined || startIsDue || (ledger.newest === NO_TXID && !existsSync(path))) return;
      mkdirSync(directory, { recursive: true });
      hasEnded = false;
      start();
    },

    /** The app does something, if it can now. */
    actAtRandom(): void {
      if (appRuns && !isAppHalted) doings.actAtRandom();
    },

    /** Where it runs at all. */
    dieIfAlive(what: Death): void {
      if (keeper?.replicator !== undefined) die(what);
    },

    halt,

    /** The bucket is away for this machine. */
    cutOff(ms: number): void {
      say(`cut off for ${Math.round(ms)} ms`);
      cutUntilMs = timeline.nowMs + ms;
      surroundings.fellSilent();
    },

    /** Nothing goes wrong with it from here on, and what its app has begun ends. */
    heal(): void {
      wake();
      cutUntilMs = 0;
      doings.calm();
    },

    /** The app ends, and the keeper ships the rest, for which it may have only so long. */
    stop({ budgetMs }: { readonly budgetMs: number }): void {
      const told = life;
      if (told === undefined || isStopping) return;
      say("told to stop");
      isStopping = true;
      const wasReady = keeper?.replicator !== undefined;
      if (!isAppHalted) doings.calm();
      endApp();
      keeper?.finish();
      if (budgetMs === Number.POSITIVE_INFINITY) return;
      timeline.after(wasReady ? budgetMs : 0, () => {
        if (told === life) end(undefined);
      });
    },

    /** No process of it is left, and none is started any more. */
    letGo(): void {
      letGo();
      endApp();
    },
  };
}

/** The supervisor starts the keeper again where the volume let it fail; the last sync gives up. */
function isOfTheDisk(error: unknown): boolean {
  return ["EIO", "ENOSPC"].includes(systemCode(error) ?? "") || describe(error).startsWith("the volume has no room");
}
