// An app's hold on a database, told over IPC what to do. Started by app.ts.

import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { commitNext } from "./workload.ts";

export type Request =
  | { readonly kind: "open"; readonly path: string; readonly timeoutMs: number }
  | { readonly kind: "exec"; readonly sql: string }
  | { readonly kind: "all"; readonly sql: string; readonly parameters: readonly SQLInputValue[] }
  | { readonly kind: "commit"; readonly times: number; readonly payloadBytes: number; readonly keep: number }
  | { readonly kind: "close" };

export type Answer = { readonly value: unknown } | { readonly error: string };

let database: DatabaseSync | undefined;

process.on("message", (request: Request) => {
  let answer: Answer;
  try {
    answer = { value: perform(request) };
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(answer, undefined, {}, () => {}); // a test that ended hears nothing any more
});

function perform(request: Request): unknown {
  if (request.kind === "open") {
    database = new DatabaseSync(request.path, { timeout: request.timeoutMs });
    database.exec("PRAGMA wal_autocheckpoint = 0");
    return undefined;
  }
  if (database === undefined) throw new Error("the app has no database open");
  switch (request.kind) {
    case "exec":
      return database.exec(request.sql);
    case "all":
      return database.prepare(request.sql).all(...request.parameters);
    case "commit": {
      let last = 0;
      for (let i = 0; i < request.times; i += 1) last = commitNext(database, request);
      return last;
    }
    case "close":
      return database.close();
  }
}
