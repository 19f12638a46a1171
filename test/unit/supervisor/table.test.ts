import { describe, expect, it } from "vitest";
import { FAILURES } from "../../../src/base/errors.ts";
import type { FromKeeper } from "../../../src/base/messages.ts";
import type { Action, Event, State, Timer } from "../../../src/supervisor/states.ts";
import { INITIAL_STATE, next } from "../../../src/supervisor/table.ts";
import { seededRandom } from "../../support/random.ts";

const FENCED = FAILURES.E_FENCED.exitStatus;
const UNSYNCED = FAILURES.E_FINAL_SYNC.exitStatus;
const STOP_TIMEOUT_MS = 10_000;

const launch = { file: "/usr/bin/node", arguments: ["server.js"], directory: "/app", environment: {} };
const ready: FromKeeper = {
  kind: "ready",
  launch,
  restart: "never",
  replicating: true,
  stopTimeoutMs: STOP_TIMEOUT_MS,
  databaseDirectory: "/data",
};
const readyWithoutReplica: FromKeeper = { ...ready, replicating: false };

const keeperReady: Event = { kind: "keeper ready", ready };
const sigterm: Event = { kind: "signal", signal: "SIGTERM", number: 15 };
const sigint: Event = { kind: "signal", signal: "SIGINT", number: 2 };
const sigusr1: Event = { kind: "signal", signal: "SIGUSR1", number: 10 };
const appEnded = (exitStatus: number, ranMs = 5): Event => ({ kind: "app ended", exitStatus, ranMs });
const groupGone: Event = { kind: "group gone" };
/** The app ended and has left nothing behind. */
const appGone = (exitStatus: number): readonly Event[] => [appEnded(exitStatus), groupGone];
const keeperEnded = (exitStatus: number): Event => ({ kind: "keeper ended", exitStatus });
const timer = (name: Timer): Event => ({ kind: "timer", timer: name });

const STOP_SIGNALS: readonly Event[] = [
  sigterm,
  sigint,
  { kind: "signal", signal: "SIGQUIT", number: 3 },
  { kind: "signal", signal: "SIGHUP", number: 1 },
];

/** The state after these events, and the actions of the last one; log lines as their text. */
function after(...events: readonly Event[]): { readonly state: State; readonly actions: readonly unknown[] } {
  let state = INITIAL_STATE;
  let actions: readonly Action[] = [];
  for (const event of events) ({ state, actions } = next(state, event));
  return { state, actions: actions.map((action) => (action.kind === "log" ? action.event.text : action)) };
}

const toApp = (signal: NodeJS.Signals): Action => ({ kind: "signal app", signal });
const toKeeper = (signal: NodeJS.Signals): Action => ({ kind: "signal keeper", signal });
const tell = (kind: "sync" | "finish"): Action => ({ kind: "tell keeper", message: { kind } });
const set = (name: Timer, ms: number): Action => ({ kind: "set timer", timer: name, ms });
const endGroup: Action = { kind: "end group" };
const exit = (exitStatus: number): Action => ({ kind: "exit", exitStatus });

describe("the table, while the keeper prepares", () => {
  it("launches the app when the keeper is ready", () => {
    expect(after(keeperReady).actions).toEqual([{ kind: "launch app", launch }]);
  });

  it.each([
    [78, 78],
    [1, 1],
    [137, 137],
    [0, FAILURES.E_INTERNAL.exitStatus],
  ])("ends as the keeper ended: %i gives %i", (keeper, ours) => {
    expect(after(keeperEnded(keeper)).actions).toEqual([exit(ours)]);
  });

  it.each(STOP_SIGNALS)("stops the keeper at $signal, and gives it a limited time", (signal) => {
    expect(after(signal).actions).toEqual([toKeeper("SIGTERM"), set("give up", 4500)]);
  });

  it("ends with 128 + n when the keeper has stopped, whatever its status", () => {
    expect(after(sigterm, keeperEnded(0)).actions).toEqual([exit(143)]);
    expect(after(sigint, keeperEnded(78)).actions).toEqual([exit(130)]);
  });

  it("launches no app after a stop signal", () => {
    expect(after(sigterm, keeperReady).actions).toEqual([toKeeper("SIGKILL"), exit(143)]);
  });

  it("kills the keeper at a second stop signal, and where it does not stop in time", () => {
    expect(after(sigterm, sigint).actions).toEqual([toKeeper("SIGKILL"), exit(130)]);
    expect(after(sigterm, timer("give up")).actions).toEqual([toKeeper("SIGKILL"), exit(143)]);
  });

  it("passes over a signal that is for an app", () => {
    expect(after(sigusr1)).toEqual({ state: INITIAL_STATE, actions: [] });
  });
});

