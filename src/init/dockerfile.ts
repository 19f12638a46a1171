// A whole Dockerfile for a project that has none. Pure.
// Source: Dockerfile.example, which has the same order and the same words

import { DEFAULT_VOLUME } from "../config/volume.ts";
import { execForm } from "./dockerfile-lines.ts";
import type { ProjectFacts } from "./facts.ts";
import { OWN_NODE } from "./node-version.ts";
import { managerWords, runScript } from "./package-manager.ts";

/** Where the build stage puts the executable, and where the image has it. */
export const BUILT = "/flysqlite";
export const INSTALLED = "/usr/local/bin/flysqlite";

/** The distribution under the image. Prisma, sharp and the like have binaries for it. */
export const SYSTEM = "bookworm-slim";

/** The user that official images of Node have besides root. */
export const IMAGE_USER = "node";

/** Where a second Node is mounted, for the one step that needs it. */
const SECOND_NODE = "/opt/node";

type ImageSettings = {
  readonly volume: string;
  /** There is a litestream.yml, which has to be where the app works. */
  readonly litestreamYml: boolean;
};

export function makeDockerfile(facts: ProjectFacts, settings: ImageSettings): string {
  return `${[head(facts), base(facts), buildStage(facts), image(facts, settings)].join("\n\n")}\n`;
}

/** `npx flysqlite build`, of exactly this version where the project doesn't say which one. */
export function buildCommand({ flysqlite, prisma }: ProjectFacts, out: string): string {
  const program = flysqlite.isDependency ? "npx flysqlite" : `npx --yes flysqlite@${flysqlite.version}`;
  return `${program} build${prisma.schema === undefined ? "" : ` --schema ${prisma.schema}`} --out ${out}`;
}

/**
 * The instruction that makes the executable, in a stage whose image has that Node; `system` is as its tag names it. On
 * another line than flysqlite's own it is run by a Node that is there for this step alone.
 */
export function buildInstruction(
  facts: ProjectFacts,
  { major, system, out }: { readonly major: number | undefined; readonly system: string; readonly out: string },
): string {
  const cache = "--mount=type=cache,target=/root/.npm";
  if (major === OWN_NODE) return `RUN ${cache} \\\n    ${buildCommand(facts, out)}`;
  const mount = `--mount=type=bind,from=node:${OWN_NODE}-${system},source=/usr/local,target=${SECOND_NODE}`;
  return `RUN ${cache} \\\n    ${mount} \\\n    PATH="${SECOND_NODE}/bin:$PATH" ${buildCommand(facts, out)}`;
}

/** The lines that put a url's variable into an image. */
export function urlVariable({ database }: ProjectFacts): readonly string[] {
  if (database.variable === undefined) return [];
  const { name, url } = database.variable;
  return [
    "# The url that the app reads; flysqlite moves the file to the volume under the same name, and tells the app.",
    `ENV ${name}="${url}"`,
  ];
}

/** The line that tells where the volume is, where that is not the usual place. */
export function volumeVariable(volume: string): readonly string[] {
  return volume === DEFAULT_VOLUME ? [] : [`ENV FLYSQLITE_VOLUME=${volume}`];
}

function head({ framework }: ProjectFacts): string {
  return `# An image for this app, with flysqlite as its entrypoint. \`npx flysqlite init\` made it: change what your app needs.
# Build: docker build -t app .   Run: docker run -v app-data:/data -p ${framework.port}:${framework.port} app`;
}

function base(facts: ProjectFacts): string {
  const { node, prisma, packageManager } = facts;
  const url = urlVariable(facts);
  const from = node.source === undefined ? "" : `, as ${node.source} asks`;
  const lines = [
    `# Node ${node.tag} on Debian${from}.`,
    "# Once for both stages: the executable fits the C library of the Node that it is built on.",
    `FROM node:${node.tag}-${SYSTEM} AS base`,
    "ENV NODE_ENV=production",
  ];
  if (url.length > 0) lines.push("", ...url);
  if (packageManager.name === "bun") {
    const tag = packageManager.version ?? "1";
    lines.push(
      "",
      "# bun, and bunx, which is bun by another name.",
      `COPY --from=oven/bun:${tag} /usr/local/bin/bun /usr/local/bin/`,
      "RUN ln -s bun /usr/local/bin/bunx",
    );
  }
  if (prisma.needsOpenssl) {
    lines.push(
      "",
      "# Prisma's engine, up to version 6, is a library that needs OpenSSL.",
      `RUN ${APT_CACHES} \\`,
      "    apt-get update && apt-get install --yes --no-install-recommends openssl",
    );
  }
  return lines.join("\n");
}

const APT_CACHES =
  "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked";

