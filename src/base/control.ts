// What the keeper says over its control socket, as docs/control.md describes it: HTTP with JSON, by which `status`
// and `sync`, and apps, speak to it. Fields that a keeper has nothing to say about are left out.

/** How the app is told the socket's path. It is no setting of ours. */
export const SOCKET_VARIABLE = "FLYSQLITE_SOCKET";

/** How long a sync waits where its caller doesn't say, in milliseconds. Litestream's. */
export const DEFAULT_SYNC_TIMEOUT_MS = 30_000;

/** Longest time that a caller may wait, in milliseconds. */
export const MAX_SYNC_TIMEOUT_MS = 600_000;

/** Whether what is committed would outlive the volume. */
export type Answer =
  /** Everything committed is in the replica. */
  | "safe"
  /** All but the last commits, which are on their way. */
  | "syncing"
  /** Commits wait for longer than they should. */
  | "not safe"
  /** No keeper runs for the database. */
  | "not replicated";

/** What a keeper answers to GET /status. */
export type Status = {
  readonly answer: Answer;
  /** The answer as a sentence, with its measure or reason. */
  readonly summary: string;
  readonly keeper: "running" | "stopping";
  /** flysqlite's own. */
  readonly version: string;
  /** Path of the database. */
  readonly database: string;
  /** Address of the replica. */
  readonly replica: string;
  /** The last transaction that is a file on the volume, or in the replica; ids are 16 hex digits. */
  readonly captured: string;
  /** The last transaction that the replica is known to hold. */
  readonly replicated: string;
  readonly waiting: Waiting;
  /** Everything that was committed before this time is in the replica: ISO 8601. */
  readonly replicatedUntil?: string;
  /**
   * Age of the oldest commit that is not in the replica, in milliseconds; 0 where there is none. At most, where
   * `replicatedUntil` is told; else at least.
   */
  readonly lagMs: number;
  /** From which lag on the answer is "not safe", in milliseconds. */
  readonly lagLimitMs: number;
  /** When the last upload was answered: ISO 8601. */
  readonly lastUpload?: string;
  /** What replication fails with; left out where the last try succeeded. */
  readonly lastError?: Trouble;
  readonly log?: LogSize;
  /** Where machines are kept from writing at the same time. */
  readonly lease?: LeaseStatus;
  /** What comes next for the replica's levels, the soonest first. */
  readonly upcoming?: readonly Upcoming[];
};

/** What the replica lacks. */
export type Waiting = {
  /** Transactions that wait on the volume as files. */
  readonly transactions: number;
  /** Size of these files, in bytes. */
  readonly bytes: number;
  /** Bytes of the log that are not in such files yet. */
  readonly uncapturedBytes: number;
  /** True where a copy of the whole database has to be made first, as at the beginning of a history. */
  readonly wholeDatabase: boolean;
};

export type Trouble = {
  readonly message: string;
  /** When it began: ISO 8601. */
  readonly since: string;
  /** Failures in a row. */
  readonly tries: number;
};

/** SQLite's write-ahead log. */
export type LogSize = {
  /** Size of its file, in bytes. */
  readonly bytes: number;
  readonly frames: number;
  /** Frames that are in the database file too. */
  readonly checkpointedFrames: number;
};

export type LeaseStatus = {
  /** Grows by one with each taking. */
  readonly epoch: number;
  /** "not renewed": for so long that another machine may have taken it; nothing counts as replicated meanwhile. */
  readonly state: "held" | "not renewed" | "lost";
};

export type Upcoming = {
  /** Such as "compact to level 1". */
  readonly task: string;
  /** When it is due: ISO 8601. */
  readonly time: string;
};

/** What `flysqlite status` finds by itself, where no keeper answers. */
export type OfflineStatus = {
  readonly answer: Extract<Answer, "not replicated">;
  readonly summary: string;
  /** "silent" for one that has the database and does not answer: it starts, ends, or hangs. */
  readonly keeper: "none" | "silent";
  readonly version: string;
  readonly database: string;
  /** Left out where there is no database. */
  readonly databaseBytes?: number;
  /** Left out where none is configured. */
  readonly replica?: string;
  /** The last transaction that this volume knows of. */
  readonly captured?: string;
  /** The replica's last transaction; left out where it has none, or does not answer. */
  readonly replicated?: string;
  /** Why the replica can't be asked. */
  readonly replicaError?: string;
  /** Commits on the volume that the replica lacks; left out where that can't be told. */
  readonly missingCommits?: number;
};

/** What a keeper answers to POST /sync, when everything that was committed before is in the replica. */
export type SyncAnswer = {
  readonly replica: string;
  /** The replica's last transaction: a restore to it has everything. */
  readonly replicated: string;
  readonly tookMs: number;
};

/** What a keeper answers where it can't do what it is asked. */
export type ControlFailure = {
  /** One of base/errors.ts. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
};
