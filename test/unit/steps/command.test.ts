import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Manifest } from "../../../src/prisma/manifest.ts";
import { findCommand } from "../../../src/steps/command.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { firstStart } from "../plan/facts.ts";

/** An app's directory with programs in it. `find` looks there, `run` executes what it found and gives its output. */
function app({
  start,
  programs,
  package: packageJson,
  files = {},
}: {
  readonly start?: string;
  readonly programs: readonly string[];
  /** What package.json says. */
  readonly package?: object;
  /** Further files, by path. */
  readonly files?: Readonly<Record<string, string>>;
}) {
  const directory = temporaryDirectory();
  onTestFinished(() => directory[Symbol.dispose]());
  const path = directory.path;
  for (const name of programs) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), `#!/bin/sh\nprintf '%s:' ${name} "$@"\nprintf 'MODE=%s\\n' "$MODE"\n`);
    chmodSync(join(path, name), 0o755);
  }
  const all = { ...files, ...(packageJson === undefined ? {} : { "package.json": JSON.stringify(packageJson) }) };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(path, name), text);
  const manifest: Manifest = { ...firstStart.manifest, ...(start === undefined ? {} : { start }) };
  const find = (
    command: readonly string[],
    searched = `${join(path, "bin")}:/usr/bin:/bin`,
    {
      environment = {},
      keepPackageManager = false,
    }: { environment?: NodeJS.ProcessEnv; keepPackageManager?: boolean } = {},
  ) =>
    findCommand({
      command,
      manifest,
      appDirectory: path,
      environment: { PATH: searched, ...environment },
      keepPackageManager,
    });
  const run = (command: readonly string[]) => {
    const { file, arguments: args, environment } = find(command);
    const env = { PATH: `${join(path, "bin")}:/usr/bin:/bin`, ...environment };
    const { stdout, stderr, status } = spawnSync(file, args, { cwd: path, env, encoding: "utf8" });
    return { output: stdout + stderr, status };
  };
  return { path, find, run };
}

describe("findCommand", () => {
  it("finds a program in PATH, first come first served", () => {
    const { find, path } = app({ programs: ["bin/server", "other/server"] });
    expect(find(["server", "--port", "80"])).toEqual({
      file: join(path, "bin/server"),
      arguments: ["--port", "80"],
      environment: {},
      source: "the command line",
    });
    expect(find(["server"], `${path}/none:${path}/other:${path}/bin`).file).toBe(join(path, "other/server"));
  });

  it("takes a program with a slash from the app's directory, and not from PATH", () => {
    const { find, path } = app({ programs: ["bin/server"] });
    expect(find(["./bin/server"]).file).toBe(join(path, "bin/server"));
    expect(find([join(path, "bin/server")]).file).toBe(join(path, "bin/server"));
    expect(() => find(["./server"])).toThrow(expect.objectContaining({ code: "E_COMMAND_NOT_FOUND" }));
  });

  it("counts a relative or empty part of PATH from the app's directory", () => {
    const { find, path } = app({ programs: ["bin/server", "here"] });
    expect(find(["server"], "bin").file).toBe(join(path, "bin/server"));
    expect(find(["here"], "/none:").file).toBe(join(path, "here"));
    expect(find(["here"], "").file).toBe(join(path, "here"));
  });

  it("follows links", () => {
    const { find, path } = app({ programs: ["real"] });
    mkdirSync(join(path, "bin"));
    symlinkSync(join(path, "real"), join(path, "bin/server"));
    expect(find(["server"]).file).toBe(join(path, "bin/server"));
  });

  it.each([
    ["in no directory of PATH", ["nowhere"], "E_COMMAND_NOT_FOUND"],
    ["not at its path", ["./nowhere"], "E_COMMAND_NOT_FOUND"],
    ["a directory", ["./bin"], "E_COMMAND_NOT_FOUND"],
    ["empty", [""], "E_COMMAND_NOT_FOUND"],
    ["not executable", ["./plain"], "E_COMMAND_NOT_EXECUTABLE"],
    ["not executable in PATH", ["plain"], "E_COMMAND_NOT_EXECUTABLE"],
  ])("refuses a program that is %s", (_, command, code) => {
    const { find, path } = app({ programs: ["bin/server"] });
    for (const place of ["plain", "bin/plain"]) writeFileSync(join(path, place), "text");
    expect(() => find(command)).toThrow(expect.objectContaining({ code }));
  });

  it("passes over a program that is not executable where a later one is", () => {
    const { find, path } = app({ programs: ["other/server"] });
    mkdirSync(join(path, "bin"));
    writeFileSync(join(path, "bin/server"), "text");
    expect(find(["server"], `${path}/bin:${path}/other`).file).toBe(join(path, "other/server"));
  });

  it("hands words on as they are, with no shell between", () => {
    const { run } = app({ programs: ["bin/server"] });
    expect(run(["server", "a b", "$HOME", "; false", "*"]).output).toBe("bin/server:a b:$HOME:; false:*:MODE=\n");
  });
});

