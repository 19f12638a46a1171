// How a replica's levels are kept: said in config/, followed in replica/.
// Source: Litestream 0.5, "Configuration File": levels, snapshot, l0-retention, retention

export type LevelSettings = {
  /** How often each level is made of the one below it, from level 1 on, in milliseconds. */
  readonly intervalsMs: readonly number[];
  /** How often a copy of the whole database is added, in milliseconds. */
  readonly snapshotIntervalMs: number;
  /** For how long every point that was kept stays, in milliseconds. */
  readonly snapshotRetentionMs: number;
  /** For how long the files of single uploads stay once level 1 holds them, in milliseconds; 0 for ever. */
  readonly uploadRetentionMs: number;
  /** How often such files are looked for, in milliseconds. */
  readonly uploadRetentionCheckMs: number;
  /** False where nothing is to be deleted, since the bucket's own rules do it. */
  readonly deletes: boolean;
};

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Litestream's. */
export const DEFAULT_LEVELS: LevelSettings = {
  intervalsMs: [30 * SECOND_MS, 5 * MINUTE_MS, HOUR_MS],
  snapshotIntervalMs: 24 * HOUR_MS,
  snapshotRetentionMs: 24 * HOUR_MS,
  uploadRetentionMs: 5 * MINUTE_MS,
  uploadRetentionCheckMs: 15 * SECOND_MS,
  deletes: true,
};

/** Levels 1 to 8: 0 has the uploads, 9 the copies of the whole database. */
export const MAX_LEVELS = 8;
