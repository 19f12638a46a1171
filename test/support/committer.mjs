// An app that commits one row after the other until it is gone, and notes each number once its commit has returned:
// outside of the database, where a lost volume does not take it along.
//
// Usage: node committer.mjs NOTES STATUS   ends with the status when it is told to; "default" leaves that to Node

import { appendFileSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";

const [, , notes = "", status = "0"] = process.argv;
const database = new DatabaseSync((process.env.DATABASE_URL ?? "").replace(/^file:/, ""), { timeout: 10_000 });
database.exec("PRAGMA synchronous = NORMAL");
const { count, last } = database.prepare('SELECT count(*) AS count, coalesce(max("id"), 0) AS last FROM "Note"').get();
process.stdout.write(`found ${count} rows, the last is ${last}\n`);

const insert = database.prepare('INSERT INTO "Note" ("text") VALUES (?)');
function commit() {
  appendFileSync(notes, `${insert.run("x".repeat(100)).lastInsertRowid}\n`);
}
const timer = setInterval(commit, 1);

if (status !== "default") {
  for (const name of ["SIGTERM", "SIGINT"]) {
    process.on(name, () => {
      clearInterval(timer);
      commit(); // a last one, as an app that answers what is under way
      database.close();
      process.exit(Number(status));
    });
  }
}
process.stdout.write("committing\n");
