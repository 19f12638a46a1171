// What every driver does alike. Each driver has a test file of its own, and so a process of its own.

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Connection, type Driver, isBusy, SqliteError } from "../../../src/sqlite/driver.ts";

export function describeDriver(name: Driver["name"], load: () => Promise<Driver>): void {
  describe(`the driver on ${name}`, () => {
    let directory: string;
    let path: string;
    let driver: Driver;

    beforeEach(async () => {
      driver = await load();
      directory = mkdtempSync(join(tmpdir(), "flysqlite-test-"));
      path = join(directory, "app.db");
      writeFileSync(path, "");
    });

    afterEach(() => {
      rmSync(directory, { recursive: true });
    });

    const open = (options: { readonly readOnly?: boolean; readonly busyTimeoutMs?: number } = {}): Connection =>
      driver.open(path, { busyTimeoutMs: 0, ...options });

    it("says what it is", () => {
      expect(driver.name).toBe(name);
      expect(driver.sqliteVersion).toMatch(/^3\.\d+\.\d+$/);
      using connection = open();
      expect(connection.all("SELECT sqlite_version() AS v")).toStrictEqual([{ v: driver.sqliteVersion }]);
    });

    it("gives rows as plain objects, with every type of value", () => {
      using connection = open();
      connection.exec("CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, n)");
      connection.all(
        "INSERT INTO t VALUES (?, ?, ?, ?, ?)",
        7n,
        1.5,
        'quoted "text" ☃',
        new Uint8Array([0, 255]),
        null,
      );
      const [row] = connection.all("SELECT i, r, s, n FROM t");
      expect(row).toStrictEqual({ i: 7, r: 1.5, s: 'quoted "text" ☃', n: null });
      const blob = connection.all("SELECT b FROM t")[0]?.["b"];
      expect(blob).toBeInstanceOf(Uint8Array);
      expect(blob instanceof Uint8Array && [...blob]).toEqual([0, 255]);
    });

    it("gives no rows for a statement that has none", () => {
      using connection = open();
      expect(connection.all("CREATE TABLE t (a)")).toEqual([]);
      expect(connection.all("INSERT INTO t VALUES (1)")).toEqual([]);
      expect(connection.all("SELECT a FROM t WHERE a > 1")).toEqual([]);
      expect(connection.all("INSERT INTO t VALUES (2) RETURNING a")).toStrictEqual([{ a: 2 }]);
    });

    it("runs several statements in one exec, up to the first that fails", () => {
      using connection = open();
      expect(() => connection.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1); nonsense; DROP TABLE t")).toThrow(
        SqliteError,
      );
      expect(connection.all("SELECT a FROM t")).toStrictEqual([{ a: 1 }]);
    });

    it("opens a file of any name", () => {
      for (const odd of ["file:x?mode=memory.db", "per%20cent#?.db", "ünï cødé.db", "-wal"]) {
        path = join(directory, odd);
        writeFileSync(path, "");
        using connection = open();
        connection.exec("CREATE TABLE t (a)");
        expect(statSync(path).size).toBeGreaterThan(0);
      }
    });

    it.each([
      ["that isn't there", () => join(directory, "missing.db")],
      ["in a directory that isn't there", () => join(directory, "missing", "app.db")],
    ])("refuses a file %s and makes none", (_, missing) => {
      for (const readOnly of [false, true]) {
        expect(codeOf(() => driver.open(missing(), { readOnly, busyTimeoutMs: 0 }))).toBe(14);
        expect(statSync(missing(), { throwIfNoEntry: false })).toBeUndefined();
      }
    });

    it.each(["", ":memory:"])("takes %j for a file's name", (special) => {
      expect(codeOf(() => driver.open(special, { busyTimeoutMs: 0 })) & 0xff).toBe(14);
    });

    it("refuses a directory", () => {
      const sub = join(directory, "sub");
      mkdirSync(sub);
      expect(codeOf(() => driver.open(sub, { busyTimeoutMs: 0 })) & 0xff).toBe(14);
    });

    it.each([
      ["a syntax error", 1, "nonsense"],
      ["a missing table", 1, "SELECT * FROM missing"],
      ["a double-quoted string", 1, 'SELECT "text"'],
      ["SQLITE_CONSTRAINT_UNIQUE", 2067, "INSERT INTO t (u) VALUES (1), (1)"],
      ["SQLITE_CONSTRAINT_PRIMARYKEY", 1555, "INSERT INTO t (id) VALUES (1), (1)"],
      ["SQLITE_CONSTRAINT_NOTNULL", 1299, "INSERT INTO t (required) VALUES (NULL)"],
      ["SQLITE_CONSTRAINT_CHECK", 275, "INSERT INTO t (checked) VALUES (-1)"],
      ["SQLITE_CONSTRAINT_FOREIGNKEY", 787, "INSERT INTO t (parent) VALUES (99)"],
      ["SQLITE_CONSTRAINT_TRIGGER", 1811, "DELETE FROM t"],
      ["SQLITE_MISMATCH", 20, "INSERT INTO t (id) VALUES ('x')"],
    ])("tells %s by its extended code %i", (_, code, sql) => {
      using connection = open();
      connection.exec(`
        CREATE TABLE t (
          id INTEGER PRIMARY KEY, u UNIQUE, required NOT NULL DEFAULT 0, checked CHECK (checked > 0), parent REFERENCES t
        );
        INSERT INTO t (id) VALUES (50);
        CREATE TRIGGER keep BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept'); END;
      `);
      expect(codeOf(() => connection.exec(sql))).toBe(code);
      expect(codeOf(() => connection.all(sql))).toBe(code);
    });

    it("tells a file that is no database", () => {
      writeFileSync(path, "This is some text, and longer than the hundred bytes of a header. ".repeat(20));
      using connection = open();
      expect(codeOf(() => connection.all("SELECT * FROM sqlite_schema"))).toBe(26);
    });

    it("tells a lock that another holds as busy, after the time it was told to wait", () => {
      using holder = open();
      using waiter = open({ busyTimeoutMs: 120 });
      holder.exec("CREATE TABLE t (a); BEGIN IMMEDIATE");
      const start = performance.now();
      const error = errorOf(() => waiter.exec("BEGIN IMMEDIATE"));
      expect(performance.now() - start).toBeGreaterThan(100);
      expect(error.extendedCode).toBe(5);
      expect(isBusy(error)).toBe(true);
      holder.exec("COMMIT");
      waiter.exec("BEGIN IMMEDIATE; COMMIT");
    });

    it("tells a transaction that began too early to write as busy", () => {
      using early = open();
      using other = open();
      other.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
      early.exec("BEGIN");
      early.all("SELECT * FROM t");
      other.exec("INSERT INTO t VALUES (1)");
      const error = errorOf(() => early.all("INSERT INTO t VALUES (2)"));
      expect(error.extendedCode).toBe(517);
      expect(isBusy(error)).toBe(true);
    });

    it("writes nothing when it is to read only, and leaves the write-ahead log when it closes last", () => {
      const writer = open();
      writer.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
      const reader = open({ readOnly: true });
      expect(reader.all("SELECT count(*) AS n FROM t")).toStrictEqual([{ n: 0 }]);
      expect(codeOf(() => reader.exec("INSERT INTO t VALUES (1)"))).toBe(8);
      writer.close();
      const before = statSync(`${path}-wal`);
      reader.close();
      const after = statSync(`${path}-wal`);
      expect([after.ino, after.size]).toEqual([before.ino, before.size]);
    });

    it("takes the write-ahead log into the database when it may write and closes last", () => {
      {
        using connection = open();
        connection.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
        expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
      }
      expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
    });

    it("can be closed twice, and then answers nothing", () => {
      const connection = open();
      connection.all("SELECT 1");
      connection.close();
      connection.close();
      connection[Symbol.dispose]();
      expect(codeOf(() => connection.all("SELECT 1"))).toBe(21);
      expect(codeOf(() => connection.exec("SELECT 1"))).toBe(21);
    });

    it("answers a repeated question anew", () => {
      using connection = open();
      const ask = () => connection.all("PRAGMA busy_timeout")[0]?.["timeout"];
      connection.all("PRAGMA busy_timeout = 10");
      expect(ask()).toBe(10);
      connection.all("PRAGMA busy_timeout = 20");
      expect(ask()).toBe(20);
      connection.all("PRAGMA busy_timeout = 10");
      expect(ask()).toBe(10);
    });

    it("reports the growing log at each wal_checkpoint(NOOP)", () => {
      using connection = open();
      connection.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
      const logged = () => Number(connection.all("PRAGMA wal_checkpoint(NOOP)")[0]?.["log"]);
      const first = logged();
      connection.all("INSERT INTO t VALUES (?)", 1);
      const second = logged();
      connection.all("INSERT INTO t VALUES (?)", 2);
      expect([second - first, logged() - second]).toEqual([1, 1]);
    });

    it("sees a table that changed between two runs of the same statement", () => {
      using connection = open();
      using other = open();
      connection.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
      expect(connection.all("SELECT * FROM t")).toStrictEqual([{ a: 1 }]);
      other.exec("ALTER TABLE t ADD COLUMN b DEFAULT 2");
      expect(connection.all("SELECT * FROM t")).toStrictEqual([{ a: 1, b: 2 }]);
      connection.exec("DROP TABLE t; CREATE TABLE t (c)");
      expect(connection.all("SELECT * FROM t")).toEqual([]);
    });

    it("runs a statement again after it failed, and more statements than it keeps", () => {
      using connection = open();
      connection.exec("CREATE TABLE t (a UNIQUE)");
      const insert = (value: number) => connection.all("INSERT INTO t VALUES (?)", value);
      insert(1);
      expect(codeOf(() => insert(1))).toBe(2067);
      insert(2);
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 100; n++) expect(connection.all(`SELECT ${n} AS n`)).toStrictEqual([{ n }]);
      }
      expect(connection.all("SELECT count(*) AS n FROM t")).toStrictEqual([{ n: 2 }]);
    });
  });
}

function errorOf(call: () => unknown): SqliteError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(SqliteError);
    if (error instanceof SqliteError) return error;
  }
  throw new Error("no error was thrown");
}

function codeOf(call: () => unknown): number {
  return errorOf(call).extendedCode;
}
