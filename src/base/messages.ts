// What the supervisor and the keeper say to each other over base/line.ts.

/** The app, as it is to be started. */
export type Launch = {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
};

export type RestartPolicy = "never" | "on-failure";

export type FromKeeper = {
  /** The database is ready and, where it is replicated, held: the app may start. */
  readonly kind: "ready";
  /** Undefined where there is no app: we are here to replicate. */
  readonly launch: Launch | undefined;
  /** Whether an app that failed is started again, or is the platform's to restart. */
  readonly restart: RestartPolicy;
  /** False where nothing is replicated: the keeper has done its work, and ends. */
  readonly replicating: boolean;
  /** Time from a stop signal to our exit, in milliseconds. */
  readonly stopTimeoutMs: number;
  /** Directory of the database: where an addon may be put for a moment if nowhere else. */
  readonly databaseDirectory: string;
};

export type ToKeeper =
  /** The app was told to end: ship now what there is. */
  | { readonly kind: "sync" }
  /** The app is gone: ship the rest, then end with 0, or with E_FINAL_SYNC's status. */
  | { readonly kind: "finish" };
