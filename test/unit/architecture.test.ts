// Holds src/ to the map in src/README.md: who may import whom, what is pure, what touches the process.

import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../src");

/** The table. A folder may import from itself too, and main.ts and others.ts from all. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  storage: ["base"],
  sqlite: ["base"],
  prisma: ["base", "sqlite"],
  replica: ["base", "storage", "sqlite"],
  config: ["base", "storage"],
  plan: ["base", "prisma", "replica", "config"],
  init: ["base", "prisma", "config"],
  steps: ["base", "storage", "sqlite", "prisma", "replica", "config", "plan"],
  keeper: ["base", "storage", "sqlite", "prisma", "replica", "config", "plan", "steps"],
  supervisor: ["base"],
  runtime: ["base"],
  doctor: ["base", "storage", "sqlite", "prisma", "replica"],
  cli: ["base", "config", "plan", "doctor"],
  commands: ["base", "cli", "storage", "sqlite", "prisma", "replica", "config", "plan", "init", "steps", "doctor"],
  process: [
    "base",
    "cli",
    "sqlite",
    "prisma",
    "config",
    "plan",
    "steps",
    "keeper",
    "supervisor",
    "runtime",
    "commands",
  ],
};

const STEPS = ["observe", "link", "lock", "restore", "migrate", "seed", "replicate", "command"];

/** Shows the project's config a changed environment while it loads it. */
const CHANGES_ENVIRONMENT = ["prisma/prisma-config.ts"];

/** Which role this process has, and what it does in it. */
const IS_THE_PROCESS = /^(?:main\.ts|others\.ts|process\/.*)$/;

/** Catches signals before main.ts is there to do so. */
const COMES_FIRST = ["first.ts"];

/** Is the app's process, where this executable is its Node. */
const IS_THE_APP = ["runtime/run-as-node.ts"];

/** Where a bucket is, and which keys open it; nothing that opens it. */
const ABOUT_A_BUCKET = ["storage/s3/place.ts", "storage/s3/credentials.ts"];

/** Modules that a pure file has no use for: they reach what is outside of the process, or wait. */
const IMPURE_MODULES = [
  ...["node:child_process", "node:dgram", "node:dns", "node:fs", "node:fs/promises", "node:http", "node:http2"],
  ...["node:https", "node:inspector", "node:net", "node:os", "node:process", "node:readline", "node:repl", "node:sea"],
  ...["node:sqlite", "node:timers", "node:timers/promises", "node:tls", "node:tty", "node:vm", "node:worker_threads"],
];

type Source = {
  /** Path from src/, such as "plan/copy.ts". */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** What it imports, statically or not: "node:fs", "yaml", or a path from src/. */
  readonly imports: readonly string[];
};

const sources: readonly Source[] = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .sort()
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, folder: folderOf(path), text, imports: importsOf(text, path) };
  });

function folderOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? "") : "";
}

function importsOf(text: string, path: string): readonly string[] {
  return [...text.matchAll(/(?:^|[^\w.])(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name = ""]) =>
    name.startsWith(".") ? posix.join(posix.dirname(path), name) : name,
  );
}

const isOurs = (name: string) => name.endsWith(".ts");

/** What the comment at a file's head says. */
function headOf(text: string): string {
  return /^(?:\/\/.*\n)*/.exec(text)?.[0] ?? "";
}

