// Holds the model's protocol to the product's: random steps are taken in both, on a real database, and must have the
// same outcome.

import { join } from "node:path";
import { expect, it } from "vitest";
import {
  type Attached,
  attach,
  type Capture,
  type Mark,
  type PageReader,
  type Position,
} from "../../../src/sqlite/attached.ts";
import { toPageNumber } from "../../../src/sqlite/page.ts";
import { keeperSteps } from "../../model/keeper.ts";
import type { Step } from "../../model/search.ts";
import { NO_LOG, type State } from "../../model/state.ts";
import { installedDriver } from "../../support/driver.ts";
import { seededRandom } from "../../support/random.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { makeDatabase } from "../../support/workload.ts";
import { openApp } from "./support.ts";

const STEPS = 80;

/** What the model does one by one under the write lock, and the product in one call. */
const SEALING = ["locked", "kept", "checkpointed", "renewed"];

const driver = await installedDriver();

/** The product in the place of the model's keeper. */
function createKeeper(path: string) {
  let attached: Attached | undefined = attach(path, { driver, at: () => {} });
  let found: { readonly mark: Mark; readonly read: () => void; readonly end: () => void } | undefined;
  let remembered: Position | undefined;
  let owesCopy = false;
  /** Lets the hand-over that is under way come to its end. */
  let endHandOver: (() => Promise<void>) | undefined;

  const held = (): Attached => {
    if (attached === undefined) throw new Error("the keeper is dead");
    return attached;
  };

  function take(capture: Capture): Capture["kind"] {
    if (capture.kind === "changes") {
      const { changes, page, mark } = capture;
      found = { mark, read: () => readAll(changes.pages.keys(), page), end: () => {} };
    }
    return capture.kind;
  }

  function viewWhole(): void {
    const snapshot = held().snapshot();
    const pages = Array.from({ length: snapshot.pageCount }, (_, index) => toPageNumber(index + 1));
    found = { mark: snapshot.mark, read: () => readAll(pages, snapshot.page), end: () => snapshot[Symbol.dispose]() };
  }

  const perform: Readonly<Record<string, () => unknown>> = {
    "keeper: attaches": () => {
      attached = attach(path, { driver, at: () => {} });
    },
    "keeper: resumes": () => {
      owesCopy = remembered === undefined || !held().resume(remembered);
    },
    "keeper: checkpoint PASSIVE": () => held().checkpoint(),
    "keeper: second reader begins": async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const done = held().handOver(() => promise);
      endHandOver = () => {
        resolve();
        return done;
      };
    },
    "keeper: captures": () => take(held().capture()),
    "keeper: captures nothing": () => take(held().capture()),
    "keeper: captures, and can't go on": () => {
      owesCopy = true;
      return take(held().capture());
    },
    "keeper: view of the whole database": viewWhole,
    "keeper: takes the write lock": () => {
      const sealed = held().sealedCheckpoint(() => take(held().capture()) !== "broken");
      const position = held().position;
      if (sealed === undefined || position === undefined) return;
      if (found === undefined) held().advance({ position, sealed });
      else found = { ...found, mark: { ...found.mark, sealed } };
    },
    "keeper: staged": () => found?.read(),
    "keeper: recorded": () => {
      if (found === undefined) throw new Error("nothing was found");
      held().advance(found.mark);
      remembered = found.mark.position;
      owesCopy = false;
      found.end();
      found = undefined;
    },
    "keeper: older reader ends": () => endHandOver?.(),
    "keeper: crashes": async () => {
      found?.end();
      found = undefined;
      held().close();
      attached = undefined;
    },
  };

  return {
    /** A capture must find what its name says. */
    async run(name: string): Promise<void> {
      const outcome = await perform[name]?.();
      if (name === "keeper: captures") expect(outcome).toBe("changes");
      if (name === "keeper: captures nothing") expect(outcome).toBe("nothing");
      if (name === "keeper: captures, and can't go on") expect(outcome).toBe("broken");
    },
    canRun: (name: string): boolean => Object.hasOwn(perform, name),
    copyOnce(): void {
      viewWhole();
      perform["keeper: recorded"]?.();
    },
    /** Where it stands, in the model's words. */
    look(): readonly unknown[] {
      if (attached === undefined || owesCopy) return [undefined];
      const { position, isSealed } = attached;
      return [position?.kind, position?.kind === "log" ? position.frame : undefined, isSealed];
    },
    [Symbol.dispose]: () => attached?.close(),
  };
}

function readAll(pages: Iterable<ReturnType<typeof toPageNumber>>, read: PageReader): void {
  for (const page of pages) read(page);
}

function lookAt({ position, sealed }: State): readonly unknown[] {
  if (position === undefined) return [undefined];
  return [position.kind, position.kind === "log" ? position.frame : undefined, sealed];
}

/** As far as the product does it in one call. */
function wholeStep({ name, to }: Step<State>): Step<State> {
  let state = to;
  while (SEALING.includes(state.phase)) {
    const [next] = keeperSteps(state, undefined);
    if (next === undefined) break;
    state = next.to;
  }
  return { name, to: state };
}

it.each(Array.from({ length: 20 }, (_, index) => index + 1))(
  "the model's keeper does as ours, with seed %d",
  async (seed) => {
    const { unit } = seededRandom(seed);
    using directory = temporaryDirectory();
    const path = join(directory.path, "app.db");
    makeDatabase(path, { pageSize: 1024 });
    using app = openApp(driver, path);
    using keeper = createKeeper(path);
    keeper.copyOnce();
    let s: State = NO_LOG;
    const taken: string[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      const own = keeperSteps(s, undefined)
        .filter(({ name }) => keeper.canRun(name) && (name !== "keeper: crashes" || unit() < 0.2))
        .map(wholeStep)
        .map(({ name, to }) => ({ name, to, run: () => keeper.run(name) }));
      const candidates = unit() < 0.5 && own.length > 0 ? own : app.pairs(s);
      const chosen = candidates[Math.floor(unit() * candidates.length)];
      if (chosen === undefined) throw new Error("nothing can be done");
      taken.push(chosen.name);
      await chosen.run();
      s = chosen.to;
      expect(app.walState(), taken.join("\n")).toEqual([s.frames, s.backfilled]);
      expect(s.phase === "attached" ? lookAt(s) : keeper.look(), taken.join("\n")).toEqual(lookAt(s));
      expect(s.wrong).toBeUndefined();
    }
  },
);
