// A process that writes to a database until it is told to stop, and misbehaves as apps do.
// Usage: node writer.ts DATABASE ACKNOWLEDGED SEED [calm|chaos]

import { closeSync, openSync, writeSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "./random.ts";
import { commitNext } from "./workload.ts";

const [path = "", acknowledged = "", seed = "1", temper = "calm"] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const log = openSync(acknowledged, "a");
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

const open = () => {
  const database = new DatabaseSync(path, { timeout: 5000 });
  database.exec(`PRAGMA cache_size = 20; PRAGMA wal_autocheckpoint = ${1 + Math.floor(random.unit() * 400)}`);
  return database;
};

const CHAOS = [
  (database: DatabaseSync) => database.exec("PRAGMA wal_checkpoint(PASSIVE)"),
  (database: DatabaseSync) => database.exec("PRAGMA wal_checkpoint(FULL)"),
  (database: DatabaseSync) => database.exec("PRAGMA wal_checkpoint(RESTART)"),
  (database: DatabaseSync) => database.exec("PRAGMA wal_checkpoint(TRUNCATE)"),
  (database: DatabaseSync) => database.exec("VACUUM"),
  // Spills to the log without a commit, then takes it back.
  (database: DatabaseSync) =>
    database.exec(`BEGIN IMMEDIATE; CREATE TABLE spill AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300)
      SELECT x, randomblob(900) AS b FROM c; ROLLBACK`),
];

let database = open();
const round = () => {
  if (stopping) {
    database.close();
    closeSync(log);
    process.exit(0);
  }
  try {
    const burst = 1 + Math.floor(random.unit() * 20);
    for (let i = 0; i < burst; i += 1) {
      const n = commitNext(database, { payloadBytes: Math.floor(random.unit() ** 3 * 20_000), keep: 50 });
      writeSync(log, `${n}\n`);
    }
    if (temper === "chaos" && random.unit() < 0.2) CHAOS[Math.floor(random.unit() * CHAOS.length)]?.(database);
    if (temper === "chaos" && random.unit() < 0.05) {
      database.close();
      database = open();
    }
  } catch (error) {
    // A checkpoint or VACUUM may find the database busy; a commit that failed was never acknowledged.
    if (database.isTransaction) database.exec("ROLLBACK");
    if (!(error instanceof Error) || !/locked|busy/.test(error.message)) throw error;
  }
  setTimeout(round, random.unit() * 8);
};
round();
