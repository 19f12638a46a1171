// Prepared statements of one connection, kept for the SQL that comes again and again.

/** More than a process of ours repeats; a statement holds a few KB. */
const MAX_STATEMENTS = 32;

/**
 * SQL whose prepared form may be run again. Most pragmas act when they are prepared, so that a second run would do
 * nothing, or tell what was true the first time; the two named here act when they run.
 * Source: https://sqlite.org/pragma.html, "Some pragmas run during the SQL compilation stage"
 */
const REPEATABLE =
  /^\s*(?:(?:SELECT|WITH|INSERT|UPDATE|DELETE|BEGIN|COMMIT|ROLLBACK)\b|PRAGMA\s+(?:\w+\s*\.\s*)?(?:wal_checkpoint|data_version)\b)/i;

/** Gives the statement for some SQL, made by `prepare` where it isn't kept from an earlier call. */
export type StatementCache<Statement> = (sql: string) => Statement;

export function createStatementCache<Statement>(prepare: (sql: string) => Statement): StatementCache<Statement> {
  const statements = new Map<string, Statement>(); // in order of last use
  return (sql) => {
    const kept = statements.get(sql);
    if (kept !== undefined) {
      statements.delete(sql);
      statements.set(sql, kept);
      return kept;
    }
    const made = prepare(sql);
    if (!REPEATABLE.test(sql)) return made;
    statements.set(sql, made);
    if (statements.size > MAX_STATEMENTS) {
      for (const oldest of statements.keys()) {
        statements.delete(oldest);
        break;
      }
    }
    return made;
  };
}
