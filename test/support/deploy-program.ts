// Deploys one directory of migrations to one database, for the corpus' own checker.
// Usage: node deploy-program.ts MIGRATIONS DATABASE

import { randomUUID } from "node:crypto";
import { applyMigrations } from "../../src/prisma/deploy.ts";
import { PrismaError } from "../../src/prisma/errors.ts";
import { listMigrations } from "../../src/prisma/migrations.ts";
import { createNodeSqliteDriver } from "../../src/sqlite/node-sqlite.ts";

const [migrations = "", path = ""] = process.argv.slice(2);
const driver = createNodeSqliteDriver({ doubleQuotedStrings: true });
try {
  const task = { ...listMigrations(migrations), path, driver };
  const names = applyMigrations({ ...task, now: Date.now, uuid: randomUUID, exclusive: true });
  process.stdout.write(`${names.join("\n")}\n`);
} catch (error) {
  if (!(error instanceof PrismaError)) throw error;
  process.stderr.write(`Error: ${error.code ?? ""}\n\n${error.message}\n`);
  process.exitCode = 1;
}
