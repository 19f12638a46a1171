import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type InitWords, initCommand } from "../../../src/commands/init.ts";
import { parseLitestreamYml } from "../../../src/config/litestream-yml.ts";
import { dockerEnvironment, execWords, splitDockerfile } from "../../../src/init/dockerfile-lines.ts";
import { isIgnored } from "../../../src/init/dockerignore.ts";
import { type Files, writeFiles } from "../../support/project.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { SKELETON_NAMES, SKELETONS, type SkeletonName, writeSkeleton } from "../init/skeletons.ts";

const NO_WORDS: InitWords = {
  yes: false,
  dry: false,
  force: false,
  stdout: false,
  litestreamYml: false,
  schema: undefined,
};

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  directory[Symbol.dispose]();
});

/** Runs the command, and gives what it printed. `answer` is a person's; without one there is no person. */
async function init(words: Partial<InitWords> = {}, answer?: string, appDirectory = directory.path) {
  const printed: string[] = [];
  const questions: string[] = [];
  const ask = async (question: string) => {
    questions.push(question);
    return answer ?? "";
  };
  await initCommand(
    { ...NO_WORDS, ...words },
    {
      appDirectory,
      print: (text) => void printed.push(text),
      tell: (text) => void printed.push(text),
      ask: answer === undefined ? undefined : ask,
    },
  );
  return { printed: printed.join(""), questions };
}

const skeleton = (name: SkeletonName, more: Files = {}) => writeSkeleton(directory.path, name, more);
const read = (path: string) => readFileSync(join(directory.path, path), "utf8");
const written = () =>
  readdirSync(directory.path).filter((name) => /^(?:Dockerfile|\.dockerignore|fly|litestream)/.test(name));

/** What the last stage of the Dockerfile has by a word, as its words. */
function image(keyword: string): readonly (readonly string[])[] {
  const final = splitDockerfile(read("Dockerfile")).stages.at(-1);
  return (final?.instructions ?? [])
    .filter((instruction) => instruction.keyword === keyword)
    .map(({ value }) => execWords(value) ?? [value]);
}

const environment = () => dockerEnvironment(splitDockerfile(read("Dockerfile")).instructions);

