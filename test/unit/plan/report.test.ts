import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FlysqliteError } from "../../../src/base/errors.ts";
import { renderReport, reportAsJson } from "../../../src/cli/render-report.ts";
import { listSettings } from "../../../src/config/list-settings.ts";
import type { Settings } from "../../../src/config/settings.ts";
import type { Facts } from "../../../src/plan/facts.ts";
import { planOffline } from "../../../src/plan/offline.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { type Inside, makeReport, refusedReport, type StartReport } from "../../../src/plan/report.ts";
import { emptyReplica, firstStart, laterStart, lease, remembers, replicaUpTo, settings, v03Replica } from "./facts.ts";

const user = { name: "node", source: "--user", isRoot: false, isKnown: true };
const replica = { value: { kind: "file", path: "/backup/app" }, source: "--replica" } as const;

function reportOf(facts: Facts, told: Partial<Settings> = {}, inside?: Inside): StartReport {
  const all = { ...settings, ...told };
  const { unasked } = facts;
  const planned = unasked === undefined ? makePlan(facts, all) : planOffline({ ...facts, unasked }, all);
  return makeReport({
    found: facts,
    inside,
    settings: listSettings(all),
    notes: all.notes,
    user,
    steps: "lines" in planned ? planned.lines : [],
    problems: "lines" in planned ? [] : planned,
  });
}

const lastMigration = { name: "2_more", startedAt: "2026-11-20 08:15:02 UTC" };
const usual = reportOf(
  {
    ...laterStart,
    replica: {
      ...replicaUpTo(0x4d2n),
      files: replicaUpTo(0x4d2n).files.map((file) => ({ ...file, modifiedMs: 60_000 })),
    },
    state: remembers({ acked: 0x4d2n }),
    lease: lease({ by: "mine", state: "released" }),
  },
  {
    replica,
    fence: { value: "required", source: "FLYSQLITE_FENCE" },
    notes: ['litestream.yml:3: "exec" is not followed by this release'],
  },
  { journalMode: "wal", lastMigration },
);

const offline: Facts = { ...firstStart, unasked: { address: "s3://bucket/app", source: "BUCKET_NAME" } };

describe("the report of a start", () => {
  it("has the facts first, then the plan, then how the start would end", () => {
    expect(renderReport(usual, 245_000)).toBe(
      `volume      /data (default), a mount point
database    /data/app.db, 41 kB, in WAL mode, last migration 2_more (2026-11-20 08:15:02 UTC)
link        the app opens /app/app.db (the schema): a link to /data/app.db
replica     file:///backup/app (--replica), LTX files up to transaction 00000000000004d2, 1 object of 100 B, the newest 3 min 5 s old
lease       epoch 4, released by machine "m1"
migrations  2 in the executable, all applied
seed        node seed.js (the executable)
command     /usr/bin/node server.js (the command line)
user        node (--user)
setting     --fence required (FLYSQLITE_FENCE)
no effect   litestream.yml:3: "exec" is not followed by this release

1. volume     use /data
              because: default
2. lease      take the replica's, epoch 5
              because: machine "m1" released it
3. link       nothing
              because: /app/app.db is linked
4. restore    nothing
              because: it is on the volume, and its replica is not ahead, 41 kB
5. migrate    nothing
              because: all applied, 2 in the executable
6. seed       nothing
              because: the database exists
7. replicate  to file:///backup/app (--replica)
              because: it continues from there
8. launch     /usr/bin/node server.js
              because: the command line

A start would go ahead
`,
    );
  });

  it("says at the first start what is not there yet, and names each migration", () => {
    const lines = renderReport(reportOf(firstStart), 0).split("\n");
    expect(lines.slice(0, 10)).toEqual([
      "volume      /data (default), a mount point",
      "database    /data/app.db, not there",
      "link        the app opens /app/app.db (the schema): nothing there yet",
      "replica     none: lost with the volume, the data is lost",
      "migrations  2 in the executable, 2 pending",
      "            1_init",
      "            2_more",
      "seed        node seed.js (the executable)",
      "command     /usr/bin/node server.js (the command line)",
      "user        node (--user)",
    ]);
  });

  it("says without the network what was not looked at, and what hangs on it", () => {
    const report = reportOf(offline, { replica });
    expect(report).toMatchObject({ ok: true, replica: { state: "not asked" }, lease: { state: "not asked" } });
    const text = renderReport(report, 0);
    expect(text).toContain("replica     s3://bucket/app (BUCKET_NAME), not asked\n");
    expect(text).toContain("not seen    the replica s3://bucket/app: --offline\n");
    expect(text).toContain(
      "restore /data/app.db from s3://bucket/app, if that holds its history; else make a new database\n",
    );
    expect(text).toContain("run node seed.js, if the database is made anew\n");
    expect(text).toMatch(/\nA start would go ahead, as far as was looked\n$/);
  });

  it("tells all that was found although the start is refused, and with which status", () => {
    const refusal = new FlysqliteError("E_VOLUME", "Cannot find the volume");
    const found = { manifest: firstStart.manifest, manifestSource: "the executable", command: firstStart.command };
    const rows = listSettings({ ...settings, replica });
    const report = makeReport({
      found,
      inside: undefined,
      settings: rows,
      notes: [],
      user: { ...user, isKnown: false },
      steps: [],
      problems: [refusal, new FlysqliteError("E_LINK", "Cannot link")],
    });
    expect(renderReport(report, 0)).toBe(
      `replica     configured (--replica), and nothing can be told of it
migrations  2 in the executable, which are pending shows once the database is there
seed        node seed.js (the executable)
command     /usr/bin/node server.js (the command line)
user        node (--user), whom this system does not know

A start would be refused with status 72: 2 problems
`,
    );
  });

  it.each<[string, Partial<Facts>, object]>([
    ["empty", { replica: emptyReplica }, { state: "empty", address: "file:///backup/app" }],
    ["Litestream 0.3's", { replica: v03Replica("0123456789abcdef") }, { state: "history", format: "v03", objects: 2 }],
  ])("knows a replica that is %s", (_, changed, expected) => {
    expect(reportOf({ ...firstStart, ...changed }, { replica }).replica).toMatchObject(expected);
  });

  it("takes the time of the newest state, and not of a newer merge of older ones", () => {
    const [file] = replicaUpTo(5n).files;
    if (file === undefined) throw new Error("there is no file");
    const merged = { ...file, level: 1, modifiedMs: 9_000 };
    const facts = { ...firstStart, replica: { ...replicaUpTo(5n), files: [{ ...file, modifiedMs: 1_000 }, merged] } };
    expect(reportOf(facts, { replica }).replica).toMatchObject({ newest: "1970-01-01T00:00:01.000Z" });
  });

  it("says who has the lease", () => {
    const held = lease({ by: "another" });
    const report = reportOf({ ...firstStart, replica: emptyReplica, lease: held }, { replica });
    const expected = { state: "held", machine: "m2", epoch: 5, since: "2026-11-24T09:30:00.000Z" };
    expect(report.lease).toEqual(expected);
    expect(renderReport(report, 0)).toContain('epoch 5, held by machine "m2" since 2026-11-24T09:30:00.000Z\n');
  });

  it("can't be made to fake a line by what a file is named", () => {
    const facts = { ...firstStart, command: { ...firstStart.command, arguments: ["-e", "1\nA start would go ahead"] } };
    expect(renderReport(reportOf(facts), 0)).toContain(
      "/usr/bin/node -e 1 | A start would go ahead (the command line)\n",
    );
  });
});

