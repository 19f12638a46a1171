// An app of a few lines. Each start adds a row to its database, and so does its seed: what is in there tells how
// often either has run on this very file. GET /count gives {"starts", "seeds"}.
//
// Usage: node notes-app.mts serve|seed engine|adapter [URL]
//
// The file is the one that Prisma's client would open. "engine" is Prisma's own, up to version 6: from the schema's
// directory, and without the url's query. "adapter" is better-sqlite3's: from the working directory, query and all.
// Without URL, as it would stand in the schema or config, DATABASE_URL's value is taken.

import { createServer } from "node:http";
import { resolve } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";

const [task, client, literal] = process.argv.slice(2);
const file = (literal ?? process.env["DATABASE_URL"] ?? "").replace(/^file:/, "");
const path = client === "engine" ? resolve("prisma", file.replace(/\?.*/, "")) : resolve(file);
const database = new DatabaseSync(path, { timeout: 5000 });
database.prepare('INSERT INTO "Note" ("text") VALUES (?)').run(task ?? "");
if (task === "seed") process.exit(0);

const count = database.prepare(
  `SELECT count(*) FILTER (WHERE "text" = 'serve') AS starts, count(*) FILTER (WHERE "text" = 'seed') AS seeds FROM "Note"`,
);
const server = createServer((_, response) => response.end(JSON.stringify(count.get())));
server.listen(Number(process.env["PORT"]), "127.0.0.1", () => {
  process.stdout.write(`listening on http://127.0.0.1:${process.env["PORT"]}\n`);
});
process.on("SIGTERM", () => {
  database.close();
  process.exit(0);
});
