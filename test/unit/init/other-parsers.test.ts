// What `init` writes, as others read it: Dockerfiles by the parser of Docker's editors, fly.toml by one of TOML. So that
// it isn't only our own readers that take it.

import { DockerfileParser, type Dockerfile as Image, Keyword } from "dockerfile-ast";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { detect } from "../../../src/init/detect.ts";
import type { ProjectFacts } from "../../../src/init/facts.ts";
import { look } from "../../../src/init/look.ts";
import { makeFiles } from "../../../src/init/make-files.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { SKELETON_NAMES, type SkeletonName, writeSkeleton } from "./skeletons.ts";

const KEYWORDS: readonly string[] = Object.values(Keyword);

/** An existing Dockerfile and fly.toml, which are edited. */
const EXISTING = {
  Dockerfile: `# syntax=docker/dockerfile:1
ARG NODE=24
FROM node:\${NODE}-slim AS base
WORKDIR /app
FROM base AS build
COPY . .
RUN npm ci && \\
    # the app
    npm run build --if-present
FROM base
COPY --from=build /app /app
CMD ["npm", "run", "start"]
`,
  "fly.toml": `app = 'shop' # mine
kill_signal = "SIGTERM"
[env]
  PORT = "8080"
[[vm]]
  memory = "1gb"
[[mounts]]
  source = "store"
  destination = "/store"
`,
};

const GROWTH = {
  auto_extend_size_threshold: 80,
  auto_extend_size_increment: "1GB",
  auto_extend_size_limit: "10GB",
};

async function make(name: SkeletonName, more: { readonly [path: string]: string } = {}) {
  using directory = temporaryDirectory();
  writeSkeleton(directory.path, name, more);
  const found = await look({ appDirectory: directory.path });
  const facts = detect(found, "1.2.3");
  const { files } = makeFiles(facts, found.texts, { force: false, litestreamYml: false });
  const text = (path: string) => files.find((file) => file.path === path)?.after ?? "";
  return { facts, dockerfile: DockerfileParser.parse(text("Dockerfile")), toml: parse(text("fly.toml")) };
}

/** The words of what was written last by a keyword, in exec form. */
function lastWords(image: Image, keyword: "CMD" | "ENTRYPOINT"): readonly string[] | undefined {
  const last = (keyword === "CMD" ? image.getCMDs() : image.getENTRYPOINTs()).at(-1);
  return last?.getJSONStrings().map((string) => String(JSON.parse(string.getValue())));
}

/** Names of stages that an instruction takes from, and which are neither before it nor images with a tag. */
function strangeStages(image: Image): readonly string[] {
  const stages: string[] = [];
  const strange: string[] = [];
  const take = (name: string | null | undefined) => {
    const isThere = name == null || stages.includes(name.toLowerCase()) || /^\S+:\S+$/.test(name);
    if (!isThere) strange.push(name);
  };
  for (const instruction of image.getInstructions()) {
    const from = image.getFROMs().find((one) => one.toString() === instruction.toString());
    const copy = image.getCOPYs().find((one) => one.toString() === instruction.toString());
    take(copy?.getFromFlag()?.getValue());
    for (const [, mounted] of String(instruction).matchAll(/--mount=\S*\bfrom=([^,\s]+)/g)) take(mounted);
    if (from === undefined) continue;
    take(from.getImage()?.replace(/\$\{NODE\}/, "24"));
    const name = from.getBuildStage();
    if (name !== null) stages.push(name.toLowerCase());
  }
  return strange;
}

const environmentOf = (image: Image) =>
  Object.fromEntries(
    image.getENVs().flatMap((env) => env.getProperties().map((one) => [one.getName(), one.getValue()])),
  );

function expectImage(image: Image, { database }: ProjectFacts): void {
  const unknown = image.getInstructions().filter((one) => !KEYWORDS.includes(one.getKeyword()));
  expect(unknown.map(String)).toEqual([]);
  expect(strangeStages(image)).toEqual([]);
  expect(lastWords(image, "ENTRYPOINT")).toEqual(["/usr/local/bin/flysqlite"]);
  expect(lastWords(image, "CMD")?.length).toBeGreaterThan(0);
  const { variable } = database;
  expect(environmentOf(image)).toMatchObject({
    FLYSQLITE_USER: "node",
    ...(variable === undefined ? {} : { [variable.name]: variable.url }),
  });
}

describe.each(SKELETON_NAMES)("other parsers, on what init writes for %s", (name) => {
  it("read a Dockerfile whose stages are there, and which ends with flysqlite and the app's command", async () => {
    const { facts, dockerfile } = await make(name);
    expectImage(dockerfile, facts);
    expect(lastWords(dockerfile, "CMD")).toEqual(facts.framework.command);
    expect(environmentOf(dockerfile)).toMatchObject({
      ...facts.framework.environment,
      PORT: String(facts.framework.port),
    });
    const order = dockerfile.getInstructions().map((one) => one.getKeyword());
    expect(order.slice(order.lastIndexOf("ENTRYPOINT"))).toEqual(["ENTRYPOINT", "ENV", "CMD"]);
  });

  it("read a fly.toml with the volume, its growth and the time for a stop", async () => {
    const { facts, toml } = await make(name);
    expect(toml).toEqual({
      kill_timeout: "30s",
      env: { FLYSQLITE_STOP_TIMEOUT: "27000ms" },
      http_service: {
        internal_port: facts.framework.port,
        force_https: true,
        auto_stop_machines: "stop",
        auto_start_machines: true,
        min_machines_running: 0,
      },
      mounts: {
        source: "data",
        destination: "/data",
        initial_size: "1GB",
        ...GROWTH,
      },
    });
  });

  it("read what was edited, with all that was there", async () => {
    const { facts, dockerfile, toml } = await make(name, EXISTING);
    expectImage(dockerfile, facts);
    expect(environmentOf(dockerfile)).toMatchObject({ FLYSQLITE_VOLUME: "/store" });
    expect(toml).toEqual({
      app: "shop",
      kill_signal: "SIGTERM",
      kill_timeout: "30s",
      env: { PORT: "8080", FLYSQLITE_STOP_TIMEOUT: "27000ms" },
      vm: [{ memory: "1gb" }],
      mounts: [{ source: "store", destination: "/store", ...GROWTH }],
    });
  });
});
