// What the keeper is about while something happens between its steps.

import type { Stage } from "./stage.ts";

export type Scenario = {
  /** Before anything may happen: the app has committed, and a keeper has not been there yet. */
  readonly prepare: (stage: Stage) => Promise<void>;
  readonly play: (stage: Stage) => Promise<void>;
};

/** A keeper that has shipped all there is. */
async function follow(stage: Stage): Promise<void> {
  await stage.start();
  await stage.sync();
}

/** Likewise, and something was committed since. */
async function followBehind(stage: Stage): Promise<void> {
  await follow(stage);
  stage.happen("commit");
}

export const SCENARIOS = {
  /** A sync round. */
  sync: { prepare: followBehind, play: (stage) => stage.sync() },

  /** A sync round under a hold at the start of a log that is wholly checkpointed: the commit has restarted it. */
  "sync after a restart": {
    async prepare(stage) {
      await follow(stage);
      stage.happen("checkpoint");
      await stage.capture();
      stage.happen("commit");
    },
    play: (stage) => stage.sync(),
  },

  /** A sync round in a log that has grown: it is checkpointed, and the hold is moved on. */
  checkpoint: {
    prepare: followBehind,
    async play(stage) {
      stage.seem({ checkpointed: 1000, others: 0 });
      await stage.sync();
    },
  },

  /** A sync round in a log that is too long: it is checkpointed under the write lock. */
  seal: {
    prepare: followBehind,
    async play(stage) {
      stage.seem({ checkpointed: 4000, others: 0 });
      await stage.sync();
    },
  },

  /** Likewise where most is to be copied before writers have to wait, and a reader keeps that from being all. */
  "seal beside a reader": {
    async prepare(stage) {
      await follow(stage);
      stage.happen("begin to read");
      stage.happen("commit");
    },
    async play(stage) {
      stage.seem({ checkpointed: 0, others: 8000 });
      await stage.sync();
    },
  },

  /** A copy of the whole database beside its history. */
  snapshot: { prepare: followBehind, play: (stage) => stage.snapshot() },

  /** Likewise of a log that is wholly checkpointed: the next commit begins it anew while the database is read. */
  "snapshot after a checkpoint": {
    async prepare(stage) {
      await follow(stage);
      stage.happen("checkpoint");
      await stage.capture();
    },
    play: (stage) => stage.snapshot(),
  },

  /** The first start on an empty replica. */
  "first start": {
    prepare: async () => {},
    async play(stage) {
      await stage.start();
      await stage.sync();
    },
  },

  /** A start beside an app that runs, and has committed since the last keeper died. */
  start: {
    async prepare(stage) {
      await follow(stage);
      stage.die();
      stage.happen("commit");
    },
    async play(stage) {
      await stage.start();
      await stage.sync();
    },
  },

  /** Likewise, and the log was checkpointed, too: the new keeper's hold does not keep it from being begun anew. */
  "start after a checkpoint": {
    async prepare(stage) {
      await follow(stage);
      stage.die();
      stage.happen("commit");
      stage.happen("checkpoint");
    },
    async play(stage) {
      await stage.start();
      await stage.sync();
    },
  },

  /** The last sync, while something of the app is still there, and the next start, before the app's. */
  stop: {
    prepare: followBehind,
    async play(stage) {
      await stage.sync();
      stage.closeApp();
      stage.die();
      await stage.start();
      stage.openApp();
    },
  },
} as const satisfies { readonly [name: string]: Scenario };

export type ScenarioName = keyof typeof SCENARIOS;

export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];
