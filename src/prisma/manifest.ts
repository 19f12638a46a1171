// What an executable knows of its app: made at build time, read at every start.

/** Where the app's database is, as its Prisma schema or config says it. */
export type UrlRule = {
  /** Name of the environment variable that holds the url, where the schema or config names one. */
  readonly variable?: string;
  /** The url that stands there literally, or that the config falls back to: "file:./dev.db". */
  readonly literal?: string;
  /**
   * Directory that a relative url counts from, itself relative to the app's directory: "." with Prisma 7, whose
   * adapters open the file from the working directory; the schema's directory with Prisma 6 and older.
   */
  readonly baseDirectory: string;
};

export type BundledMigration = {
  /** Name of the directory, such as "20240105093000_init". */
  readonly name: string;
  /** SHA-256 of the script, 64 lower case hex digits, as Prisma computes it. */
  readonly checksum: string;
};

export type Manifest = {
  readonly formatVersion: 1;
  /** Version of the flysqlite that made it. */
  readonly flysqliteVersion: string;
  /** package.json#name of the app, if it has one. */
  readonly appName?: string;
  /** Major version of Prisma: 5, 6 or 7. */
  readonly prismaMajor: number;
  readonly database: UrlRule;
  /** In the order in which Prisma applies them. */
  readonly migrations: readonly BundledMigration[];
  /** The seed command, as the config or package.json has it. */
  readonly seed?: string;
  /** package.json#scripts.start, which runs when the image gives no command. */
  readonly start?: string;
};

/** A migration with its script, as read from the bundle. `sql` is undefined where the directory has no migration.sql. */
export type Migration = { readonly name: string; readonly sql: string | undefined };
