// What Prisma says when it refuses to migrate, word for word: people search for these texts, and Prisma's
// documentation explains them.
// Source: Prisma 7.10, `migrate deploy`; https://www.prisma.io/docs/orm/reference/error-reference

/**
 * P3005: a strange database. P3009, P3018: a failed migration. P3015: no script. P3019: another database's history.
 * Of resolving: P3008, applied already. P3011, never tried. P3012, not failed. P3017, no such migration.
 */
export type PrismaCode = "P3005" | "P3008" | "P3009" | "P3011" | "P3012" | "P3015" | "P3017" | "P3018" | "P3019";

/** What SQLite answered beneath. */
export type SqliteAnswer = {
  /** Extended result code, such as 2067. */
  readonly extendedCode: number;
  readonly message: string;
};

/** The statement of a script that failed. */
export type FailedStatement = {
  /** Counted from 1, as is the line on which it begins. */
  readonly number: number;
  readonly line: number;
  readonly text: string;
};

/** A failure of migrating, with the message that Prisma has for it. */
export class PrismaError extends Error {
  /** Undefined where the database itself failed: Prisma has no code for that. */
  readonly code: PrismaCode | undefined;
  /** Name of the migration that failed, where it is one. */
  readonly migration: string | undefined;
  readonly sqlite: SqliteAnswer | undefined;
  readonly statement: FailedStatement | undefined;

  constructor(
    code: PrismaCode | undefined,
    message: string,
    details: {
      readonly migration?: string;
      readonly sqlite?: SqliteAnswer;
      readonly statement?: FailedStatement;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "PrismaError";
    this.code = code;
    this.migration = details.migration;
    this.sqlite = details.sqlite;
    this.statement = details.statement;
  }
}

export const SCHEMA_NOT_EMPTY =
  "The database schema is not empty. Read more about how to baseline an existing production database: https://pris.ly/d/migrate-baseline";

export const SCRIPT_NOT_FOUND =
  "Could not find the migration file at migration.sql. Please delete the directory or restore the migration file.";

/** P3009. `startedAt` as {@link formatStartedAt} gives it. */
export function failedMigrationsText(failed: readonly { readonly name: string; readonly startedAt: string }[]): string {
  return [
    "migrate found failed migrations in the target database, new migrations will not be applied. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve",
    ...failed.map(({ name, startedAt }) => `The \`${name}\` migration started at ${startedAt} failed`),
  ].join("\n");
}

/** P3018. Prisma stores this text with the migration, too. */
export function failedScriptText(migration: string, { extendedCode, message }: SqliteAnswer): string {
  return [
    "A migration failed to apply. New migrations cannot be applied before the error is recovered from. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve",
    `Migration name: ${migration}`,
    `Database error code: ${extendedCode}`,
    `Database error:\n${message}`,
  ].join("\n\n");
}

/** P3019, for the provider that the lock file names. */
export function otherProviderText(provider: string): string {
  return `The datasource provider \`sqlite\` specified in your schema does not match the one specified in the migration_lock.toml, \`${provider}\`. Please remove your current migration directory and start a new migration history with prisma migrate dev. Read more: https://pris.ly/d/migrate-provider-switch`;
}

/** A failure of the database outside of any script; it has no code. */
export function databaseErrorText(message: string): string {
  return `SQLite database error\n${message}`;
}