describe("the table, while the app runs", () => {
  const running = [keeperReady];

  it("passes a signal on that is no stop signal", () => {
    expect(after(...running, sigusr1).actions).toEqual([toApp("SIGUSR1")]);
    expect(after(...running, sigterm, sigusr1).actions).toEqual([toApp("SIGUSR1")]);
  });

  it.each(STOP_SIGNALS)("passes $signal on, starts a sync, and sets both limits", (signal) => {
    if (signal.kind !== "signal") return;
    expect(after(...running, signal).actions).toEqual([
      `${signal.signal}: passed on to the app`,
      toApp(signal.signal),
      set("kill app", 6000),
      set("give up", STOP_TIMEOUT_MS),
      tell("sync"),
    ]);
  });

  it("kills an app that does not end in its share of the time, and still makes the last sync", () => {
    expect(after(...running, sigterm, timer("kill app")).actions).toEqual([
      "the app did not end in its share of the stop timeout and is killed",
      toApp("SIGKILL"),
    ]);
    expect(after(...running, sigterm, timer("kill app"), ...appGone(137)).actions).toContainEqual(tell("finish"));
    expect(after(...running, sigterm, timer("kill app"), ...appGone(137), keeperEnded(0)).actions).toEqual([exit(137)]);
  });

  it("ends when the time is over and the app is still there", () => {
    expect(after(...running, sigterm, timer("kill app"), timer("give up")).actions).toEqual([
      toApp("SIGKILL"),
      exit(143),
    ]);
  });

  it("ends at once at a second stop signal, and says what that means", () => {
    expect(after(...running, sigterm, sigint).actions).toEqual([
      "SIGINT again: ending at once; what is not replicated yet stays on the volume",
      toApp("SIGKILL"),
      exit(130),
    ]);
  });

  it("ends what the app left behind, in a limited time", () => {
    expect(after(...running, appEnded(0)).actions).toEqual([
      endGroup,
      set("kill app", 6000),
      set("give up", STOP_TIMEOUT_MS),
    ]);
  });

  it("sets no second limit for an app that ends after a stop signal", () => {
    expect(after(...running, sigterm, appEnded(143)).actions).toEqual([endGroup]);
  });

  it.each([0, 1, 3, 143])("ends with the app's own status %i where nothing is replicated", (status) => {
    const readyAlone: Event = { kind: "keeper ready", ready: readyWithoutReplica };
    expect(after(readyAlone, keeperEnded(0), ...appGone(status)).actions).toEqual([exit(status)]);
    expect(after(readyAlone, ...appGone(status)).actions).toEqual([exit(status)]);
  });

  it.each(["SIGTSTP", "SIGTTIN", "SIGTTOU"] as const)("stops with the app at %s, as a terminal's job", (signal) => {
    const { actions } = after(...running, { kind: "signal", signal, number: 20 });
    expect(actions).toEqual([toApp(signal), { kind: "suspend" }]);
  });

  it("has nothing to tell a keeper that has done its work", () => {
    const { actions } = after({ kind: "keeper ready", ready: readyWithoutReplica }, keeperEnded(0), sigterm);
    expect(actions).not.toContainEqual(tell("sync"));
    expect(actions).toContainEqual(set("give up", STOP_TIMEOUT_MS));
  });
});

