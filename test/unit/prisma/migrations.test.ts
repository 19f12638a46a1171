import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checksum, listMigrations, lockedProvider } from "../../../src/prisma/migrations.ts";

describe("listMigrations", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "flysqlite-migrations-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const add = (name: string, script?: string | Uint8Array): void => {
    mkdirSync(join(directory, name), { recursive: true });
    if (script !== undefined) writeFileSync(join(directory, name, "migration.sql"), script);
  };
  const names = () => listMigrations(directory).migrations.map(({ name }) => name);

  it("sorts as Prisma does, by language and not by byte", () => {
    for (const name of ["20240101000000_B", "20240101000000_a", "2_y", "10_x", "0_init"]) add(name, "");
    expect(names()).toEqual(["0_init", "10_x", "2_y", "20240101000000_a", "20240101000000_B"]);
  });

  it("takes real directories only, hidden ones too", () => {
    add("1_init", "");
    add(".git");
    writeFileSync(join(directory, "README.md"), "");
    symlinkSync(join(directory, "1_init"), join(directory, "2_link"));
    expect(names()).toEqual([".git", "1_init"]);
  });

  it("has no script for a directory without one, or with one that is a directory", () => {
    add("1_none");
    add("2_odd/migration.sql");
    expect(listMigrations(directory).migrations).toEqual([
      { name: "1_none", sql: undefined },
      { name: "2_odd", sql: undefined },
    ]);
  });

  it("keeps a byte order mark and CRLF, and replaces invalid UTF-8", () => {
    add("1_init", Uint8Array.of(0xef, 0xbb, 0xbf, 0x2d, 0x2d, 0xff, 0x0d, 0x0a));
    expect(listMigrations(directory).migrations[0]?.sql).toBe("\uFEFF--\uFFFD\r\n");
  });

  it("gives the lock file's text", () => {
    writeFileSync(join(directory, "migration_lock.toml"), 'provider = "sqlite"\n');
    expect(listMigrations(directory)).toEqual({ migrations: [], lockFile: 'provider = "sqlite"\n' });
  });

  it("takes a missing directory for an empty one", () => {
    expect(listMigrations(join(directory, "none"))).toEqual({ migrations: [] });
  });
});

describe("checksum", () => {
  it("is the SHA-256 of the script's text", () => {
    expect(checksum("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});

describe("lockedProvider", () => {
  it.each([
    ['# comment\nprovider = "sqlite"\n', "sqlite"],
    ['provider = "sqlite"\r\n', "sqlite"],
    ['provider = "postgresql"', "postgresql"],
    ['provider="sqlite"', 'provider="sqlite'],
    ['provider = "sqlite" # why', 'sqlite" # why'],
    [' provider = "sqlite"', "<PROVIDER NOT FOUND>"],
    ["", "<PROVIDER NOT FOUND>"],
  ])("compares text, as Prisma does: %j names %j", (lockFile, provider) => {
    expect(lockedProvider(lockFile)).toBe(provider);
  });
});
