// A workload whose result can be judged: each transaction writes its number and a hash over all before it, so
// that a restored database is right exactly when it is the state after some transaction k.

import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";

export const SCHEMA = `
  CREATE TABLE chain (n INTEGER PRIMARY KEY, hash TEXT NOT NULL, payload BLOB NOT NULL);
  CREATE INDEX chain_hash ON chain (hash);
  CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL, hash TEXT NOT NULL, digest TEXT NOT NULL);
  INSERT INTO head VALUES (1, 0, '', '');
`;

/** Makes a database in WAL mode with the workload's tables. */
export function makeDatabase(path: string, { pageSize = 4096 }: { readonly pageSize?: number } = {}): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL; ${SCHEMA}`);
}

/** The hash of transaction `n`, which follows `previous`. */
export function chainHash(n: number, previous: string): string {
  return createHash("sha256").update(`${n}:${previous}`).digest("hex");
}

/** Commits transaction `n`; old rows are thinned out, so that pages are freed and used again. */
export function commitNext(
  database: DatabaseSync,
  { payloadBytes, keep }: { readonly payloadBytes: number; readonly keep: number },
): number {
  database.exec("BEGIN IMMEDIATE");
  const head = database.prepare("SELECT n, hash FROM head").get() as { n: number; hash: string };
  const n = head.n + 1;
  const hash = chainHash(n, head.hash);
  database.prepare("INSERT INTO chain VALUES (?, ?, ?)").run(n, hash, Buffer.alloc(payloadBytes, hash));
  database.prepare("DELETE FROM chain WHERE n <= ? AND n % 10 <> 0").run(n - keep);
  database.prepare("UPDATE head SET n = ?, hash = ?, digest = ?").run(n, hash, digest(database));
  database.exec("COMMIT");
  return n;
}

/** What a look at the tables finds: the last transaction, or why the database is no state that ever was. */
export function judge(path: string): { readonly n: number } | { readonly wrong: string } {
  using database = new DatabaseSync(path);
  return judgeDatabase(database);
}

/** The same for a database that is open. */
export function judgeDatabase(database: DatabaseSync): { readonly n: number } | { readonly wrong: string } {
  const integrity = database.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
  if (integrity[0]?.integrity_check !== "ok") return { wrong: `integrity_check: ${integrity[0]?.integrity_check}` };
  const head = database.prepare("SELECT n, hash, digest FROM head").get() as {
    n: number;
    hash: string;
    digest: string;
  };
  let hash = "";
  for (let n = 1; n <= head.n; n += 1) hash = chainHash(n, hash);
  if (hash !== head.hash) return { wrong: `the chain breaks before transaction ${head.n}` };
  if (head.n > 0 && digest(database) !== head.digest)
    return { wrong: `the rows are not those after transaction ${head.n}` };
  return { n: head.n };
}

/** Says which rows there are; the payload follows from the hash, and is looked at by its sum. */
function digest(database: DatabaseSync): string {
  const { text } = database
    .prepare(
      "SELECT count(*) || ':' || coalesce(sum(n), 0) || ':' || coalesce(max(hash), '') || ':' || coalesce(sum(length(payload)), 0) AS text FROM chain",
    )
    .get() as { text: string };
  return text;
}