describe("the table, when the keeper dies under a running app", () => {
  const cycle = [keeperEnded(70), timer("restart keeper")];

  it("leaves the app alone, warns, and starts the keeper again at once", () => {
    expect(after(keeperReady, keeperEnded(70)).actions).toEqual([
      "the keeper ended with status 70; the app runs on, and replication again in 100 ms",
      set("restart keeper", 100),
    ]);
    expect(after(keeperReady, ...cycle).actions).toEqual([{ kind: "restart keeper" }]);
  });

  it("waits twice as long after each death in a row, and half a minute at most", () => {
    const events: Event[] = [keeperReady];
    const waits: unknown[] = [];
    for (let death = 0; death < 8; death++) {
      events.push(keeperEnded(137));
      waits.push(after(...events).actions.at(-1));
      events.push(timer("restart keeper"));
    }
    const seconds = [0.1, 1, 2, 4, 8, 16, 30, 30];
    expect(waits).toEqual(seconds.map((s) => set("restart keeper", s * 1000)));
  });

  it("begins anew when the keeper had been ready", () => {
    const { actions } = after(keeperReady, ...cycle, ...cycle, keeperReady, keeperEnded(1));
    expect(actions).toContainEqual(set("restart keeper", 100));
  });

  it("launches no second app when the keeper is ready again", () => {
    expect(after(keeperReady, ...cycle, keeperReady).actions).toEqual([]);
  });

  it("starts it for the last sync at once where the app ends meanwhile", () => {
    const dead = [keeperReady, keeperEnded(70), ...appGone(0)];
    expect(after(...dead).actions).toEqual([{ kind: "restart keeper" }]);
    expect(after(...dead, timer("restart keeper")).actions).toEqual([]);
    expect(after(...dead, keeperReady).actions).toEqual([tell("finish")]);
    expect(after(...dead, keeperReady, keeperEnded(0)).actions).toEqual([exit(0)]);
  });

  it("starts no second keeper beside one that is coming up when the app ends", () => {
    expect(after(keeperReady, ...cycle, ...appGone(0)).actions).toEqual([]);
    expect(after(keeperReady, ...cycle, ...appGone(0), keeperReady).actions).toEqual([tell("finish")]);
    expect(after(keeperReady, ...cycle, appEnded(0), keeperReady, groupGone).actions).toEqual([tell("finish")]);
  });

  it("starts it for the last sync where it dies while the app's group ends", () => {
    expect(after(keeperReady, appEnded(0), keeperEnded(137)).actions).toEqual([]);
    expect(after(keeperReady, appEnded(0), keeperEnded(137), groupGone).actions).toEqual([{ kind: "restart keeper" }]);
  });

  it("passes a stop signal on, with both limits, while there is no keeper", () => {
    const { actions } = after(keeperReady, keeperEnded(70), sigterm);
    expect(actions).toContainEqual(toApp("SIGTERM"));
    expect(actions).toContainEqual(set("give up", STOP_TIMEOUT_MS));
    expect(actions).not.toContainEqual(tell("sync"));
  });
});