/** The code without its comments, so that a word in one is not taken for a use. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?:^|\s)\/\/.*$/gm, "");
}

const pure = sources.filter(({ folder, text }) => folder === "plan" || /\bPure[.:;]/.test(headOf(text)));

describe("the sources", () => {
  it("are found, with their imports", () => {
    expect(sources.length).toBeGreaterThan(60);
    expect(sources.find(({ path }) => path === "plan/copy.ts")?.imports).toContain("replica/ltx/txid.ts");
    expect(sources.find(({ path }) => path === "process/run-keeper.ts")?.imports).toContain("keeper/keeper.ts");
  });

  it("stand in folders that the table knows", () => {
    expect([...new Set(sources.map(({ folder }) => folder))].filter(Boolean).sort()).toEqual(
      Object.keys(MAY_IMPORT).sort(),
    );
  });

  it("have a head that says what is here", () => {
    for (const { path, text } of sources) expect(headOf(text).length, path).toBeGreaterThan(20);
  });

  it("import ours by the file's whole name, and Node's with node:", () => {
    for (const { path, imports } of sources) {
      for (const name of imports) {
        if (isOurs(name))
          expect(
            sources.map((source) => source.path),
            `${path} imports`,
          ).toContain(name);
        else
          expect(
            !name.startsWith("node:") && builtinModules.includes(name),
            `${path} imports "${name}" without node:`,
          ).toBe(false);
      }
    }
  });

  it("export by name, and each its own", () => {
    for (const { path, text } of sources) {
      const code = codeOf(text);
      expect(/^export default\b|\bas default\b/m.test(code), `${path} has a default export`).toBe(false);
      expect(/^export\s+(?:\*|(?:type\s+)?\{[^}]*\})\s*from\b/m.test(code), `${path} exports again`).toBe(false);
    }
  });
});

describe("imports", () => {
  it("run one way, as the table says", () => {
    const wrong = sources.flatMap(({ path, folder, imports }) =>
      imports
        .filter(isOurs)
        .filter((name) => folder !== "" && folderOf(name) !== folder)
        .filter((name) => !MAY_IMPORT[folder]?.includes(folderOf(name)))
        .map((name) => `${path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("can't go in a circle between folders, by the table itself", () => {
    const below = Object.keys(MAY_IMPORT);
    for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
      for (const other of allowed) {
        expect(below.indexOf(other), `${folder} may import ${other}`).toBeGreaterThanOrEqual(0);
        expect(below.indexOf(other), `${folder} may import ${other}`).toBeLessThan(below.indexOf(folder));
      }
    }
  });

  it("let nobody depend on main.ts, and main.ts alone on others.ts", () => {
    for (const { path, imports } of sources) {
      expect(imports, path).not.toContain("main.ts");
      if (path !== "main.ts") expect(imports, path).not.toContain("others.ts");
    }
  });

  it("lead replica/ to what a store can do, and to no store", () => {
    const stores = sources
      .filter(({ folder }) => folder === "replica")
      .flatMap(({ imports }) => imports.filter((name) => folderOf(name) === "storage"));
    expect(new Set(stores)).toEqual(new Set(["storage/store.ts"]));
  });

  it("lead config/ to where a bucket is, and never into it", () => {
    for (const { path, imports } of sources.filter(({ folder }) => folder === "config")) {
      expect(
        imports.filter((name) => folderOf(name) === "storage" && !ABOUT_A_BUCKET.includes(name)),
        path,
      ).toEqual([]);
    }
  });

  it("lead from no step to another", () => {
    const files = STEPS.map((step) => `steps/${step}.ts`);
    expect(sources.map(({ path }) => path)).toEqual(expect.arrayContaining(files));
    const allowed = ["steps/observe.ts imports steps/command.ts"]; // finding the command is a part of looking
    const wrong = sources
      .filter(({ path }) => files.includes(path))
      .flatMap(({ path, imports }) =>
        imports.filter((name) => files.includes(name)).map((name) => `${path} imports ${name}`),
      )
      .filter((one) => !allowed.includes(one));
    expect(wrong).toEqual([]);
  });

  it("lead only sqlite/ to a library", () => {
    const users = sources.filter(({ text }) => /"(?:node:sqlite|better-sqlite3)"/.test(codeOf(text)));
    expect(users.filter(({ folder }) => folder !== "sqlite").map(({ path }) => path)).toEqual([]);
  });
});

/** What is evaluated where a file is: what it imports at its head, but for types, and what that imports. */
function loadedWith(path: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = sources.find((source) => source.path === path)?.text ?? "";
  for (const [, what = "", name = ""] of text.matchAll(/^import (type )?(?:[^"]*? from )?"(\.[^"]+)";$/gms)) {
    if (what === "") loadedWith(posix.join(posix.dirname(path), name), seen);
  }
  return seen;
}

describe("what PID 1 holds", () => {
  const held = loadedWith("process/run-supervisor.ts", new Set(loadedWith("main.ts")));

  it("is found", () => {
    expect([...held]).toEqual(expect.arrayContaining(["first.ts", "supervisor/table.ts", "process/words.ts"]));
  });

  it("is nothing of a database", () => {
    const folders = ["sqlite", "prisma", "replica", "storage", "steps", "keeper", "commands", "doctor"];
    const allowed = [...ABOUT_A_BUCKET, "storage/s3/providers.ts"]; // which place.ts goes by
    const unwanted = [...held].filter((path) => folders.includes(folderOf(path)) && !allowed.includes(path));
    expect(unwanted).toEqual([]);
  });
});

describe("what a start with nothing to do loads", () => {
  const loaded = loadedWith(
    "keeper/keeper.ts",
    new Set(loadedWith("process/run-keeper.ts", new Set(loadedWith("others.ts")))),
  );

  it("is found", () => {
    expect([...loaded]).toEqual(expect.arrayContaining(["steps/pending.ts", "prisma/ledger.ts", "steps/replicate.ts"]));
  });

  it.each([
    ...["prisma/deploy.ts", "prisma/statements.ts", "prisma/migrator.ts", "prisma/resolve.ts", "steps/deploy.ts"],
    ...["sqlite/restore-point.ts", "sqlite/copy-database.ts", "steps/change-safely.ts", "steps/put-back.ts"],
    ...["steps/recover.ts", "steps/seed.ts", "steps/migrator-child.ts", "sqlite/node-sqlite.ts", "prisma/project.ts"],
  ])("is nothing of %s", (path) => {
    expect(sources.map((source) => source.path)).toContain(path);
    expect([...loaded]).not.toContain(path);
  });
});

describe("what is pure", () => {
  it.each(pure.map(({ path }) => path))("%s neither reads nor writes, and knows no time and no chance", (path) => {
    const source = pure.find((one) => one.path === path);
    expect(source?.imports.filter((name) => IMPURE_MODULES.includes(name))).toEqual([]);
    const impure =
      /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.|process\.|fetch\(|setTimeout|setInterval|console\.)/;
    expect(impure.exec(codeOf(source?.text ?? ""))?.[0]).toBeUndefined();
  });

  it("is all that decides", () => {
    const paths = pure.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        "plan/copy.ts",
        "plan/placement.ts",
        "plan/plan.ts",
        "supervisor/table.ts",
        "cli/arguments.ts",
      ]),
    );
  });
});

describe("the process", () => {
  const OUTSIDE =
    /\bprocess\s*\.\s*(?:env|argv|exit|exitCode|abort|cwd|chdir|stdin|stdout|stderr|on|once|send|title|umask)\b/;

  it("is touched by main.ts and process/ alone", () => {
    const users = sources.filter(({ text }) => OUTSIDE.test(codeOf(text))).map(({ path }) => path);
    const others = users.filter((path) => !IS_THE_PROCESS.test(path));
    expect(others).toEqual([...CHANGES_ENVIRONMENT, ...COMES_FIRST, ...IS_THE_APP].sort());
  });

  it("is not reached by another name", () => {
    for (const { path, text } of sources) {
      expect(codeOf(text), path).not.toMatch(
        /import\s*\{[^}]*\}\s*from "node:process"|globalThis\.process|\{[^}=]*\}\s*=\s*process\s*[;,)]/,
      );
      expect(codeOf(text), path).not.toMatch(/\bconsole\./);
    }
  });

  it("has its clock and its chance from base/system.ts", () => {
    const users = sources.filter(({ text }) =>
      /\b(?:Date\.now|Math\.random|randomUUID|performance\.now)\(/.test(codeOf(text)),
    );
    const others = users.map(({ path }) => path).filter((path) => path !== "base/system.ts");
    // The migrator is a process of its own, with Prisma's own ids and times in the ledger.
    expect(others.filter((path) => !path.startsWith("prisma/"))).toEqual([]);
  });
});

describe("src/README.md", () => {
  const map = readFileSync(join(root, "README.md"), "utf8");
  /** The rows of its first table: folder, what it holds, what it may import. */
  const rows = [...map.matchAll(/^\| `(\w+)\/` +\|([^|]+)\|([^|]+)\|$/gm)].map(
    ([, folder = "", holds = "", may = ""]) => ({
      folder,
      holds: holds.trim(),
      may: [...may.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name),
    }),
  );

  it("has a row for every folder, and the same table as this test", () => {
    expect(Object.fromEntries(rows.map(({ folder, may }) => [folder, may]))).toEqual(MAY_IMPORT);
    for (const { folder, holds } of rows) expect(holds.length, folder).toBeGreaterThan(10);
  });

  it("names no file that is not there", () => {
    const named = [...map.matchAll(/`([\w-]+\/[\w-]+\.ts)`/g)]
      .map(([, path = ""]) => path)
      .filter((path) => !path.startsWith("test/"));
    expect(named.length).toBeGreaterThan(10);
    for (const path of named) expect(sources.map((source) => source.path)).toContain(path);
  });
});
