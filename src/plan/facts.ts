// What a start finds before it changes anything. Values only; steps/observe.ts looks, plan/plan.ts decides.

import type { MigrationDecision } from "../prisma/ledger.ts";
import type { Manifest } from "../prisma/manifest.ts";
import type { ReplicaContent } from "../replica/inspect.ts";
import type { LeaseFacts } from "../replica/lease/rules.ts";
import type { LtxHeader } from "../replica/ltx/header.ts";
import type { Txid } from "../replica/ltx/txid.ts";
import type { ReplicationState } from "../replica/state.ts";

export type DatabaseFile = {
  /** Where the database is, or will be: on the volume, absolute. */
  readonly path: string;
  /** "empty" is a file of zero bytes, as a crashed first open leaves it. */
  readonly state: "absent" | "empty" | "present";
  readonly sizeBytes: number;
  /** "-wal", "-shm", "-journal" files without a database beside them: SQLite would replay them into the next one. */
  readonly orphans: readonly string[];
  /** Other databases beside it that flysqlite keeps, by path; looked for where this one is not there. */
  readonly others?: readonly string[];
};

/** Litestream's own state beside the database, `.<name>-litestream`, as far as it tells whose copy this is. */
export type LitestreamState = {
  /** Litestream 0.3: the generation that it was writing. */
  readonly generation: string | undefined;
  /** Litestream 0.5: its last transaction; 0 where there is none. */
  readonly lastTxid: Txid;
};

/** What is at the place where the app looks for its database, when that place is not on the volume. */
export type Entry =
  | { readonly kind: "nothing" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly sizeBytes: number; readonly sameAsDatabase: boolean }
  | { readonly kind: "hard link" | "directory" | "other" };

/** How the app names its database. */
export type AppUrl = {
  /** Absolute path that the url leads to as things stand, before any link is followed. */
  readonly path: string;
  /** Name of the database's file: the path's last part, without what follows a question mark. */
  readonly fileName: string;
  /** Where the url was found: "DATABASE_URL", "the schema", "--database". */
  readonly source: string;
  /** The variable that the app reads it from, if it is one. */
  readonly variable: string | undefined;
};

/** The app's command, as it will be executed. */
export type AppCommand = {
  readonly file: string;
  readonly arguments: readonly string[];
  /** Variables that a package manager would have set for it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where it comes from, such as "the command line". */
  readonly source: string;
};

export type Unfinished = {
  readonly what: "migrate" | "seed";
  /** The migrations, or the seed's command. */
  readonly names: readonly string[];
  /** True where the database is new: a seed that is unfinished there is run again. */
  readonly isNew: boolean;
};

export type Facts = {
  readonly manifest: Manifest;
  /** "the executable" or "prisma/schema.prisma". */
  readonly manifestSource: string;
  readonly volume: { readonly path: string; readonly source: string; readonly isMountPoint: boolean };
  readonly url: AppUrl;
  readonly database: DatabaseFile;
  readonly entry: Entry | "on the volume";
  /** False where the directory of the app's database can't be written to. */
  readonly canLink: boolean;
  /**
   * Undefined where no replica is configured. An unreachable one never becomes a fact: observe() fails. Taken
   * for an empty one, it would start a second history beside the one that is there.
   */
  readonly replica: ({ readonly address: string; readonly source: string } & ReplicaContent) | undefined;
  /** A replica that is configured and was not asked, as there must be no network. `replica` is undefined then. */
  readonly unasked?: { readonly address: string; readonly source: string } | undefined;
  /** Who may write to it; undefined where there is no replica, or where that is not asked. */
  readonly lease: LeaseFacts | undefined;
  /** What this volume remembers of its replication. */
  readonly state: ReplicationState | undefined;
  /** Header of the replica's newest file; undefined where it was not looked at, as nothing hangs on it. */
  readonly newest: LtxHeader | undefined;
  /** What Litestream itself left beside the database, if it replicated here before. */
  readonly litestream: LitestreamState | undefined;
  /** True where a new database was being made here and its seed has not succeeded yet. */
  readonly unborn: boolean;
  /** What an earlier start left half changed. It is put back before this one looks any further. */
  readonly unfinished: Unfinished | undefined;
  /** Undefined where there is no database yet, or one that is to be put back first. */
  readonly migrations: MigrationDecision | undefined;
  /** The app's command, found. */
  readonly command: AppCommand;
};
