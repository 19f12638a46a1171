// One small database with its app, its keeper and its bucket, no network between them and no time that passes: where a
// scenario is played, and where things happen between two of its steps. world.ts is the large one, where they are drawn.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { AssertionError } from "../../src/base/assert.ts";
import { describe, FlysqliteError } from "../../src/base/errors.ts";
import type { Event } from "../../src/base/events.ts";
import { createCatalog } from "../../src/replica/catalog.ts";
import { unguarded } from "../../src/replica/lease/hold.ts";
import { NO_TXID, nextTxid, type Txid } from "../../src/replica/ltx/txid.ts";
import { createReplicator, type Replicator } from "../../src/replica/replicator.ts";
import { attach } from "../../src/sqlite/attached.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import { stateDirectory } from "../../src/steps/places.ts";
import { createMemoryStore } from "../support/memory-store.ts";
import { decideStart, listFiles } from "../support/replica.ts";
import type { App } from "./app.ts";
import type { Action } from "./app-process.ts";
import { createChecker } from "./checker.ts";
import { createCopies } from "./copies.ts";
import { createHistory, type StateNumber } from "./history.ts";
import { openFileStore } from "./kernel/file-store.ts";
import { boot } from "./kernel/kernel.ts";
import { beginLife, Dead, type Life } from "./life.ts";
import type { Interjection } from "./schedule.ts";
import { createShipping } from "./shipping.ts";
import type { Timeline } from "./timeline.ts";
import { Violation } from "./violation.ts";
import { createVolume } from "./volume.ts";
import { type SeemingFrames, watchedDriver, watchedHold } from "./watched.ts";

/** The smallest there is: few rows make many pages. */
const PAGE_SIZE = 512;

const DATABASE_ID = "00000000-0000-4000-8000-000000000001";

const COMMIT: Action = { kind: "commit", rows: 2, bytes: 300 };

/** What the app does. It reads by a connection of its own, and checkpoints by another one. */
const ACTIONS: { readonly [name in Interjection]?: readonly Action[] } = {
  commit: [COMMIT],
  spill: [{ kind: "spill", end: "commit" }],
  "spill and roll back": [{ kind: "spill", end: "rollback" }],
  checkpoint: [{ kind: "checkpoint", mode: "PASSIVE", by: "helper" }],
  truncate: [{ kind: "checkpoint", mode: "TRUNCATE", by: "helper" }],
  "begin to read": [{ kind: "begin to read" }],
  "end reading": [{ kind: "end reading" }],
  vacuum: [{ kind: "vacuum" }],
  reopen: [{ kind: "close" }, { kind: "open" }],
};

/** What fails next of what the keeper writes, once. */
type Fault = "failing write" | "failing sync" | "full volume";

const FAULTS: readonly string[] = ["failing write", "failing sync", "full volume"] satisfies readonly Fault[];

/** The database as it is made, which takes its time. */
let made: Buffer | undefined;

type Keeper = { readonly life: Life; readonly replicator: Replicator };

export type Stage = ReturnType<typeof createStage>;