function buildStage(facts: ProjectFacts): string {
  const { packageManager, prisma, framework, node } = facts;
  const words = managerWords(packageManager);
  const run = (command: string) => `RUN --mount=type=cache,target=${words.cache} \\\n    ${command}`;
  const blocks = [
    `# ---- The build stage: everything that is needed to make the app, and nothing of it in the image.
FROM base AS build
WORKDIR /app`,
    `# binutils has \`strip\`, which makes the executable 18 MB smaller. Without it all works too.
RUN ${APT_CACHES} \\
    apt-get update && apt-get install --yes --no-install-recommends binutils`,
    ...words.setup.map((command) => `RUN ${command}`),
    [
      `# Packages first: this layer is made anew only when they change.${prisma.isCliKept ? "" : " Prisma's CLI is a development dependency."}`,
      ...copyForInstall(facts),
      run(words.install),
    ].join("\n"),
    ...(packageManager.hook === "project" ? [] : ["# The app, with its migrations.\nCOPY . ."]),
    [
      `# Prisma's client${framework.build === undefined ? "." : ", and what the app builds."}`,
      `RUN ${generateCommand(facts)}`,
      ...(framework.build === undefined ? [] : [`RUN ${runScript(packageManager.name, framework.build)}`]),
    ].join("\n"),
    `# The executable: finds the schema${prisma.major >= 7 ? " and prisma.config" : ""}, proves the migrations, and packs them.
${buildInstruction(facts, { major: node.major, system: SYSTEM, out: BUILT })}`,
    ...prune(facts),
  ];
  return blocks.join("\n\n");
}

function copyForInstall({ packageManager, prisma }: ProjectFacts): readonly string[] {
  const { files, hook } = packageManager;
  if (hook === "project") return ["# All of the app, as its install scripts may need it.", "COPY . ."];
  const isDirectory = (name: string) => !/\.[a-z]+$/i.test(name) || name === ".yarn" || name === ".config";
  const wanted = [...files, ...(hook === "schema" ? prisma.files : [])];
  const plain = wanted.filter((name) => name !== "patches" && !isDirectory(name));
  const directories = wanted.filter((name) => name === "patches" || isDirectory(name));
  return [
    `COPY package.json ${plain.map((name) => `${name} `).join("")}./`,
    ...directories.map((name) => `COPY ${name} ./${name}`),
  ];
}

/** Of the client's own line where the CLI is no dependency: npx would take the newest one there is. */
export function generateCommand({ prisma }: ProjectFacts): string {
  const program = prisma.hasCli ? "npx prisma" : `npx --yes prisma@${prisma.major}`;
  return `${program} generate${prisma.schema === undefined ? "" : ` --schema ${prisma.schema}`}`;
}

/** The instruction without which the image has the development dependencies, or the reason why they stay. */
function prune({ packageManager, prisma, neededTool, framework }: ProjectFacts): readonly string[] {
  if (framework.output !== undefined) return []; // none of them is in it
  const { prune, pruneForgets, cache } = managerWords(packageManager);
  if (neededTool !== undefined) {
    const what = neededTool.by === "start" ? "the start script" : "the seed";
    return [
      `# The development dependencies stay in the image, as ${what} needs one of them: ${neededTool.name}. Make it a plain
# dependency, or do without it (Node ${OWN_NODE} runs TypeScript itself), and remove the others here.`,
    ];
  }
  if (prune === undefined) {
    return [
      `# The development dependencies stay in the image: ${packageManager.name} would run the project's own install scripts
# when it removes them, and these need them.`,
    ];
  }
  const commands =
    pruneForgets && prisma.isInModules
      ? ["cp -R node_modules/.prisma /prisma-client", prune, "mv /prisma-client node_modules/.prisma"]
      : [prune];
  return [
    `# Without the development dependencies${prisma.isCliKept ? "" : ", Prisma's CLI among them"}: nothing needs them any more.
RUN --mount=type=cache,target=${cache} \\
    ${commands.join(" && \\\n    ")}`,
  ];
}

function image(facts: ProjectFacts, { volume, litestreamYml }: ImageSettings): string {
  const { framework } = facts;
  const environment = { ...framework.environment, PORT: String(framework.port) };
  const more = litestreamYml ? [{ from: "litestream.yml", to: "litestream.yml" }] : [];
  const copies = framework.output === undefined ? [{ from: "", to: "" }] : [...framework.output, ...more];
  const path = (name: string) => (name === "" || name === "." ? "/app" : `/app/${name}`);
  const what =
    framework.output === undefined ? "The app as it was built" : `What ${framework.name} says that its server needs`;
  return `# ---- The image.
FROM base

# ${what}. It is the app's user's, for caches and the like.
${copies.map(({ from, to }) => `COPY --from=build --chown=${IMAGE_USER}:${IMAGE_USER} ${path(from)} ${path(to)}`).join("\n")}
WORKDIR /app

# flysqlite, with the migrations in it.
COPY --from=build ${BUILT} ${INSTALLED}

# Where the volume will be. On Fly: [mounts] in fly.toml.
VOLUME ${volume}${volumeVariable(volume)
    .map((line) => `\n${line}`)
    .join("")}

# Where to replicate to: on Fly \`fly storage create\` sets all it takes. Elsewhere set FLYSQLITE_REPLICA where the
# container runs, such as s3://bucket/path?endpoint=https://s3.example.com

# Where the app listens.
${Object.entries(environment)
  .map(([name, value]) => `ENV ${name}=${value}`)
  .join("\n")}
EXPOSE ${framework.port}

# flysqlite is PID 1: it prepares the database, then runs the command below and passes signals on to it.
ENTRYPOINT ${execForm([INSTALLED])}

# The user that all of it runs as. flysqlite gives it the volume first; without this, everything runs as root.
ENV FLYSQLITE_USER=${IMAGE_USER}

# The app's command.${framework.command[0] === "npm" ? " It is run without npm." : ""}
CMD ${execForm(framework.command)}`;
}