describe("findCommand with a start script", () => {
  it.each([
    [[]],
    [["npm", "start"]],
    [["npm", "run", "start"]],
    [["pnpm", "start"]],
    [["yarn", "start"]],
    [["bun", "run", "start"]],
  ])("starts it by itself for %j", (command) => {
    const { find, path } = app({ start: "server  --port 80", programs: ["bin/server"] });
    expect(find(command)).toMatchObject({ file: join(path, "bin/server"), arguments: ["--port", "80"] });
    expect(find(command).source).toContain("package.json#scripts.start");
  });

  it.each([[["npm", "run", "serve"]], [["npm", "run", "start:prod"]], [["npm", "ci"]], [["npm"]], [["npm", "run"]]])(
    "leaves %j to the package manager",
    (command) => {
      const { find, path } = app({ start: "server", programs: ["bin/server", "bin/npm"] });
      expect(find(command)).toMatchObject({ file: join(path, "bin/npm"), source: "the command line" });
    },
  );

  it("leaves npm start to npm where the app has no start script", () => {
    const { find, path } = app({ programs: ["bin/npm"] });
    expect(find(["npm", "start"]).file).toBe(join(path, "bin/npm"));
    expect(() => find([])).toThrow(expect.objectContaining({ code: "E_COMMAND_NOT_FOUND" }));
  });

  it("prefers the tools of the app's own packages", () => {
    const { find, path } = app({ start: "next start", programs: ["bin/next", "node_modules/.bin/next"] });
    expect(find([]).file).toBe(join(path, "node_modules/.bin/next"));
    expect(find(["next"]).file).toBe(join(path, "bin/next"));
  });

  it.each([
    ["words in quotes", "server 'a b'", "bin/server:a b:MODE=\n"],
    ["a variable", 'server "$PWD" >/dev/null; server x', "bin/server:x:MODE=\n"],
    ["an assignment", "MODE=production server x", "bin/server:x:MODE=production\n"],
    ["two commands", "server a && server b", "bin/server:a:MODE=\nbin/server:b:MODE=\n"],
    ["commands in a row", "cd bin; ../bin/server a", "bin/server:a:MODE=\n"],
    ["a pipe", "server a | cat", "bin/server:a:MODE=\n"],
    ["a command that fails first", "false || server b", "bin/server:b:MODE=\n"],
    ["a group", "{ server a; }", "bin/server:a:MODE=\n"],
    ["a negation", "! server a", "bin/server:a:MODE=\n"],
    ["exec", "exec server a", "bin/server:a:MODE=\n"],
    ["exec and quotes", "exec server 'a'", "bin/server:a:MODE=\n"],
    ["a tool of a package", "tool 'a'", "node_modules/.bin/tool:a:MODE=\n"],
    ["a tool of a package in a pipe", "tool a | cat", "node_modules/.bin/tool:a:MODE=\n"],
    ["an assignment to a tool of a package", "MODE=x tool a", "node_modules/.bin/tool:a:MODE=x\n"],
    ["a pattern", "server b*n", "bin/server:bin:MODE=\n"],
  ])("runs a script with %s as npm would", (_, start, output) => {
    const { run } = app({ start, programs: ["bin/server", "node_modules/.bin/tool"] });
    expect(run(["npm", "start"]).output).toBe(output);
  });

  it("lets no shell stand between the app and a signal where the script is one command", () => {
    const { run } = app({ start: "sh -c 'echo $PPID'", programs: [] });
    expect(Number(run([]).output)).toBe(process.pid);
  });
});

