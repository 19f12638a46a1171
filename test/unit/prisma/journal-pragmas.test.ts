import { describe, expect, it } from "vitest";
import { findJournalPragma } from "../../../src/prisma/journal-pragmas.ts";

describe("findJournalPragma", () => {
  it.each([
    ["PRAGMA journal_mode=DELETE;", "journal_mode"],
    ["SELECT 1;\n-- why\npragma Main . Journal_Mode = truncate;", "journal_mode"],
    ["/* a */ PRAGMA journal_mode", "journal_mode"],
    ["PRAGMA locking_mode = EXCLUSIVE", "locking_mode"],
    ["PRAGMA page_size = 8192; VACUUM;", "page_size"],
    ["PRAGMA wal_checkpoint(TRUNCATE)", "wal_checkpoint"],
    ["PRAGMA wal_autocheckpoint=100", "wal_autocheckpoint"],
    ["PRAGMA journal_mode=WAL; PRAGMA journal_mode=OFF", "journal_mode"],
  ])("finds what needs the database for itself in %j", (script, pragma) => {
    expect(findJournalPragma(script)).toBe(pragma);
  });

  it.each([
    "PRAGMA foreign_keys=OFF; PRAGMA defer_foreign_keys=ON;",
    "PRAGMA journal_mode=WAL;",
    "PRAGMA journal_mode = 'wal'",
    "pragma journal_mode(WAL);",
    "-- PRAGMA journal_mode=DELETE\nSELECT 1;",
    "INSERT INTO a VALUES ('PRAGMA page_size=1');",
    "CREATE TABLE a (journal_mode TEXT);",
    "",
  ])("finds nothing in %j", (script) => {
    expect(findJournalPragma(script)).toBeUndefined();
  });
});
