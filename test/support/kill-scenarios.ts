// What may be killed anywhere while it works on a volume, and what the next start must come to.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { BARE } from "./box.ts";
import { fingerprint } from "./fingerprint.ts";
import { findKillPoints, type KillPoint, killAt, type Run, runThrough, type Victim } from "./kill-points.ts";
import { type Files, INIT, prisma6, writeFiles } from "./project.ts";
import { temporaryDirectory } from "./temporary.ts";

export type Scenario = {
  readonly name: string;
  /** What flysqlite is asked. */
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The journal mode of the database that is there; undefined where there is none yet. */
  readonly journal: "wal" | "delete" | undefined;
  /** The migration that is pending. */
  readonly pending: string;
  /** True where it fails, so that the database must be as it was. */
  readonly fails: boolean;
};

const NEXT = "20250201000000_next";

const WORKS = `
CREATE TABLE "new_Note" ("id" INTEGER NOT NULL PRIMARY KEY, "text" TEXT NOT NULL, "by" TEXT);
INSERT INTO "new_Note" ("id", "text") SELECT "id", "text" FROM "Note";
DROP TABLE "Note"; ALTER TABLE "new_Note" RENAME TO "Note"; CREATE INDEX "Note_by" ON "Note" ("by");
`;
const FAILS = `DELETE FROM "Note" WHERE "id" > 1; ${WORKS} DROP TABLE "Nope";`;
const ALONE = "PRAGMA journal_mode = DELETE;";

const migrate = { words: ["migrate"] } as const;

export const SCENARIOS: readonly Scenario[] = [
  { ...migrate, name: "a migration that works", journal: "wal", pending: WORKS, fails: false },
  { ...migrate, name: "a migration that fails", journal: "wal", pending: FAILS, fails: true },
  { ...migrate, name: "one that works, with a rollback journal", journal: "delete", pending: WORKS, fails: false },
  { ...migrate, name: "one that fails, with a rollback journal", journal: "delete", pending: FAILS, fails: true },
  { ...migrate, name: "one that works, with a copy", journal: "wal", pending: `${ALONE}${WORKS}`, fails: false },
  { ...migrate, name: "one that fails, with a copy", journal: "wal", pending: `${ALONE}${FAILS}`, fails: true },
  {
    name: "a new database and its seed",
    words: ["run", "true"],
    environment: { FLYSQLITE_SEED: "node seed.mjs" },
    journal: undefined,
    pending: WORKS,
    fails: false,
  },
  {
    name: "a migration of a database that is replicated",
    words: ["run", "true"],
    environment: { FLYSQLITE_REPLICA: "file://VOLUME/../replica" },
    journal: "wal",
    pending: WORKS,
    fails: false,
  },
];

const SEED = `
import { DatabaseSync } from "node:sqlite";
const database = new DatabaseSync(process.env.DATABASE_URL.replace("file:", ""), { timeout: 5000 });
for (const text of ["one", "two"]) database.prepare('INSERT INTO "Note" ("text") VALUES (?)').run("seed " + text);
`;

/** A directory with an app in "app", its volume in "volume", and how flysqlite is run there. */
type World = { readonly directory: string; readonly path: string; readonly run: Run };

function world(scenario: Scenario, directory: string): World {
  const volume = join(directory, "volume");
  const path = join(volume, "app.db");
  const told = Object.entries(scenario.environment ?? {}).map(([name, value]) => [
    name,
    value.replace("VOLUME", volume),
  ]);
  const environment = {
    PATH: process.env["PATH"],
    DATABASE_URL: `file:${path}`,
    FLYSQLITE_VOLUME: volume,
    FLYSQLITE_REPLICA: "none",
    ...Object.fromEntries(told),
  };
  return {
    directory,
    path,
    run: { file: BARE, words: scenario.words, directory: join(directory, "app"), environment },
  };
}

const MIGRATIONS = "prisma/migrations";

function appFiles(): Files {
  return { ...prisma6('env("DATABASE_URL")'), "seed.mjs": SEED };
}

/** The state that each try begins with. */
function prepare(scenario: Scenario, directory: string): void {
  const { path, run } = world(scenario, directory);
  mkdirSync(join(directory, "volume"), { recursive: true });
  mkdirSync(join(directory, "replica"));
  writeFiles(run.directory, appFiles());
  if (scenario.journal !== undefined) {
    expectStatus(runThrough(run), 0);
    fill(path, scenario.journal);
    expectStatus(runThrough({ ...run, words: ["migrate"] }), 0);
  }
  writeFiles(run.directory, { [`${MIGRATIONS}/${NEXT}/migration.sql`]: scenario.pending });
}