describe("findCommand, for a package manager's command", () => {
  const scripts = {
    start: "server from-start",
    serve: "server 'a b'",
    chained: "npm run serve -- more",
    loop: "npm run loop",
    prebuilt: "echo checked $npm_lifecycle_event",
    built: "server main",
    postbuilt: "echo reported $npm_lifecycle_event",
    prefailing: "false",
    failing: "server never",
    named: "echo $npm_package_name $npm_package_version $npm_lifecycle_event",
  };
  const shop = (more: Partial<Parameters<typeof app>[0]> = {}) =>
    app({
      programs: ["bin/server", "bin/npm", "bin/npx", "node_modules/.bin/tool"],
      package: { name: "shop", version: "1.2.3", scripts },
      ...more,
    });

  it("runs the script, with the words behind it", () => {
    const { run } = shop();
    expect(run(["npm", "run", "serve", "--", "$HOME", "it's"]).output).toBe("bin/server:a b:$HOME:it's:MODE=\n");
  });

  it("goes by package.json as it is in the image, and not by the manifest, where there is one", () => {
    const { run } = shop({ start: "server from-manifest" });
    expect(run([]).output).toBe("bin/server:from-start:MODE=\n");
    expect(run(["npm", "start"]).output).toBe("bin/server:from-start:MODE=\n");
  });

  it("follows a script that only runs another one, and leaves a circle to npm", () => {
    const { run, find, path } = shop();
    expect(run(["npm", "run", "chained", "--", "x"]).output).toBe("bin/server:a b:more:x:MODE=\n");
    expect(find(["npm", "run", "loop"]).file).toBe(join(path, "bin/npm"));
  });

  it("runs pre and post scripts around it, each told its own name", () => {
    const { run } = shop();
    expect(run(["npm", "run", "built"]).output).toBe("checked prebuilt\nbin/server:main:MODE=\nreported postbuilt\n");
  });

  it("does not run a script whose pre script fails, and ends as that did", () => {
    const { run } = shop();
    expect(run(["npm", "run", "failing"])).toEqual({ output: "", status: 1 });
  });

  it("sets what npm would have told the script of its package", () => {
    const { run } = shop();
    expect(run(["npm", "run", "named"]).output).toBe("shop 1.2.3 named\n");
  });

  it("finds the tools of the app's packages for npx, and leaves others to it", () => {
    const { run, find, path } = shop();
    expect(run(["npx", "tool", "a b"]).output).toBe("node_modules/.bin/tool:a b:MODE=\n");
    expect(find(["npx", "unknown"]).file).toBe(join(path, "bin/npx"));
  });

  it("starts the manager itself where it is told to keep it", () => {
    const { find, path } = shop();
    const keep = { keepPackageManager: true };
    expect(find(["npm", "run", "serve"], undefined, keep)).toMatchObject({
      file: join(path, "bin/npm"),
      arguments: ["run", "serve"],
      environment: {},
    });
    expect(find(["npx", "tool"], undefined, keep).file).toBe(join(path, "bin/npx"));
  });

  it.each([
    [".npmrc", "script-shell=/bin/bash\n"],
    ["pnpm-workspace.yaml", "shellEmulator: true\n"],
  ])("starts the manager where %s may change what it does", (name, text) => {
    const { find, path } = shop({ files: { [name]: text } });
    expect(find(["npm", "run", "serve"]).file).toBe(join(path, "bin/npm"));
  });

  it("starts the manager where a variable may change what it does", () => {
    const { find, path } = shop();
    const environment = { npm_config_ignore_scripts: "true" };
    expect(find(["npm", "run", "serve"], undefined, { environment }).file).toBe(join(path, "bin/npm"));
  });

  it("says why the manager is needed where it is not in the image", () => {
    const { find } = shop({ programs: [] });
    expect(() => find(["npm", "run", "nothing"], "")).toThrow(/"npm" is in none of .*can't be left out: .*"nothing"/);
  });
});