export function createStage({
  directory,
  app,
  driver,
  at: tell,
  withStatements,
  say,
}: {
  /** An empty one. */
  readonly directory: string;
  readonly app: App;
  readonly driver: Driver;
  /** Called at each label that the keeper comes by. */
  readonly at: (label: string) => void;
  /** Whether each SQL statement of the keeper is a label, too. */
  readonly withStatements: boolean;
  /** Told of all that happens. */
  readonly say: (what: string) => void;
}) {
  const path = join(directory, "app.db");
  const places = { stateDirectory: stateDirectory(path), logName: `${basename(path)}-wal` };
  const history = createHistory();
  const store = createMemoryStore();
  const checker = createChecker({ store, history, driver, directory });
  const { signal } = new AbortController();
  let stamp = 0;
  let life: Life | undefined;
  let keeper: Keeper | undefined;
  /** Rejects when the keeper's process dies: what it waits for then never comes. */
  let death = createDeath();
  let fault: Fault | undefined;
  /** What came of these. */
  const failed = new Set<Fault>();
  /** The last transaction that a keeper knew to be in the bucket. */
  let acked: Txid = NO_TXID;
  let seeming: SeemingFrames = { checkpointed: 0, others: 0 };
  const shipping = createShipping(history);
  const copies = createCopies({
    path,
    isReplicaEmpty: () => ![...store.objects.keys()].some((key) => key.startsWith("ltx/")),
    wasFull: () => failed.has("full volume"),
  });

  boot({
    ...places,
    volume: createVolume(),
    freeBytes: () => Number.MAX_SAFE_INTEGER,
    fileCall: () => 0,
    writeFailure: () => failing("failing write", "EIO") ?? failing("full volume", "ENOSPC"),
    logSynced: () => {
      const failure = failing("failing sync", "EIO");
      if (failure !== undefined) throw failure;
    },
    watchers: new Set(),
  });

  function failing(which: Fault, code: string): Error | undefined {
    if (fault !== which) return undefined;
    fault = undefined;
    failed.add(which);
    return Object.assign(new Error(`${code}: made to fail`), { code });
  }

  function act(action: Action): void {
    stamp += 1;
    const before = history.now;
    const { error, states } = app.act(action, stamp);
    for (const hash of states) history.add(hash);
    copies.acted({ committed: history.now !== before });
    say(`app: ${JSON.stringify(action)} ${error ?? ""} ${states.length > 0 ? `-> state ${history.now}` : ""}`);
  }

  function happen(what: Interjection): void {
    if (what === "death") {
      say("the keeper dies");
      letGo();
      throw new Dead("died");
    }
    if (FAULTS.includes(what)) {
      say(`next comes a ${what}`);
      fault = what as Fault;
    }
    if (app.is.isOpen) for (const action of ACTIONS[what] ?? []) act(action);
  }

  function at(label: string): void {
    life?.live();
    say(`at ${label}`);
    shipping.before(label, nextTxid(keeper?.replicator.captured ?? NO_TXID));
    copies.at(label);
    tell(label);
    shipping.after();
    if (shipping.isLooking) copies.looks();
  }

  /** What the keeper's process does, up to where it dies, or fails as it may once its disk has failed it. */
  async function inKeeper(life: Life, work: () => Promise<unknown>): Promise<void> {
    try {
      await Promise.race([life.run(work), death.promise]);
    } catch (error) {
      if (error instanceof Dead) return;
      if (failed.size === 0 || !mayPass(error)) throw error;
      say(`the keeper failed: ${describe(error)}`);
    }
  }

  /** The keeper's process is no more, and its locks and files neither. */
  function letGo(): void {
    const known = keeper?.replicator.lastTxid ?? NO_TXID;
    if (known > acked) acked = known;
    const mustGuard = !app.is.isOpen && existsSync(path);
    if (mustGuard) app.ask({ kind: "guard", path });
    life?.die();
    if (mustGuard) app.ask({ kind: "end guard" });
    [life, keeper] = [undefined, undefined];
    death.reject(new Dead("died"));
  }

  function note({ text }: Event): void {
    if (life === undefined) return; // what a dead process would say
    say(`keeper: ${text}`);
    if (text.startsWith("copied the whole database")) copies.made(text.replace(/^[^:]*: /, ""));
  }

  /** Starts a keeper, which finds what the last one left. The app may run. */
  async function start(): Promise<void> {
    say("the keeper starts");
    copies.started();
    const begun = beginLife({ timeline: INSTANT });
    life = begun;
    death = createDeath();
    await inKeeper(begun, async () => {
      const own = begun.driver(driver);
      const attached = attach(path, { driver: withStatements ? watchedDriver(own, at) : own, at });
      at("attached");
      const replicator = await createReplicator({
        attached: watchedHold(attached, { at, seeming: () => seeming }),
        start: await decideStart(store, { path, stateDirectory: places.stateDirectory, databaseId: DATABASE_ID }),
        store,
        local: openFileStore(places.stateDirectory),
        stateDirectory: places.stateDirectory,
        catalog: createCatalog(await listFiles(store)),
        guard: unguarded,
        clock: begun.clock,
        log: note,
        at,
        signal,
      });
      keeper = { life: begun, replicator };
    });
    if (keeper === undefined && life !== undefined) letGo(); // a start that failed ends the process
  }

  /** Lets the keeper do something, where there is one. */
  async function keep(work: (replicator: Replicator) => Promise<unknown>): Promise<void> {
    if (keeper === undefined) return;
    const { life, replicator } = keeper;
    await inKeeper(life, () => work(replicator));
  }

  const sync = () => keep((replicator) => replicator.sync({ signal }));

  return {
    /** Why the whole database was copied, each time that it had to be. */
    fullCopies: copies.needed,
    happen,
    start,
    sync,
    capture: () => keep((replicator) => replicator.capture({ signal })),
    snapshot: () => keep((replicator) => replicator.snapshot({ signal })),

    /** Makes the database, with something in it; the app runs. */
    open(): void {
      if (made === undefined) {
        app.ask({ kind: "make", path, pageSize: PAGE_SIZE, autoVacuum: 0 });
        made = readFileSync(path);
      } else {
        writeFileSync(path, made);
      }
      const [hash = ""] = app.ask({ kind: "open", path }).states;
      history.add(hash);
      act(COMMIT);
    },

    /** The app ends, or goes on. */
    closeApp: () => act({ kind: "close" }),
    openApp: () => act({ kind: "open" }),

    /** The keeper's process dies. */
    die: letGo,

    /** From now on the log seems to be longer than it is. */
    seem(frames: SeemingFrames): void {
      seeming = frames;
    },

    /** Nothing gets in the way any more, and the app goes on: what is lost by now does not come back. */
    async settle(): Promise<void> {
      say("all is well from here on");
      fault = undefined;
      seeming = { checkpointed: 0, others: 0 };
      if (!app.is.isOpen) act({ kind: "open" });
      if (keeper === undefined) await start();
      act(COMMIT);
      await sync();
      if (app.is.isReading) act({ kind: "end reading" });
      act(COMMIT);
      await sync();
    },

    /** Restores all that was shipped behind a transaction, each alone, and the newest. */
    async check(behind: Txid): Promise<void> {
      copies.requireNoneNeedless();
      const [hash = ""] = app.ask({ kind: "look" }).states;
      if (!history.isNow(hash)) throw new Violation("the app does not find what it has committed");
      if (keeper === undefined) throw new Violation("there is no keeper, though all is well");
      const { lastTxid, isBehind, uncapturedBytes } = keeper.replicator;
      if (isBehind || uncapturedBytes > 0) throw new Violation("not everything is in the bucket, though all is well");
      let before: StateNumber | undefined;
      for (const txid of await checker.transactions()) {
        if (txid <= behind || txid === lastTxid) continue;
        const state = await checker.after(txid);
        if (state !== undefined && before !== undefined && !history.leadsTo(before, state)) {
          throw new Violation(`state ${state} comes after state ${before}`);
        }
        before = state ?? before;
      }
      const newest = await checker.newest(lastTxid > acked ? lastTxid : acked);
      if (newest !== history.now) throw new Violation(`the end is state ${history.now}, and ${newest} is restored`);
    },

    get lastTxid(): Txid {
      return keeper?.replicator.lastTxid ?? acked;
    },

    /** Lets go of the database and the app, and removes it. */
    end(): void {
      letGo();
      app.ask({ kind: "vanish" });
      rmSync(directory, { recursive: true });
    },
  };
}

/** Nothing takes time: what is to happen later happens next. */
const INSTANT: Timeline = {
  nowMs: 0,
  after: (_ms, run) => queueMicrotask(() => void run()),
  runUntil: async () => {},
};

function createDeath() {
  const death = Promise.withResolvers<never>();
  death.promise.catch(() => {}); // nobody may wait for it
  return death;
}

/** True for what the product tries again. */
function mayPass(error: unknown): boolean {
  if (error instanceof FlysqliteError) return error.code === "E_REPLICA_UNREACHABLE";
  return !(error instanceof AssertionError);
}