describe("a report's warnings", () => {
  it("are those of the right copy, and migrations that were changed after they were applied", () => {
    const migrations = { kind: "up-to-date", changed: ["1_init"], unknown: [] } as const;
    const state = remembers({ acked: 5n });
    const facts = { ...laterStart, migrations, state, replica: emptyReplica };
    const { warnings } = makeReport({
      found: facts,
      inside: undefined,
      settings: [],
      notes: [],
      warning: "the replica is empty now",
      user,
      steps: [],
      problems: [],
    });
    expect(warnings).toEqual(["the replica is empty now", "changed since they were applied: 1_init"]);
  });
});

describe("a plan without the network", () => {
  it("keeps the database that is on the volume, and says that the replica may be ahead", () => {
    const { steps } = reportOf({ ...laterStart, unasked: offline.unasked });
    expect(steps.find(({ step }) => step === "restore")?.action).toBe(
      "nothing, unless the replica is ahead of the volume",
    );
    expect(steps.find(({ step }) => step === "migrate")?.action).toBe("nothing");
  });

  it("still refuses what the volume alone shows to be wrong", () => {
    const entry = { kind: "directory" } as const;
    const refused = { kind: "refused", code: "P3009", message: "failed", wayOut: "resolve it" } as const;
    const report = reportOf({ ...laterStart, entry, migrations: refused, unasked: offline.unasked });
    expect(report.problems.map(({ code }) => code)).toEqual(["E_LINK", "E_MIGRATE"]);
    expect(report).toMatchObject({ ok: false, exitStatus: 73, steps: [] });
  });
});

/** The paths of all fields: "database.path", "steps[].action". */
function pathsOf(value: unknown, path = ""): readonly string[] {
  if (Array.isArray(value)) {
    const paths = value.flatMap((item) => pathsOf(item, `${path}[]`));
    return paths.some((one) => one !== `${path}[]`) ? paths : [path];
  }
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, path === "" ? name : `${path}.${name}`));
}

it("docs/plan.md describes every field of the JSON, and none that there is not", () => {
  const document = readFileSync(join(import.meta.dirname, "../../../docs/plan.md"), "utf8");
  const [, section = ""] = /^## JSON of `run --dry --json`$([\s\S]*?)^## /m.exec(document) ?? [];
  const described = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, path = ""]) => path);
  const refused = refusedReport([new FlysqliteError("E_CONFIG", "wrong", { problems: ["a"] })]);
  const variable = { ...firstStart, url: { ...firstStart.url, variable: "DATABASE_URL" } };
  const paths = [usual, refused, reportOf(variable)].flatMap((report) => pathsOf(reportAsJson(report)));
  // Where a list is empty its items have no fields to tell.
  const fields = new Set(paths.filter((path) => !["settings", "steps", "problems"].includes(path)));
  expect(described.toSorted()).toEqual([...fields].toSorted());
});