describe("the table, when another machine writes to the replica", () => {
  const fenced = [keeperReady, keeperEnded(FENCED)];
  const told = "another machine writes to the replica: the app is ended (E_FENCED)";
  const limits = [set("kill app", 6000), set("give up", STOP_TIMEOUT_MS)];

  it("says so, ends the app with both limits, and starts no other keeper", () => {
    expect(after(...fenced).actions).toEqual([told, toApp("SIGTERM"), ...limits]);
    expect(after(...fenced, timer("restart keeper")).actions).toEqual([]);
  });

  it.each([0, 3, 143])("ends with its status whatever the app's is: %i", (status) => {
    expect(after(...fenced, appEnded(status)).actions).toEqual([endGroup]);
    expect(after(...fenced, ...appGone(status)).actions).toEqual([exit(FENCED)]);
  });

  it("kills an app that does not end, and ends without it in the end", () => {
    expect(after(...fenced, timer("kill app")).actions).toEqual([
      "the app did not end in its share of the stop timeout and is killed",
      toApp("SIGKILL"),
    ]);
    expect(after(...fenced, timer("kill app"), ...appGone(137)).actions).toEqual([exit(FENCED)]);
    expect(after(...fenced, timer("kill app"), timer("give up")).actions).toEqual([toApp("SIGKILL"), exit(FENCED)]);
  });

  it("lets an app that was told to end already end in its time", () => {
    expect(after(keeperReady, sigterm, keeperEnded(FENCED)).actions).toEqual([told]);
    expect(after(keeperReady, sigterm, keeperEnded(FENCED), ...appGone(143)).actions).toEqual([exit(FENCED)]);
  });

  it("passes a platform's stop signal on, and ends at once at a second one", () => {
    expect(after(...fenced, sigterm).actions).toContainEqual(toApp("SIGTERM"));
    expect(after(...fenced, sigterm).actions).not.toContainEqual(tell("sync"));
    expect(after(...fenced, sigterm, ...appGone(143)).actions).toEqual([exit(FENCED)]);
    expect(after(...fenced, sigterm, sigint).actions.at(-1)).toEqual(exit(130));
  });

  it("ends a start whose keeper found another machine there", () => {
    expect(after(keeperEnded(FENCED)).actions).toEqual([exit(FENCED)]);
  });

  it("starts no app that has failed, and ends at once where there is none", () => {
    const onFailure: Event = { kind: "keeper ready", ready: { ...ready, restart: "on-failure" } };
    expect(after(onFailure, appEnded(3), keeperEnded(FENCED)).actions).toContainEqual(endGroup);
    expect(after(onFailure, appEnded(3), keeperEnded(FENCED), groupGone).actions).toEqual([exit(FENCED)]);
    expect(after(onFailure, appEnded(3), keeperEnded(FENCED), timer("restart app")).actions).toEqual([]);
    const alone: Event = { kind: "keeper ready", ready: { ...ready, launch: undefined } };
    expect(after(alone, keeperEnded(FENCED)).actions).toEqual([exit(FENCED)]);
  });

  it("ends the app where the keeper that follows a dead one finds it", () => {
    const { actions } = after(keeperReady, keeperEnded(137), timer("restart keeper"), keeperEnded(FENCED));
    expect(actions).toContainEqual(toApp("SIGTERM"));
    expect(actions).not.toContainEqual(set("restart keeper", 2000));
  });

  it.each([
    [0, FENCED],
    [3, 3],
  ])("in the last sync lets the app's status %i be %i", (app, ours) => {
    expect(after(keeperReady, ...appGone(app), keeperEnded(FENCED)).actions).toEqual([exit(ours)]);
    expect(after(keeperReady, appEnded(app), keeperEnded(FENCED), groupGone).actions).toEqual([exit(ours)]);
  });
});

describe("the table, while what the app has left behind ends", () => {
  const cleared = [keeperReady, appEnded(3)];

  it("makes the last sync once nothing can write any more, and not before", () => {
    expect(after(...cleared).actions).not.toContainEqual(tell("finish"));
    expect(after(...cleared, groupGone).actions).toEqual([tell("finish")]);
  });

  it("kills it when its share of the time is over", () => {
    expect(after(...cleared, timer("kill app")).actions).toEqual([
      "what the app has left behind did not end in time and is killed",
      toApp("SIGKILL"),
    ]);
  });

  it("passes on what is no stop signal, and takes a first stop signal for what is under way", () => {
    expect(after(...cleared, sigusr1).actions).toEqual([toApp("SIGUSR1")]);
    expect(after(...cleared, sigterm).actions).toEqual([]);
  });

  it("ends at a second stop signal", () => {
    expect(after(...cleared, sigterm, sigint).actions).toEqual([toApp("SIGKILL"), toKeeper("SIGKILL"), exit(3)]);
    expect(after(keeperReady, sigterm, appEnded(0), sigterm).actions).toContainEqual(exit(UNSYNCED));
  });

  it("ends when the time is over", () => {
    expect(after(...cleared, timer("give up")).actions).toContainEqual(exit(3));
    expect(after(keeperReady, appEnded(0), timer("give up")).actions).toContainEqual(exit(UNSYNCED));
    const alone: Event = { kind: "keeper ready", ready: readyWithoutReplica };
    expect(after(alone, appEnded(0), timer("give up")).actions).toEqual([
      toApp("SIGKILL"),
      toKeeper("SIGKILL"),
      exit(0),
    ]);
  });
});

