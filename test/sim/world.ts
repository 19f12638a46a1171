// One machine or two, each with a volume, an app and a keeper, and a bucket: what happens to them, and what must hold.

import { join } from "node:path";
import type { Random } from "../../src/base/context.ts";
import { NO_TXID } from "../../src/replica/ltx/txid.ts";
import type { Driver } from "../../src/sqlite/driver.ts";
import type { Apps } from "./app.ts";
import { type Bucket, createBucket } from "./bucket.ts";
import { createChecker } from "./checker.ts";
import { createHistory, type History, type StateNumber } from "./history.ts";
import { boot } from "./kernel/kernel.ts";
import { createLedger } from "./ledger.ts";
import { createMachine, type Death, type Machine, type Surroundings } from "./machine.ts";
import type { Mix } from "./mix.ts";
import { createTimeline } from "./timeline.ts";
import { Violation } from "./violation.ts";

export type World = ReturnType<typeof createWorld>;

/** In a world where all is well, a machine is started this long after the last one has ended, in milliseconds. */
const NEXT_START_MS = 3000;

export function createWorld({
  directory,
  apps,
  random,
  mix,
  ...given
}: {
  /** An empty one. */
  readonly directory: string;
  readonly apps: Apps;
  readonly driver: Driver;
  readonly random: Random;
  /** What happens; may be another one later. */
  readonly mix: () => Mix;
  /** Told of all that happens. */
  readonly say: (what: string) => void;
}) {
  const timeline = createTimeline();
  const history = createHistory();
  const isDuring = (spans: Mix["outages"]) => spans.some(([from, to]) => timeline.nowMs >= from && timeline.nowMs < to);
  const bucket: Bucket = createBucket({
    timeline,
    random,
    network: () => (isDuring(mix().outages) ? undefined : mix().network),
  });
  const checker = createChecker({ store: bucket.memory, history, driver: given.driver, directory });
  const ledger = createLedger(history);
  let stamp = 0;
  let violation: unknown;
  let isHealed = false;
  /** The one that was stopped in the end. */
  let last: Machine | undefined;

  async function check(): Promise<StateNumber | undefined> {
    for (const machine of machines) machine.noteAcked();
    const state = await checker.newest(ledger.newest);
    given.say(`the bucket has state ${state} of ${history.count}`);
    if (state !== undefined) ledger.sees(state);
    return state;
  }

  /** Two that are sure at the same time would both write. */
  function requireOneWriter(): void {
    const sure = machines.filter(({ isSure }) => isSure);
    if (sure.length > 1) violation ??= new Violation(`${sure.map(({ name }) => name).join(" and ")} have the lease`);
  }

  /** Somebody sees to it that a machine runs, where nothing else keeps it from running. */
  function startOne(): void {
    if (!isHealed || last !== undefined) return;
    for (const machine of random.unit() < 0.5 ? machines : machines.toReversed()) {
      if (machines.every(({ isDown }) => isDown)) machine.start();
    }
  }

  /** The other one takes its place, most often. */
  function replaceSilent(): void {
    if (random.unit() < 0.1) return;
    const waitMs = (random.unit() * (mix().pair?.leaseTimes.ttlMs ?? 0)) / 4;
    timeline.after(waitMs, () => {
      if (!isHealed) for (const machine of machines) machine.start();
    });
  }

  const surroundings: Surroundings = {
    ...given,
    random,
    mix,
    timeline,
    bucket,
    ledger,
    nextStamp: () => ++stamp,
    check,
    violated: (found) => {
      violation ??= found;
    },
    moved: requireOneWriter,
    fellSilent: replaceSilent,
    wentDown: () => timeline.after(NEXT_START_MS, startOne),
  };
  const create = (number: 0 | 1, branch: History) => {
    const name = number === 0 ? "a" : "b";
    const app = apps.app(number);
    return createMachine({ ...surroundings, name, directory: join(directory, name), app, history: branch, number });
  };
  const first = create(0, history);
  const machines: readonly Machine[] = mix().pair === undefined ? [first] : [first, create(1, history.branch())];
  boot(first.kernel);

  return {
    timeline,
    machines,
    get history() {
      return (last ?? first).history;
    },
    get fullCopies() {
      return machines.flatMap(({ fullCopies }) => fullCopies);
    },
    get warnings() {
      return machines.flatMap(({ warnings }) => warnings);
    },
    get violation() {
      return violation;
    },
    get hasEnded() {
      return last?.hasEnded ?? false;
    },

    begin: first.begin,

    actAtRandom(): void {
      for (const machine of machines) machine.actAtRandom();
    },

    /** Where any runs at all. */
    dieIfAlive(what: Death): void {
      machines[machines.length === 1 ? 0 : Math.floor(random.unit() * machines.length)]?.dieIfAlive(what);
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

    /** Ends what the apps have begun, and keeps them from doing more. From here on a machine is to run. */
    heal(): void {
      isHealed = true;
      for (const machine of machines) machine.heal();
      startOne();
    },

    /** True where all that was committed on a machine that may write is in the bucket. */
    isReplicated: (): boolean => machines.some(({ isReplicated }) => isReplicated),

    /** The app of that machine ends, and the keeper ships the rest. */
    stop(): void {
      last = machines.find(({ isReplicated }) => isReplicated) ?? first;
      for (const machine of machines) if (machine !== last) machine.letGo();
      last.stop({ budgetMs: Number.POSITIVE_INFINITY });
    },

    /**
     * True for the state of the machine that was stopped in the end. What another one had on its way when its lease ran
     * out may have arrived behind it, under the next number: that counts for nobody, and the next start finds it.
     */
    isEnd(restored: StateNumber | undefined): boolean {
      const { now, leadsTo } = (last ?? first).history;
      return restored === now || (machines.length > 1 && restored !== undefined && leadsTo(now, restored));
    },

    letGo(): void {
      for (const machine of machines) machine.letGo();
    },
  };
}