describe("init", () => {
  it("shows what it would write, asks once, and writes it", async () => {
    skeleton("express-npm");
    const { printed, questions } = await init({}, "y");
    expect(questions).toEqual(["\nWrite Dockerfile, .dockerignore, fly.toml? [Y/n] "]);
    expect(printed).toContain("+ENTRYPOINT");
    expect(printed).toContain("wrote Dockerfile\nwrote .dockerignore\nwrote fly.toml\n");
    expect(written()).toEqual([".dockerignore", "Dockerfile", "fly.toml"]);
  });

  it.each([
    ["yes", ""],
    ["no", "n"],
    ["no", "what?"],
  ])("takes for a %s: %j", async (meaning, answer) => {
    skeleton("express-npm");
    await init({}, answer);
    expect(written()).toHaveLength(meaning === "yes" ? 3 : 0);
  });

  it("writes nothing where nobody can be asked, and says how", async () => {
    skeleton("express-npm");
    const failure = { code: "E_USAGE", hint: expect.stringContaining("--yes") };
    await expect(init()).rejects.toMatchObject(failure);
    expect(written()).toEqual([]);
  });

  it.each([["dry"], ["stdout"]] as const)("writes nothing with --%s, also where --yes is said", async (word) => {
    skeleton("express-npm");
    const { printed } = await init({ [word]: true, yes: true });
    expect(printed).toContain("ENTRYPOINT");
    expect(written()).toEqual([]);
  });

  it.each(SKELETON_NAMES)("changes nothing the second time, on %s", async (name) => {
    skeleton(name);
    await init({ yes: true, litestreamYml: true });
    const files = written().map((path) => [path, read(path)]);
    expect(files).toHaveLength(4);
    const { printed } = await init({ litestreamYml: true }); // nobody has to be asked
    expect(printed).toMatch(/\nNothing to change\n$/);
    expect(written().map((path) => [path, read(path)])).toEqual(files);
  });

  it("edits what exists, and leaves the rest of it", async () => {
    const dockerfile = 'FROM node:24-slim\nWORKDIR /app\nCOPY . .\nRUN npm ci # mine\nCMD ["node", "server.js"]\n';
    skeleton("express-npm", { Dockerfile: dockerfile, "fly.toml": 'app = "mine" # my app\n' });
    const { printed } = await init({ yes: true });
    expect(printed).toContain("changed Dockerfile\nwrote .dockerignore\nchanged fly.toml\n");
    for (const line of dockerfile.split("\n")) expect(read("Dockerfile").split("\n")).toContain(line);
    expect(read("fly.toml")).toMatch(/^app = "mine" # my app\n/);
  });

  it("leaves alone what it can't edit, prints the lines for it, and makes it anew with --force", async () => {
    const dockerfile = "FROM node:24-slim\nENTRYPOINT npm start\n";
    skeleton("express-npm", { Dockerfile: dockerfile });
    const { printed } = await init({ yes: true });
    expect(read("Dockerfile")).toBe(dockerfile);
    expect(printed).toContain("Dockerfile is left alone: no stage of it has the whole project");
    expect(printed).toContain('    ENTRYPOINT ["/usr/local/bin/flysqlite"]\n');
    await init({ yes: true, force: true });
    expect(image("ENTRYPOINT")).toEqual([["/usr/local/bin/flysqlite"]]);
  });

  it("goes to the Dockerfile that fly.toml names", async () => {
    skeleton("express-npm", { "fly.toml": '[build]\n  dockerfile = "deploy/Dockerfile.web"\n' });
    await init({ yes: true });
    expect(read("deploy/Dockerfile.web")).toContain("flysqlite");
    expect(existsSync(join(directory.path, "Dockerfile"))).toBe(false);
  });

  it("writes no Dockerfile for a part of a workspace, whose lock file is above", async () => {
    const { files } = SKELETONS["plain-npm"];
    const { "package-lock.json": lock, ...rest } = files;
    const inApp = Object.fromEntries(Object.entries(rest).map(([path, content]) => [`apps/web/${path}`, content]));
    writeFiles(directory.path, { "package.json": "{}", "package-lock.json": lock, ...inApp });
    const appDirectory = join(directory.path, "apps/web");
    const { printed } = await init({ yes: true }, undefined, appDirectory);
    expect(printed).toContain("Dockerfile is left alone: the lock file is in ../..");
    expect(existsSync(join(appDirectory, "Dockerfile"))).toBe(false);
    expect(existsSync(join(appDirectory, ".dockerignore"))).toBe(true);
  });

  it("writes a litestream.yml that flysqlite reads, and that says what it does without it", async () => {
    skeleton("express-npm");
    await init({ yes: true, litestreamYml: true });
    const { entries, problems, notes } = await parseLitestreamYml(read("litestream.yml"), {
      file: "litestream.yml",
      environment: { AWS_ENDPOINT_URL_S3: "https://fly.storage.tigris.dev", BUCKET_NAME: "b", AWS_REGION: "auto" },
    });
    expect({ problems, notes }).toEqual({ problems: [], notes: [] });
    expect(entries).toHaveLength(1);
    expect(entries[0]?.path?.value).toBe("/data/dev.db");
    expect(JSON.stringify(entries[0]?.replica?.value)).toContain("litestream/dev.db");
  });

  it.each([
    ["no package.json", { "prisma/schema.prisma": "" }, "E_CONFIG", "Cannot find package.json"],
    ["no schema", { "package.json": '{"dependencies":{"prisma":"6"}}' }, "E_SCHEMA", "Cannot find a Prisma schema"],
    [
      "another database",
      {
        "package.json": '{"dependencies":{"prisma":"6"}}',
        "prisma/schema.prisma": 'datasource db {\n provider = "mysql"\n}\n',
      },
      "E_SCHEMA",
      'provider is "mysql"',
    ],
  ])("refuses a project with %s", async (_, files, code, message) => {
    writeFiles(directory.path, files as Files);
    await expect(init({ yes: true })).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(written()).toEqual([]);
  });
});

describe("what goes wrong with today's generators", () => {
  it('gap 2: env("DATABASE_URL") is set in the image, and no litestream.yml is needed', async () => {
    skeleton("next-npm");
    await init({ yes: true });
    expect(environment().get("DATABASE_URL")).toBe("file:./dev.db");
    expect(written()).not.toContain("litestream.yml");
  });

  it('gap 4: "file:dev.db", without a dot, is the file that Prisma opens', async () => {
    skeleton("remix-yarn");
    const { printed } = await init({ yes: true });
    expect(printed).toContain(
      "database   dev.sqlite on the volume, by the url in the schema, here prisma/dev.sqlite\n",
    );
    expect(isIgnored(read(".dockerignore"), "prisma/dev.sqlite")).toBe(true);
  });

  it("gap 5: a url in the schema counts from the schema's directory up to Prisma 6, from the app's in Prisma 7", async () => {
    skeleton("express-npm");
    expect((await init({ dry: true })).printed).toContain("here prisma/dev.db\n");
    using other = temporaryDirectory();
    writeSkeleton(other.path, "schema-folder-npm");
    const { printed } = await init({ dry: true }, undefined, other.path);
    expect(printed).toContain("here local.db\n");
  });

  it("gap 6: prisma.config.ts, its seed, a schema folder and single quotes are understood", async () => {
    skeleton("schema-folder-npm");
    const { printed } = await init({ yes: true });
    expect(printed).toContain("seed       node prisma/seed.ts\n");
    expect(printed).toContain("migrations 1 in prisma/migrations\n");
    expect(environment().get("DATABASE_URL")).toBe("file:./local.db");
  });

  it("gap 7: a url's query is no part of the file's name", async () => {
    skeleton("next-npm", { ".env": 'DATABASE_URL="file:./shop.db?connection_limit=1"\n' });
    await init({ yes: true, litestreamYml: true });
    expect(environment().get("DATABASE_URL")).toBe("file:./shop.db");
    expect(read("litestream.yml")).toContain("/data/shop.db\n");
  });

  it("names the database as .env.local does, where .env has no url", async () => {
    skeleton("next-npm", { ".env": "OTHER=1\n", ".env.local": 'DATABASE_URL="file:./local.db"\n' });
    await init({ yes: true });
    expect(environment().get("DATABASE_URL")).toBe("file:./local.db");
  });

  it("gap 20: [processes] of fly.toml says the command, and flysqlite is before it", async () => {
    const processes = '[processes]\n  app = "node other.js"\n';
    skeleton("express-npm", { "fly.toml": processes });
    await init({ yes: true });
    expect(read("fly.toml")).toContain(processes);
    expect(image("ENTRYPOINT")).toEqual([["/usr/local/bin/flysqlite"]]);
  });

  it("gap 21: no image needs Prisma's CLI, and what is fetched for one has its version", async () => {
    for (const name of ["remix-yarn", "next-standalone-pnpm"] as const) {
      using other = temporaryDirectory();
      writeSkeleton(other.path, name);
      await init({ yes: true }, undefined, other.path);
      const { stages } = splitDockerfile(readFileSync(join(other.path, "Dockerfile"), "utf8"));
      const [build, final] = stages
        .slice(-2)
        .map(({ instructions }) => instructions.map(({ value }) => value).join("\n"));
      expect(final).not.toMatch(/prisma|npx(?!", "remix-serve")/);
      expect(build).toMatch(/npx --yes flysqlite@\d+\.\d+\.\d+ build/);
    }
  });

  it("gap 21: where the CLI is no dependency, the one of the client's line is taken, and that is told", async () => {
    const packageJson = { name: "x", scripts: { start: "node x" }, dependencies: { "@prisma/client": "^6.19.0" } };
    skeleton("plain-npm", { "package.json": JSON.stringify(packageJson) });
    const { printed } = await init({ yes: true });
    expect(read("Dockerfile")).toContain("RUN npx --yes prisma@6 generate\n");
    expect(printed).toContain("note: Prisma's CLI is no dependency");
  });

  it("gap 22: nothing in the image is for one architecture, and package.json and lock file stay as they are", async () => {
    skeleton("next-npm");
    const before = [read("package.json"), read("package-lock.json")];
    await init({ yes: true });
    expect([read("package.json"), read("package-lock.json")]).toEqual(before);
    expect(read("Dockerfile")).not.toMatch(/amd64|x86|x64|arm64|\.deb\b|litestream/i);
  });

  it("gap 25: the app does not run as root, and what would happen is told before it does", async () => {
    skeleton("next-npm");
    await expect(init()).rejects.toMatchObject({ code: "E_USAGE" });
    const { printed } = await init({ yes: true });
    expect(environment().get("FLYSQLITE_USER")).toBe("node");
    expect(printed).toContain("app run --dry");
  });
});