describe("the table, with --restart on-failure", () => {
  const onFailure: Event = { kind: "keeper ready", ready: { ...ready, restart: "on-failure" } };
  const failOnce = [appEnded(3), timer("restart app")];

  it("starts an app that failed again after a while, with nothing of the old one beside it", () => {
    expect(after(onFailure, appEnded(3)).actions).toEqual([
      "the app ended with status 3; it is started again in 1 s",
      endGroup,
      set("restart app", 1000),
    ]);
    expect(after(onFailure, ...failOnce).actions).toEqual([toApp("SIGKILL"), { kind: "launch app", launch }]);
  });

  it("lets an app end that ends with 0, or that was told to", () => {
    expect(after(onFailure, ...appGone(0)).actions).toEqual([tell("finish")]);
    expect(after(onFailure, sigterm, appEnded(1)).actions).toEqual([endGroup]);
  });

  it("waits twice as long each time, and gives up in a crash loop, with the app's status", () => {
    const events: Event[] = [onFailure];
    const waits: unknown[] = [];
    for (let failure = 0; failure < 9; failure++) {
      events.push(appEnded(3));
      waits.push(after(...events).actions.at(-1));
      events.push(timer("restart app"));
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30].map((seconds) => set("restart app", seconds * 1000)));
    expect(after(...events, appEnded(4)).actions[0]).toMatch(/failed 10 times in a row.*status 4.*E_APP_CRASHLOOP/);
    expect(after(...events, ...appGone(4)).actions).toEqual([tell("finish")]);
    expect(after(...events, ...appGone(4), keeperEnded(0)).actions).toEqual([exit(4)]);
  });

  it("counts anew when the app ran for a minute", () => {
    const { actions } = after(onFailure, ...failOnce, ...failOnce, appEnded(3, 60_000));
    expect(actions.at(-1)).toEqual(set("restart app", 1000));
  });

  it("replicates on between two starts", () => {
    expect(after(onFailure, appEnded(3), keeperEnded(70), timer("restart keeper")).actions).toEqual([
      { kind: "restart keeper" },
    ]);
    expect(after(onFailure, appEnded(3), groupGone).actions).toEqual([]);
  });

  it("makes the last sync and ends with 128 + n where the stop signal comes between two starts", () => {
    expect(after(onFailure, appEnded(3), sigterm).actions).toEqual([
      "SIGTERM: making the last sync",
      endGroup,
      set("kill app", 6000),
      set("give up", STOP_TIMEOUT_MS),
    ]);
    expect(after(onFailure, appEnded(3), sigterm, timer("restart app")).actions).toEqual([]);
    expect(after(onFailure, appEnded(3), sigterm, groupGone, keeperEnded(0)).actions).toEqual([exit(143)]);
    expect(after(onFailure, appEnded(3), sigusr1).actions).toEqual([]);
  });
});

