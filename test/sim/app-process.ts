// The app of a simulation: it does to its database what apps do, one thing at a time, and tells which states it saw.
// Started by app.ts.

import Database from "better-sqlite3";
import { serve } from "./channel.ts";
import { imageHash } from "./image-hash.ts";

export type CheckpointMode = "PASSIVE" | "FULL" | "RESTART" | "TRUNCATE";

export type Action =
  | { readonly kind: "commit"; readonly rows: number; readonly bytes: number }
  /** Commits again and again, each time all pages anew. */
  | { readonly kind: "burst"; readonly times: number }
  | { readonly kind: "thin out" }
  | { readonly kind: "change schema" }
  | { readonly kind: "vacuum" }
  /** A transaction that does not fit into the cache: parts of it are in the log before it is committed, or never. */
  | { readonly kind: "spill"; readonly end: "commit" | "rollback" | "later" }
  | { readonly kind: "end"; readonly how: "commit" | "rollback" }
  | { readonly kind: "checkpoint"; readonly mode: CheckpointMode; readonly by: "writer" | "helper" }
  | { readonly kind: "autocheckpoint"; readonly frames: number }
  | { readonly kind: "begin to read" }
  | { readonly kind: "end reading" }
  /** All connections. The last one to close copies the log into the database and removes it. */
  | { readonly kind: "close" }
  | { readonly kind: "open" };

export type Question =
  | { readonly kind: "make"; readonly path: string; readonly pageSize: number; readonly autoVacuum: number }
  | { readonly kind: "open"; readonly path: string }
  | { readonly kind: "act"; readonly action: Action; readonly stamp: number }
  | { readonly kind: "look" }
  /** Lets all connections go as the end of the process would: nothing is checkpointed. */
  | { readonly kind: "vanish" }
  /** Keeps the next one that closes from being the last. */
  | { readonly kind: "guard"; readonly path: string }
  | { readonly kind: "end guard" };

export type Answer = {
  /** SQLite's word for why it was not done, such as SQLITE_BUSY. */
  readonly error: string | undefined;
  /** Hashes of the states that this led to, in turn; the present one where nothing changed but was looked. */
  readonly states: readonly string[];
  readonly isOpen: boolean;
  readonly isWriting: boolean;
  readonly isReading: boolean;
};

type Connections = ReturnType<typeof connect>;

/** Rows that stay when old ones are thinned out. */
const KEEP = 12;

let path = "";
let connections: Connections | undefined;
let guard: Database.Database | undefined;

function connect(file: string) {
  const open = () => {
    const database = new Database(file, { timeout: 0, fileMustExist: true });
    database.exec("PRAGMA cache_size = 10; PRAGMA wal_autocheckpoint = 0");
    return database;
  };
  // It only looks: what a writer has in its cache need not be what is in the files.
  const observer = open();
  const writer = open();
  observer.prepare("SELECT 1 FROM sqlite_schema").get();
  return { writer, helper: open(), reader: open(), observer, version: versionOf(observer) };
}

/** Changes when another connection has committed. */
function versionOf(observer: Database.Database): unknown {
  return observer.pragma("data_version", { simple: true });
}

function close(): void {
  const { writer, helper, reader, observer } = held();
  for (const database of [reader, helper, observer, writer]) database.close();
  connections = undefined;
}

function held(): Connections {
  if (connections === undefined) throw new Error("the app has no database open");
  return connections;
}

function stateNow(): string {
  return imageHash(held().observer.serialize());
}