/** Commits rows as an app would that is then killed: its log stays. */
function fill(path: string, journal: "wal" | "delete"): void {
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(process.argv[1]);
    database.exec("PRAGMA journal_mode = " + process.argv[2]);
    for (let i = 0; i < 50; i += 1) database.exec('INSERT INTO "Note" ("text") VALUES (hex(zeroblob(200)))');
    process.kill(process.pid, "SIGKILL");
  `;
  spawnSync(process.execPath, ["-e", script, path, journal], { stdio: "inherit" });
}

function expectStatus({ status, output }: ReturnType<typeof runThrough>, expected: number): void {
  if (status !== expected) throw new Error(`ended with ${status}, not ${expected}: ${output}`);
}

/** A scenario ready to be tried many times. */
export type Prepared = Disposable & {
  /**
   * What two runs that nobody disturbs have in common, so few depend on chance: names have random parts, and where
   * the app ends at once, a snapshot may or may not have begun. "~" stands for a try's directory.
   */
  readonly points: readonly KillPoint[];
  /** Kills, and starts again. Tells whether the point was reached, and what is wrong then, if anything is. */
  try(point: KillPoint, victim: Victim): Promise<{ readonly reached: boolean; readonly wrong: string | undefined }>;
};

export async function prepareScenario(scenario: Scenario): Promise<Prepared> {
  const place = temporaryDirectory();
  const base = join(place.path, "base");
  mkdirSync(base);
  prepare(scenario, base);
  let tries = 0;
  /** A copy to be spoiled. */
  const copy = () => {
    tries += 1;
    const directory = join(place.path, `try-${tries}`);
    cpSync(base, directory, { recursive: true, preserveTimestamps: true });
    return world(scenario, directory);
  };
  const find = async () => {
    const { directory, run } = copy();
    const found = await findKillPoints(run, [join(directory, "volume")], scenario.fails ? 70 : 0);
    return found.map((point) => ({ ...point, path: point.path.replace(directory, "~") }));
  };
  const [once, again] = [await find(), await find()];
  const points = once.filter((point) => again.some((other) => isDeepStrictEqual(point, other)));
  return {
    points,
    async try(point, victim) {
      const here = copy();
      const path = point.path.replace("~", here.directory);
      const reached = await killAt({ ...point, path }, victim, here.run);
      const wrong = reached ? judge(scenario, here) : undefined;
      rmSync(here.directory, { recursive: true });
      return { reached, wrong };
    },
    [Symbol.dispose]: () => place[Symbol.dispose](),
  };
}

/** Starts again, and tells what is wrong with what that comes to. */
function judge(scenario: Scenario, { path, run }: World): string | undefined {
  const again = runThrough(run);
  if (scenario.fails) {
    if (again.status !== 70) return `the next start ended with ${again.status}: ${again.output}`;
    if (!again.output.includes("is as it was before"))
      return `the next start does not say what is left: ${again.output}`;
    const left = leftovers(path);
    if (left !== undefined) return left;
    const undone = undoneWell(path);
    if (undone !== undefined) return undone;
    writeFiles(run.directory, { [`${MIGRATIONS}/${NEXT}/migration.sql`]: WORKS });
    const corrected = runThrough(run);
    if (corrected.status !== 0) return `the corrected release ended with ${corrected.status}: ${corrected.output}`;
  } else if (again.status !== 0) return `the next start ended with ${again.status}: ${again.output}`;
  return leftovers(path) ?? finishedWell(scenario, path, run);
}

function leftovers(path: string): string | undefined {
  const state = join(path, `../.app.db-flysqlite`);
  const found = ["unfinished.json", "restore-point.db", "unborn", "new.db"].filter((name) =>
    existsSync(join(state, name)),
  );
  return found.length === 0 ? undefined : `left behind: ${found.join(", ")}`;
}

const ROWS = 50;

function undoneWell(path: string): string | undefined {
  const { integrity, schema, rows } = fingerprint(path);
  const tables = rows as Record<string, readonly unknown[]>;
  if (!isDeepStrictEqual(integrity, [{ integrity_check: "ok" }])) return `integrity: ${JSON.stringify(integrity)}`;
  if (tables["Note"]?.length !== ROWS) return `${tables["Note"]?.length} rows are there, not ${ROWS}`;
  if (JSON.stringify(schema).includes("Note_by")) return "the failed migration's index is there";
  const ledger = tables["_prisma_migrations"] as readonly Record<string, unknown>[];
  if (ledger.length !== 1 || ledger[0]?.["migration_name"] !== INIT) return `the ledger has ${ledger.length} rows`;
  return undefined;
}

function finishedWell(scenario: Scenario, path: string, run: Run): string | undefined {
  const { integrity, schema, rows } = fingerprint(path);
  const tables = rows as Record<string, readonly Record<string, unknown>[]>;
  if (!isDeepStrictEqual(integrity, [{ integrity_check: "ok" }])) return `integrity: ${JSON.stringify(integrity)}`;
  if (!JSON.stringify(schema).includes("Note_by")) return "the migration's index is missing";
  const texts = tables["Note"]?.map((row) => String(row["text"])) ?? [];
  const seeds = texts.filter((text) => text.startsWith("seed "));
  if (scenario.journal === undefined) {
    if (!isDeepStrictEqual(texts, ["seed one", "seed two"])) return `it is seeded with ${JSON.stringify(texts)}`;
  } else if (texts.length !== ROWS || seeds.length > 0) return `${texts.length} rows are there, not ${ROWS}`;
  const ledger = tables["_prisma_migrations"] ?? [];
  const names = ledger.filter((row) => row["finished_at"] !== null).map((row) => row["migration_name"]);
  if (!isDeepStrictEqual(names, [INIT, NEXT]) || ledger.length !== 2) return `the ledger is ${JSON.stringify(ledger)}`;
  if (run.environment["FLYSQLITE_REPLICA"] === "none") return undefined;
  return replicaIsTheSame(path, run);
}

/** What the replica alone gives back. */
function replicaIsTheSame(path: string, run: Run): string | undefined {
  const output = join(path, "../../restored.db");
  const restored = runThrough({ ...run, words: ["restore", "-o", output, "--integrity", "full"] });
  if (restored.status !== 0) return `the replica can't be restored: ${restored.output}`;
  const same = isDeepStrictEqual(fingerprint(output).rows, fingerprint(path).rows);
  rmSync(output);
  return same ? undefined : "the replica holds something else than the volume";
}
