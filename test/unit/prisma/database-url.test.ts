import { describe, expect, it } from "vitest";
import { resolveDatabaseUrl } from "../../../src/prisma/database-url.ts";

type Input = Parameters<typeof resolveDatabaseUrl>[0];

const prisma7: Input = {
  rule: { variable: "DATABASE_URL", baseDirectory: "." },
  prismaMajor: 7,
  environment: {},
  cwd: "/app",
};
const prisma6: Input = { ...prisma7, prismaMajor: 6, rule: { variable: "DATABASE_URL", baseDirectory: "prisma" } };

describe("resolveDatabaseUrl", () => {
  it('takes `url = env("DATABASE_URL")`, with the value that `prisma init` writes (gap 2)', () => {
    expect(resolveDatabaseUrl({ ...prisma7, environment: { DATABASE_URL: "file:./dev.db" } })).toEqual({
      path: "/app/dev.db",
      url: "file:/app/dev.db",
      from: { kind: "variable", name: "DATABASE_URL" },
    });
  });

  it("counts `file:dev.db`, without ./, from the app's directory too (gap 4)", () => {
    const rule = { literal: "file:dev.db", baseDirectory: "." };
    expect(resolveDatabaseUrl({ ...prisma7, rule }).path).toBe("/app/dev.db");
  });

  it("counts from the schema's directory with Prisma 6 and older (gap 5)", () => {
    const environment = { DATABASE_URL: "file:./dev.db" };
    expect(resolveDatabaseUrl({ ...prisma6, environment }).path).toBe("/app/prisma/dev.db");
    const rule = { literal: "file:../dev.db", baseDirectory: "prisma" };
    expect(resolveDatabaseUrl({ ...prisma6, rule }).path).toBe("/app/dev.db");
  });

  it("falls back to the url in prisma.config.ts (gap 6)", () => {
    const rule = { variable: "DATABASE_URL", literal: "file:./dev.db", baseDirectory: "." };
    expect(resolveDatabaseUrl({ ...prisma7, rule })).toMatchObject({ path: "/app/dev.db", from: { kind: "literal" } });
    const environment = { DATABASE_URL: "file:/data/app.db" };
    expect(resolveDatabaseUrl({ ...prisma7, rule, environment }).path).toBe("/data/app.db");
  });

  it("cuts a query off and reports it (gap 7)", () => {
    const environment = { DATABASE_URL: "file:./app.db?connection_limit=1&x=?" };
    expect(resolveDatabaseUrl({ ...prisma7, environment })).toMatchObject({
      path: "/app/app.db",
      url: "file:/app/app.db",
      query: "connection_limit=1&x=?",
    });
  });

  it.each([
    ["file:/data/app.db", "/data/app.db"],
    ["file:///data/app.db", "/data/app.db"],
    ["file:../data/app.db", "/data/app.db"],
    ["file:data/a b.db", "/app/data/a b.db"],
    ["file:a%20b.db", "/app/a%20b.db"],
    ["file:c:app.db", "/app/c:app.db"],
  ])("resolves %s to %s", (url, path) => {
    expect(resolveDatabaseUrl({ ...prisma7, environment: { DATABASE_URL: url } }).path).toBe(path);
  });

  it.each([["./other.db"], ["file:other.db"], ["other.db"], ["/app/other.db"]])(
    "lets --database %s win, always counted from the working directory",
    (override) => {
      const environment = { DATABASE_URL: "file:./dev.db" };
      expect(resolveDatabaseUrl({ ...prisma6, environment, override })).toMatchObject({
        path: "/app/other.db",
        from: { kind: "flag" },
      });
    },
  );

  it("reads DATABASE_URL where the project names no url at all", () => {
    const environment = { DATABASE_URL: "file:./dev.db", OTHER: "file:x.db" };
    expect(resolveDatabaseUrl({ ...prisma7, rule: { baseDirectory: "." }, environment }).from.name).toBe(
      "DATABASE_URL",
    );
  });

  it("does not read DATABASE_URL where the project names another url", () => {
    const environment = { DATABASE_URL: "file:./dev.db" };
    const rule = { literal: "file:./real.db", baseDirectory: "." };
    expect(resolveDatabaseUrl({ ...prisma7, rule, environment }).path).toBe("/app/real.db");
  });

  it.each([
    ["the variable that is not set", prisma7, "DATABASE_URL is not set"],
    ["the usual variable", { ...prisma7, rule: { baseDirectory: "." } }, "DATABASE_URL is not set"],
    ["another variable", { ...prisma7, rule: { variable: "APP_DB", baseDirectory: "." } }, "APP_DB is not set"],
    ["a variable that is empty", set(""), "the value of DATABASE_URL is empty"],
    ["a variable without a file", set("file:"), "the value of DATABASE_URL names no file"],
    ["a variable with only a query", set("file:?mode=ro"), "the value of DATABASE_URL names no file"],
    ["a variable in memory", set("file::memory:"), "the value of DATABASE_URL is in memory"],
    ["a variable with a plain :memory:", set(":memory:"), "the value of DATABASE_URL does not begin with file:"],
    ["a variable with a plain path", set("./dev.db"), "the value of DATABASE_URL does not begin with file:"],
    ["a variable with a directory", set("file:./data/"), 'the value of DATABASE_URL names a directory, "./data/"'],
    ["a scheme in capitals, which Prisma's adapter takes for a name", set("FILE:a.db"), 'is a "FILE:" url'],
    ["another scheme", set("sqlite:./dev.db"), 'the value of DATABASE_URL is a "sqlite:" url'],
    ["the flag", { ...prisma7, override: ":memory:" }, "--database is in memory"],
    [
      "the schema",
      { ...prisma7, rule: { literal: "libsql://x", baseDirectory: "." } },
      'the url in the schema or config is a "libsql:" url',
    ],
  ])("refuses what is no file, and names %s", (_, input, message) => {
    expect(() => resolveDatabaseUrl(input)).toThrow(
      expect.objectContaining({ code: "E_CONFIG", message: expect.stringContaining(message) }),
    );
  });

  it("never prints the url of another database, which has a password in it", () => {
    const url = "postgresql://ann:hunter2@db/app";
    expect(() => resolveDatabaseUrl(set(url))).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("hunter2") }),
    );
  });
});

function set(url: string): Input {
  return { ...prisma7, environment: { DATABASE_URL: url } };
}
