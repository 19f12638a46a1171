import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import type { Settings } from "../../../src/config/settings.ts";
import { appEnvironment } from "../../../src/plan/app-environment.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import { makePlan, type Plan } from "../../../src/plan/plan.ts";
import { toTxid } from "../../../src/replica/ltx/txid.ts";
import {
  DATABASE,
  emptyReplica,
  firstStart,
  laterStart,
  lease,
  REPLICA,
  remembers,
  replicaUpTo,
  settings,
  v03Replica,
} from "./facts.ts";

const file = { kind: "file", sizeBytes: 4096, sameAsDatabase: false } as const;

function planned(facts: Facts, told: Settings = settings): Plan {
  const plan = makePlan(facts, told);
  if (!("lines" in plan)) throw new Error(`refused: ${plan.map(({ message }) => message).join("; ")}`);
  return plan;
}

function refused(facts: Facts): readonly FlysqliteError[] {
  const plan = makePlan(facts, settings);
  if ("lines" in plan) throw new Error("it was not refused");
  return plan;
}

/** "what, because why" of one step. */
function line(plan: Plan, step: string): string | undefined {
  const found = plan.lines.find((one) => one.step === step);
  return found && `${found.action}, because ${found.reason}`;
}

describe("makePlan", () => {
  it("has one line for each step, in the order in which they are done", () => {
    const steps = ["volume", "link", "restore", "migrate", "seed", "replicate", "launch"];
    for (const facts of [firstStart, laterStart, { ...firstStart, replica: replicaUpTo(7n) }]) {
      expect(planned(facts).lines.map(({ step }) => step)).toEqual(steps);
    }
  });

  it("plans a first start", () => {
    const plan = planned(firstStart);
    expect(plan.lines.map(({ action, reason }) => `${action}, because ${reason}`)).toEqual([
      "use /data, because default",
      "link /app/app.db to /data/app.db, because the schema says so",
      "nothing, because the volume has none, and no replica is configured",
      "apply 2 migrations, because the database is new",
      "run node seed.js, because the database is new",
      "nothing, because no replica is configured: lost with the volume, the data is lost",
      "/usr/bin/node server.js, because the command line",
    ]);
    expect(plan).toMatchObject({ copy: { kind: "create" }, seed: "node seed.js" });
  });

  it("plans a start that has nothing to do", () => {
    const replica = replicaUpTo(7n);
    const plan = planned({ ...laterStart, replica, state: remembers({ acked: 7n }) });
    expect(plan.lines.map(({ action, reason }) => `${action}, because ${reason}`)).toEqual([
      "use /data, because default",
      "nothing, because /app/app.db is linked",
      "nothing, because it is on the volume, and its replica is not ahead, 41 kB",
      "nothing, because all applied, 2 in the executable",
      "nothing, because the database exists",
      `to ${REPLICA} (--replica), because it continues from there`,
      "/usr/bin/node server.js, because the command line",
    ]);
    expect(plan.seed).toBeUndefined();
  });

  it.each([
    [
      "nobody has had it yet",
      { seen: undefined, memory: undefined, owner: undefined },
      "take the replica's, epoch 1, if",
    ],
    ["m2 released it", lease({ by: "another", state: "released" }), 'epoch 6, because machine "m2" released it'],
    ["this volume has it", lease({ by: "mine" }), "epoch 5, because this volume has it"],
    [
      "m2 has it",
      lease({ by: "another" }),
      'wait for the replica\'s for up to 1 min 0 s, then take it, because machine "m2", since 2026-11-24T09:30:00Z, ' +
        "epoch 5, has it",
    ],
  ])("says of the replica's lease what it will do where %s", (_, held, text) => {
    const plan = planned({ ...firstStart, replica: replicaUpTo(7n), lease: held });
    expect(line(plan, "lease")).toContain(text);
    expect(plan.lines.map(({ step }) => step).slice(0, 3)).toEqual(["volume", "lease", "link"]);
  });

  it("says that nobody asks for a lease where that was wanted", () => {
    const off = { ...settings, fence: { value: "off", source: "--fence" } } as const;
    expect(line(planned({ ...firstStart, replica: emptyReplica }, off), "lease")).toBe(
      "nothing: whether another machine writes there is not asked, because --fence",
    );
    expect(line(planned(firstStart, off), "lease")).toBeUndefined();
  });

  it("moves a stale database aside where it was told to, and says why", () => {
    const facts = { ...laterStart, replica: replicaUpTo(9n), state: remembers({ acked: 7n }) };
    expect(refused(facts)).toEqual([expect.objectContaining({ code: "E_DIVERGED" })]);
    const told = { ...settings, onStaleVolume: { value: "restore", source: "--on-stale-volume" } } as const;
    const plan = planned(facts, told);
    expect(line(plan, "restore")).toMatch(
      new RegExp(
        `^move ${DATABASE} aside, then restore ${DATABASE} from .*, because --on-stale-volume: .* goes on to `,
      ),
    );
    expect(line(plan, "migrate")).toBe("apply what the restored database lacks, because 2 in the executable");
    expect(plan).toMatchObject({ copy: { kind: "restore", stale: true }, seed: undefined });
  });

  it("restores, migrates what is lacking, and does not seed", () => {
    const plan = planned({ ...firstStart, replica: replicaUpTo(7n) });
    expect(line(plan, "restore")).toBe(
      `restore ${DATABASE} from ${REPLICA}, because the volume has no database, the replica has 1 objects`,
    );
    expect(line(plan, "migrate")).toBe("apply what the restored database lacks, because 2 in the executable");
    expect(line(plan, "seed")).toBe("nothing, because the database is restored, not created");
    expect(line(plan, "replicate")).toBe(`to ${REPLICA} (--replica), because it continues from there`);
  });

  it("restores what Litestream 0.3 wrote, and begins a history of its own beside it", () => {
    const plan = planned({ ...firstStart, replica: v03Replica("0123456789abcdef") });
    expect(line(plan, "restore")).toBe(
      `restore ${DATABASE} from ${REPLICA}, because the volume has no database, the replica has 2 objects`,
    );
    expect(line(plan, "replicate")).toBe(`to ${REPLICA} (--replica), because begins with a copy of the whole database`);
  });

  it("plans no restore that would fail half way through the start", () => {
    const [file] = replicaUpTo(7n).files;
    if (file === undefined) throw new Error("a replica without a file");
    const later = { ...file, min: toTxid(9n), max: toTxid(9n), key: "ltx/0/other.ltx" };
    const gap = { ...emptyReplica, files: [{ ...file, min: toTxid(2n) }, later], lastTxid: later.max };
    expect(refused({ ...firstStart, replica: gap }).map(({ code }) => code)).toEqual(["E_REPLICA_GAP"]);
    const betaKey = "generations/0123456789abcdef/snapshots/0000000000000000.snapshot.lz4";
    const beta = { ...emptyReplica, v03: { ...emptyReplica.v03, betaKey } };
    expect(refused({ ...firstStart, replica: beta }).map(({ code }) => code)).toEqual(["E_REPLICA_CORRUPT"]);
  });

  it("names the migrations that are pending", () => {
    const migrations = { kind: "pending", names: ["1_init", "2_more"], newDatabase: false } as const;
    expect(line(planned({ ...laterStart, migrations }), "migrate")).toBe(
      "apply 1_init, 2_more, because pending of 2 in the executable",
    );
  });

  it("tells how much a newer release has applied, and goes on", () => {
    const migrations = { kind: "up-to-date", changed: [], unknown: ["3_new", "4_newer"] } as const;
    expect(line(planned({ ...laterStart, migrations }), "migrate")).toBe(
      "nothing, because all applied, 2 in the executable, and 2 more by a newer release",
    );
  });

  it("puts a database back first that a start left half migrated", () => {
    const unfinished = { what: "migrate", names: ["2_more"], isNew: false } as const;
    const plan = planned({ ...laterStart, unfinished, migrations: undefined });
    expect(line(plan, "restore")).toBe(
      `put ${DATABASE} back to what it was before 2_more, because an earlier start was cut off there`,
    );
    expect(line(plan, "migrate")).toBe(
      "apply what the database lacks once it is put back, because 2 in the executable",
    );
    expect(plan).toMatchObject({ copy: { kind: "keep" }, seed: undefined });
  });

  it("seeds a database that is made and was not seeded to the end", () => {
    const unfinished = { what: "seed", names: ["node seed.js"], isNew: true } as const;
    const plan = planned({ ...laterStart, unfinished });
    expect(line(plan, "restore")).toMatch(/^put .* back to what it was before node seed.js, because /);
    expect(line(plan, "migrate")).toMatch(/^nothing, /);
    expect(plan.seed).toBe("node seed.js");
    expect(planned({ ...laterStart, unfinished: { ...unfinished, isNew: false } }).seed).toBeUndefined();
  });

  it("takes a file that it moves for an existing database: no seed, and what it lacks is applied", () => {
    const plan = planned({ ...firstStart, entry: file, replica: emptyReplica });
    expect(plan).toMatchObject({ copy: { kind: "keep", position: undefined }, seed: undefined });
    expect(line(plan, "link")).toMatch(/^move the file to the volume, then link/);
    expect(line(plan, "restore")).toBe("nothing, because it is moved to the volume");
    expect(line(plan, "migrate")).toBe("apply what the moved database lacks, because 2 in the executable");
    expect(line(plan, "seed")).toBe("nothing, because the database exists");
    expect(line(plan, "replicate")).toContain("begins with a copy of the whole database");
  });

  it("takes a file that it moves for an existing one also where making a new one was not finished", () => {
    expect(planned({ ...firstStart, entry: file, unborn: true })).toMatchObject({ copy: { kind: "keep" } });
  });

  it("moves no file in the place of a database that is lost", () => {
    const problems = refused({ ...firstStart, entry: file, state: remembers({ acked: 7n }) });
    expect(problems.map(({ code }) => code)).toEqual(["E_CONFIG"]);
  });

  it("tells the app by its variable where it reads one", () => {
    const url = { path: "/app/app.db", fileName: "app.db", source: "DATABASE_URL", variable: "DATABASE_URL" };
    const plan = planned({ ...firstStart, url });
    expect(line(plan, "link")).toBe(
      `set DATABASE_URL=file:${DATABASE} for the app, because DATABASE_URL holds the url`,
    );
    expect(
      appEnvironment({ DATABASE_URL: "file:./app.db", A: "1" }, { placement: plan.placement, shareAws: true }),
    ).toEqual({
      DATABASE_URL: `file:${DATABASE}`,
      A: "1",
    });
  });

  it("links nothing where the url leads to the volume", () => {
    expect(line(planned({ ...laterStart, entry: "on the volume" }), "link")).toBe(
      `nothing, because the schema leads to ${DATABASE}`,
    );
  });

  it("prefers the seed of the settings to the project's", () => {
    const told = { ...settings, seed: { value: "node other.js", source: "--seed" } };
    expect(planned(firstStart, told).seed).toBe("node other.js");
  });

  it("says so where there is no seed", () => {
    const { seed: _, ...manifest } = firstStart.manifest;
    expect(line(planned({ ...firstStart, manifest }), "seed")).toBe("nothing, because no seed is configured");
  });

  it("gives every reason why a start would fail, not only the first", () => {
    const migrations = {
      kind: "refused",
      code: "P3009",
      message: "failed migrations\n\nThe `2_more` failed",
      wayOut: "resolve it",
    } as const;
    const problems = refused({ ...laterStart, entry: { kind: "directory" }, migrations, replica: replicaUpTo(7n) });
    expect(problems.map(({ code }) => code)).toEqual(["E_DIVERGED", "E_LINK"]);
    const kept = refused({ ...laterStart, entry: { kind: "directory" }, migrations });
    expect(kept.map(({ code }) => code)).toEqual(["E_LINK", "E_MIGRATE"]);
    expect(kept[1]).toMatchObject({
      message: "Cannot migrate: P3009 failed migrations",
      problems: ["The `2_more` failed"],
    });
    for (const problem of kept) expect(problem).toBeInstanceOf(FlysqliteError);
  });

  it("has no say in the migrations of a database that is made anew", () => {
    const migrations = { kind: "refused", code: "P3009", message: "failed", wayOut: "" } as const;
    expect(planned({ ...laterStart, unborn: true, migrations })).toMatchObject({ copy: { kind: "create" } });
  });
});