describe("the table, where there is no app", () => {
  const alone: Event = { kind: "keeper ready", ready: { ...ready, launch: undefined } };

  it("launches none, and replicates", () => {
    expect(after(alone)).toMatchObject({ state: { kind: "running", app: { kind: "none" } }, actions: [] });
    expect(after(alone, sigusr1).actions).toEqual([]);
  });

  it("goes to the last sync at once at a stop signal, and ends with 0 when everything is replicated", () => {
    const { state, actions } = after(alone, sigterm);
    expect(state.kind).toBe("finishing");
    expect(actions).toEqual(["SIGTERM: making the last sync", set("give up", STOP_TIMEOUT_MS), tell("finish")]);
    expect(after(alone, sigterm, keeperEnded(0)).actions).toEqual([exit(0)]);
    expect(after(alone, sigterm, keeperEnded(UNSYNCED)).actions).toEqual([exit(UNSYNCED)]);
    expect(after(alone, sigterm, timer("give up")).actions).toContainEqual(exit(UNSYNCED));
  });

  it("starts a keeper again that died, also for the last sync", () => {
    expect(after(alone, keeperEnded(70)).actions).toEqual([
      "the keeper ended with status 70; replication again in 100 ms",
      set("restart keeper", 100),
    ]);
    expect(after(alone, keeperEnded(70), timer("restart keeper")).actions).toEqual([{ kind: "restart keeper" }]);
    expect(after(alone, keeperEnded(70), sigterm).actions).toContainEqual({ kind: "restart keeper" });
  });

  it("ends as the keeper does where there is nothing to replicate", () => {
    const nothing: Event = { kind: "keeper ready", ready: { ...readyWithoutReplica, launch: undefined } };
    expect(after(nothing, keeperEnded(0)).actions).toEqual([exit(0)]);
  });
});

describe("the table, during the last sync", () => {
  it.each([
    [0, 0, 0],
    [3, 0, 3],
    [137, 0, 137],
    [0, UNSYNCED, UNSYNCED],
    [0, 137, UNSYNCED],
    [3, UNSYNCED, 3],
    [143, 1, 143],
  ])("the app's status %i and the keeper's %i give %i", (app, keeper, ours) => {
    expect(after(keeperReady, ...appGone(app), keeperEnded(keeper)).actions).toEqual([exit(ours)]);
    expect(after(keeperReady, sigterm, ...appGone(app), keeperEnded(keeper)).actions).toEqual([exit(ours)]);
  });

  it.each([
    [0, UNSYNCED],
    [3, 3],
  ])("gives up a sync that hangs: the app's status %i gives %i", (app, ours) => {
    expect(after(keeperReady, ...appGone(app), timer("give up")).actions).toEqual([
      "the last sync did not end in time; what is not replicated stays on the volume (E_FINAL_SYNC)",
      toApp("SIGKILL"),
      toKeeper("SIGKILL"),
      exit(ours),
    ]);
  });

  it("takes a first stop signal for what is under way, and ends at a second", () => {
    expect(after(keeperReady, ...appGone(0), sigterm).actions).toEqual([]);
    expect(after(keeperReady, ...appGone(0), sigterm, sigterm).actions).toEqual([toKeeper("SIGKILL"), exit(UNSYNCED)]);
    expect(after(keeperReady, sigterm, ...appGone(143), sigterm).actions).toEqual([toKeeper("SIGKILL"), exit(143)]);
  });

  it("has no one to pass other signals on to", () => {
    expect(after(keeperReady, ...appGone(0), sigusr1).actions).toEqual([]);
  });

  it("passes over the limit of an app that is gone", () => {
    expect(after(keeperReady, sigterm, ...appGone(0), timer("kill app")).actions).toEqual([]);
  });
});