function* perform(action: Action, stamp: number): Generator<void> {
  if (action.kind === "open") {
    connections ??= connect(path);
    return;
  }
  if (action.kind === "close") return close();
  const { writer, helper, reader } = held();
  const write = (rows: number, bytes: number) => {
    const insert = writer.prepare("INSERT INTO item (name, body) VALUES (?, ?)");
    for (let row = 0; row < rows; row += 1) insert.run(`item ${stamp}.${row}`, Buffer.alloc(bytes, `${stamp}`));
    writer.exec(`DELETE FROM item WHERE id <= (SELECT max(id) FROM item) - ${KEEP} AND id % 5 <> 0`);
  };
  switch (action.kind) {
    case "commit":
      writer.transaction(write).immediate(action.rows, action.bytes);
      return;
    case "burst":
      for (let time = 0; time < action.times; time += 1) {
        const fill = Buffer.alloc(200, `${stamp}.${time}`).toString();
        writer.prepare("UPDATE item SET body = substr(? || body, 1, length(body))").run(fill);
        yield;
      }
      return;
    case "thin out":
      writer.exec("DELETE FROM item WHERE id % 4 <> 0");
      return;
    case "change schema":
      writer.exec(
        `BEGIN IMMEDIATE; DROP TABLE IF EXISTS note; CREATE TABLE note AS SELECT ${stamp} AS stamp, * FROM item; COMMIT`,
      );
      return;
    case "vacuum":
      writer.exec("VACUUM");
      return;
    case "spill":
      writer.exec("BEGIN IMMEDIATE");
      write(30, 900);
      if (action.end !== "later") writer.exec(action.end);
      return;
    case "end":
      writer.exec(action.how);
      return;
    case "checkpoint": {
      const [row] = (action.by === "writer" ? writer : helper).pragma(`wal_checkpoint(${action.mode})`) as [
        { readonly busy: number },
      ];
      if (row.busy !== 0) throw Object.assign(new Error("busy"), { code: "SQLITE_BUSY" });
      return;
    }
    case "autocheckpoint":
      writer.pragma(`wal_autocheckpoint = ${action.frames}`);
      return;
    case "begin to read":
      reader.exec("BEGIN");
      reader.prepare("SELECT count(*) FROM item").get();
      return;
    case "end reading":
      reader.exec("COMMIT");
  }
}

/** Performs it, and looks after each commit. */
function act(action: Action, stamp: number): Pick<Answer, "error" | "states"> {
  const states: string[] = [];
  const look = () => {
    if (connections === undefined) return;
    const version = versionOf(connections.observer);
    if (version === connections.version) return;
    connections = { ...connections, version };
    states.push(stateNow());
  };
  try {
    for (const _ of perform(action, stamp)) look();
    look();
    return { error: undefined, states };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    const writer = connections?.writer;
    if (writer?.inTransaction && action.kind !== "spill" && action.kind !== "end") writer.exec("ROLLBACK");
    look(); // a commit may have been made by what failed after it
    return { error: code, states };
  }
}

function answer(question: Question): Pick<Answer, "error" | "states"> {
  const nothing = { error: undefined, states: [] };
  switch (question.kind) {
    case "make": {
      using made = closing(new Database(question.path));
      made.database.exec(
        `PRAGMA page_size = ${question.pageSize}; PRAGMA auto_vacuum = ${question.autoVacuum}; PRAGMA journal_mode = WAL;
        CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL); CREATE INDEX item_name ON item (name)`,
      );
      return nothing;
    }
    case "open":
      path = question.path;
      connections = connect(path);
      return { error: undefined, states: [stateNow()] };
    case "act":
      return act(question.action, question.stamp);
    case "look":
      return { error: undefined, states: [stateNow()] };
    case "vanish": {
      if (connections === undefined) return nothing;
      using _guard = closing(openGuard(path));
      const { writer } = connections;
      if (writer.inTransaction) writer.exec("ROLLBACK");
      close();
      return nothing;
    }
    case "guard":
      guard = openGuard(question.path);
      return nothing;
    case "end guard":
      guard?.close();
      guard = undefined;
      return nothing;
  }
}

/** A connection that only reads checkpoints nothing when it closes, and while it is there no other one does. */
function openGuard(file: string): Database.Database {
  const database = new Database(file, { readonly: true, timeout: 0 });
  database.prepare("SELECT 1 FROM sqlite_schema").get();
  return database;
}

function closing(database: Database.Database) {
  return { database, [Symbol.dispose]: () => void database.close() };
}

serve<Question, Answer>((question) => ({
  ...answer(question),
  isOpen: connections !== undefined,
  isWriting: connections?.writer.inTransaction ?? false,
  isReading: connections?.reader.inTransaction ?? false,
}));
