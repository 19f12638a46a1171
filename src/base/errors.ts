// Every failure that flysqlite reports, by name. A code and its exit status are a promise to users and
// never change meaning; the hint says what to do. A broken invariant of our own is not in this list: `assert` it.

export type Failure = {
  /** Exit status. Follows sysexits.h, so that it stays clear of an app's own 1 and 2. */
  readonly exitStatus: number;
  /** What the reader can do about it: one line, no full stop. */
  readonly hint: string;
};

export const FAILURES = {
  E_USAGE: { exitStatus: 64, hint: "See `flysqlite --help`" },
  E_CONFIG: { exitStatus: 78, hint: "Fix the setting named above; `flysqlite run --dry` checks it" },
  E_SCHEMA: { exitStatus: 78, hint: 'flysqlite needs a Prisma schema whose datasource has provider = "sqlite"' },
  E_BUNDLE: { exitStatus: 65, hint: "Build the executable again with `npx flysqlite build`" },
  E_BUILD: { exitStatus: 70, hint: "Nothing was written; fix what is named above and build again" },
  E_VOLUME: {
    exitStatus: 72,
    hint: "Mount a writable volume at /data, or name its directory with --volume or FLYSQLITE_VOLUME",
  },
  E_LINK: { exitStatus: 73, hint: "Move one of the files named above out of the way, then start again" },
  E_COMMAND_NOT_FOUND: { exitStatus: 127, hint: "Check the image's CMD and that the program is in the image" },
  E_COMMAND_NOT_EXECUTABLE: { exitStatus: 126, hint: "Make it executable (chmod +x), or start it by its interpreter" },
  E_DB_INVALID: {
    exitStatus: 65,
    hint: "Nothing was changed; `flysqlite restore --force` puts the replica's copy there, and keeps this one aside",
  },
  E_REPLICA_UNREACHABLE: {
    exitStatus: 69,
    hint: "Check the replica's address and that it is mounted or reachable, then start again",
  },
  E_REPLICA_DENIED: { exitStatus: 77, hint: "Check the replica's credentials and permissions" },
  E_REPLICA_GAP: {
    exitStatus: 65,
    hint: "Bring the missing file back, or restore an earlier state with `flysqlite restore --txid` or `--timestamp`",
  },
  E_REPLICA_CORRUPT: { exitStatus: 65, hint: "Bring back a sound copy of the file named above" },
  E_RESTORE_SPACE: { exitStatus: 74, hint: "Make the volume larger, then start again" },
  E_DIVERGED: {
    exitStatus: 65,
    hint: "Decide which copy is right: move the volume's database aside to restore the replica, or name another replica",
  },
  E_MIGRATE: { exitStatus: 70, hint: "Fix the migration, build again and deploy, or deploy the release before" },
  E_SEED: { exitStatus: 70, hint: "Fix the seed; it runs again at the next start" },
  E_HOOK: { exitStatus: 70, hint: "Fix the command named above; the app was not started" },
  E_FENCED: {
    exitStatus: 76,
    hint: "One machine at a time may write to a replica: stop the other one. This volume keeps what it has",
  },
  E_FINAL_SYNC: { exitStatus: 75, hint: "The volume has every commit; start again on it and the rest is replicated" },
  E_SYNC: {
    exitStatus: 75,
    hint: "The volume has every commit; `flysqlite status` tells what keeps the rest from the replica",
  },
  E_NO_KEEPER: {
    exitStatus: 69,
    hint: "`flysqlite run` or `flysqlite replicate` has to run, as the same user, on the same machine",
  },
  E_INTERNAL: { exitStatus: 70, hint: "This is a defect of flysqlite: please report it with the lines above" },
} as const satisfies Record<string, Failure>;

export type FailureCode = keyof typeof FAILURES;

/**
 * A failure that a user can act on.
 *
 * The message says what could not be done and what was found, quotes strings, gives numbers their unit and
 * ends without a full stop. `problems` holds further lines where several things are wrong at once.
 */
export class FlysqliteError extends Error {
  readonly code: FailureCode;
  readonly problems: readonly string[];
  readonly exitStatus: number;
  readonly hint: string;

  constructor(
    code: FailureCode,
    message: string,
    options: { readonly cause?: unknown; readonly problems?: readonly string[]; readonly hint?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FlysqliteError";
    this.code = code;
    this.problems = options.problems ?? [];
    this.exitStatus = FAILURES[code].exitStatus;
    this.hint = options.hint ?? FAILURES[code].hint;
  }
}

/** Several failures at once, each of which alone would stop a start. */
export class Refusal extends Error {
  readonly failures: readonly [FlysqliteError, ...FlysqliteError[]];

  constructor(failures: readonly [FlysqliteError, ...FlysqliteError[]]) {
    super(failures.map(({ message }) => message).join("; "));
    this.name = "Refusal";
    this.failures = failures;
  }
}

/** What went wrong, as one of ours: a FlysqliteError is kept, anything else becomes E_INTERNAL. */
export function toFlysqliteError(error: unknown): FlysqliteError {
  if (error instanceof FlysqliteError) return error;
  return new FlysqliteError("E_INTERNAL", describe(error), { cause: error });
}

/** A failure of ours with a line more, and another way out if there is a better one; anything else as it is. */
export function withNote(error: unknown, note: string, wayOut?: string): unknown {
  if (!(error instanceof FlysqliteError)) return error;
  const { code, message, problems, hint, cause } = error;
  return new FlysqliteError(code, message, { problems: [...problems, note], hint: wayOut ?? hint, cause });
}

/** The text of anything that was thrown. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of a system error such as "ENOENT", or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