describe("the table, whatever comes in whatever order", () => {
  const random = seededRandom(20_250_117);
  const pick = <Value>(values: readonly Value[]): Value => {
    const value = values[Math.floor(random.unit() * values.length)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  };
  const events: readonly Event[] = [
    keeperReady,
    { kind: "keeper ready", ready: readyWithoutReplica },
    keeperEnded(0),
    keeperEnded(70),
    keeperEnded(FENCED),
    appEnded(0),
    appEnded(3),
    appEnded(3, 100_000),
    groupGone,
    { kind: "keeper ready", ready: { ...ready, restart: "on-failure" } },
    { kind: "keeper ready", ready: { ...ready, launch: undefined } },
    ...STOP_SIGNALS,
    sigusr1,
    timer("kill app"),
    timer("give up"),
    timer("restart keeper"),
    timer("restart app"),
  ];
  const isStop = (event: Event) => STOP_SIGNALS.includes(event);

  it("launches one app at a time, ends once, and does nothing after that", () => {
    for (let walk = 0; walk < 3000; walk++) {
      let state = INITIAL_STATE;
      const actions: Action[] = [];
      const history: string[] = [];
      let stopped = false;
      let appRuns = false;
      for (let step = 0; step < 20; step++) {
        const event = pick(events);
        history.push(JSON.stringify(event));
        const before = state.kind;
        const done = next(state, event);
        state = done.state;
        actions.push(...done.actions);
        const says = history.join("\n");
        if (before === "ended") expect(done.actions, says).toEqual([]);
        const exits = actions.filter(({ kind }) => kind === "exit").length;
        expect(exits, says).toBe(state.kind === "ended" ? 1 : 0);
        for (const { kind } of done.actions) {
          if (kind !== "launch app") continue;
          expect(appRuns, says).toBe(false);
          appRuns = true;
        }
        if (event.kind === "app ended") appRuns = false;
        stopped ||= isStop(event);
        const limited = actions.some((action) => action.kind === "set timer" && action.timer === "give up");
        if (stopped || state.kind === "finishing") expect(limited || state.kind === "ended", says).toBe(true);
        const status = done.actions.find((action) => action.kind === "exit")?.exitStatus;
        if (status !== undefined) expect(Number.isInteger(status) && status >= 0 && status < 256, says).toBe(true);
      }
    }
  });

  it("has one keeper at a time, and ends whenever it is told to, in a world that obeys it", () => {
    for (let walk = 0; walk < 5000; walk++) {
      let state = INITIAL_STATE;
      const world = {
        keeper: "coming up" as "coming up" | "ready" | "none",
        app: false,
        group: false,
        ready: {
          ...ready,
          replicating: pick([true, false]),
          restart: pick(["never", "on-failure"] as const),
          launch: pick([true, true, false]) ? launch : undefined,
        },
      };
      const timers: Timer[] = [];
      const history: string[] = [];
      let toldToStop = false;

      /** What could happen now. */
      const possible = (): readonly Event[] => {
        const list: Event[] = timers.map(timer);
        if (world.keeper === "coming up") {
          list.push({ kind: "keeper ready", ready: world.ready });
        }
        if (world.keeper !== "none") list.push(keeperEnded(pick([0, 70, FENCED, 137])));
        if (world.app) list.push(appEnded(pick([0, 3]), pick([5, 100_000])));
        if (world.group && !world.app) list.push(groupGone);
        list.push(toldToStop ? sigusr1 : pick(events.filter((event) => event.kind === "signal")));
        return list;
      };

      for (let step = 0; step < 200 && state.kind !== "ended"; step++) {
        const event = pick(possible());
        history.push(JSON.stringify(event));
        if (event.kind === "keeper ready") world.keeper = world.ready.replicating ? "ready" : world.keeper;
        if (event.kind === "keeper ended") world.keeper = "none";
        if (event.kind === "app ended") world.app = false;
        if (event.kind === "group gone") world.group = false;
        if (event.kind === "timer") timers.splice(timers.indexOf(event.timer), 1);
        toldToStop ||= isStop(event);
        const done = next(state, event);
        state = done.state;
        for (const action of done.actions) {
          history.push(`  ${JSON.stringify(action)}`);
          if (action.kind === "launch app") {
            expect(world.app, history.join("\n")).toBe(false);
            world.app = true;
          }
          if (action.kind === "end group") world.group = true;
          if (action.kind === "set timer") timers.push(action.timer);
          if (action.kind === "restart keeper") {
            expect(world.keeper, history.join("\n")).toBe("none");
            world.keeper = "coming up";
          }
        }
      }
      // Nothing else happens any more than that the timers run out.
      while (toldToStop && state.kind !== "ended") {
        const name = timers.shift();
        expect(name, history.join("\n")).toBeDefined();
        if (name === undefined) break;
        const done = next(state, timer(name));
        state = done.state;
        for (const action of done.actions) if (action.kind === "set timer") timers.push(action.timer);
      }
    }
  });
});
