import { describe, expect, it } from "vitest";
import { splitDockerfile } from "../../../src/init/dockerfile-lines.ts";
import { editDockerfile } from "../../../src/init/edit-dockerfile.ts";
import type { ProjectFacts } from "../../../src/init/facts.ts";

const FACTS: ProjectFacts = {
  name: "app",
  flysqlite: { version: "1.2.3", isDependency: false },
  packageManager: {
    name: "npm",
    isBerry: false,
    isVendored: false,
    lockFile: "package-lock.json",
    files: [],
    hook: "none",
  },
  node: { tag: "24", major: 24 },
  framework: { name: "Express", command: ["node", "server.js"], port: 3000, environment: {}, notes: [] },
  leftOut: [],
  prisma: {
    major: 6,
    hasCli: true,
    isCliKept: false,
    needsOpenssl: true,
    isInModules: true,
    files: ["prisma"],
    migrationsDirectory: "prisma/migrations",
    migrationCount: 1,
  },
  database: { name: "dev.db", path: "prisma/dev.db", variable: { name: "DATABASE_URL", url: "file:./dev.db" } },
  notes: [],
};

const LITERAL: ProjectFacts = { ...FACTS, database: { name: "dev.db", path: "prisma/dev.db" } };

const edit = (text: string, facts = FACTS, set: readonly string[] = []) =>
  editDockerfile(text, facts, { volume: "/data", set: new Set(set) });

/** The text that comes of it; fails where the file is left alone. */
function edited(text: string, facts = FACTS, set: readonly string[] = []): string {
  const result = edit(text, facts, set);
  if (result.kind === "left alone") throw new Error(`left alone: ${result.why}`);
  return result.text;
}

/** Lines that were added and removed: every other one is where it was. */
function changed(
  before: string,
  after: string,
): { readonly added: readonly string[]; readonly removed: readonly string[] } {
  const rest = after.split("\n");
  const removed = before.split("\n").filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return { added: rest.filter((line) => line !== "" && !line.startsWith("#")), removed };
}

/** As fly-apps' generator writes it for Prisma and Litestream, but for the parts that don't matter here. */
const GENERATED = `# syntax = docker/dockerfile:1

# Adjust NODE_VERSION as desired
ARG NODE_VERSION=20.18.0
FROM node:\${NODE_VERSION}-slim AS base

LABEL fly_launch_runtime="Remix/Prisma"

# Remix/Prisma app lives here
WORKDIR /app

# Set production environment
ENV NODE_ENV="production"


# Throw-away build stage to reduce size of final image
FROM base AS build

# Install packages needed to build node modules
RUN apt-get update -qq && \\
    apt-get install --no-install-recommends -y build-essential openssl

# Install node modules
COPY package-lock.json package.json ./
RUN npm ci --include=dev

# Generate Prisma Client
COPY prisma .
RUN npx prisma generate

# Copy application code
COPY . .

# Build application
RUN npm run build

# Remove development dependencies
RUN npm prune --omit=dev


# Final stage for app image
FROM base

# Copy built application
COPY --from=build /app /app

# Setup sqlite3 on a separate volume
RUN mkdir -p /data
VOLUME /data
ENV DATABASE_URL="file:///data/sqlite.db"

# Entrypoint prepares the database.
ENTRYPOINT [ "/app/docker-entrypoint.js" ]

# Start the server by default, this can be overwritten at runtime
EXPOSE 3000
CMD [ "npm", "run", "start" ]
`;

describe("editDockerfile, on what fly-apps' generator wrote", () => {
  const after = edited(GENERATED);

  it("adds the executable and its user, and takes the entrypoint's place", () => {
    expect(changed(GENERATED, after)).toEqual({
      added: [
        "RUN --mount=type=cache,target=/root/.npm \\",
        "    --mount=type=bind,from=node:24-bookworm-slim,source=/usr/local,target=/opt/node \\",
        '    PATH="/opt/node/bin:$PATH" npx --yes flysqlite@1.2.3 build --out /flysqlite',
        "COPY --from=build /flysqlite /usr/local/bin/flysqlite",
        "ENV FLYSQLITE_USER=node",
        'ENTRYPOINT ["/usr/local/bin/flysqlite"]',
      ],
      removed: ['ENTRYPOINT [ "/app/docker-entrypoint.js" ]'],
    });
  });

  it("makes the executable before the development dependencies are gone", () => {
    const [, build] = splitDockerfile(after).stages;
    const runs = (build?.instructions ?? []).map(({ value }) => value);
    const at = (text: string) => runs.findIndex((value) => value.includes(text));
    expect(at("npm run build")).toBeLessThan(at("flysqlite@1.2.3 build"));
    expect(at("flysqlite@1.2.3 build")).toBeLessThan(at("npm prune"));
  });

  it("changes nothing the second time", () => {
    expect(edited(after)).toBe(after);
  });

  it("leaves line ends of Windows as they are", () => {
    const windows = GENERATED.replaceAll("\n", "\r\n");
    expect(edited(windows)).toBe(after.replaceAll("\n", "\r\n"));
  });
});

/** Next.js's own example, shortened. */
const NEXT = `FROM node:20-alpine AS base

FROM base AS deps
WORKDIR /app
COPY package.json package-lock.json* ./
RUN npm ci

FROM base AS builder
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
RUN npm run build

FROM base AS runner
WORKDIR /app
COPY --from=builder --chown=nextjs:nodejs /app/.next/standalone ./
USER nextjs
EXPOSE 3000
# server.js is created by next build
CMD ["node", "server.js"]
`;

describe("editDockerfile", () => {
  it("takes a Node of the same C library, and begins as root where the image is another user's", () => {
    expect(changed(NEXT, edited(NEXT))).toEqual({
      added: [
        "RUN --mount=type=cache,target=/root/.npm \\",
        "    --mount=type=bind,from=node:24-alpine,source=/usr/local,target=/opt/node \\",
        '    PATH="/opt/node/bin:$PATH" npx --yes flysqlite@1.2.3 build --out /flysqlite',
        "COPY --from=builder /flysqlite /usr/local/bin/flysqlite",
        'ENV DATABASE_URL="file:./dev.db"',
        "USER root",
        "ENV FLYSQLITE_USER=nextjs",
        'ENTRYPOINT ["/usr/local/bin/flysqlite"]',
      ],
      removed: [],
    });
    expect(edited(NEXT)).toMatch(/ENTRYPOINT .*\n\n# server\.js is created by next build\nCMD/);
  });

  it("makes the executable where it is to be, in a file of one stage", () => {
    const text = 'FROM node:24-slim\nWORKDIR /app\nCOPY . .\nRUN npm ci\nCMD ["npm", "start"]\n';
    expect(changed(text, edited(text))).toEqual({
      added: [
        "RUN --mount=type=cache,target=/root/.npm \\",
        "    npx --yes flysqlite@1.2.3 build --out /usr/local/bin/flysqlite",
        'ENV DATABASE_URL="file:./dev.db"',
        "ENV FLYSQLITE_USER=node",
        'ENTRYPOINT ["/usr/local/bin/flysqlite"]',
      ],
      removed: [],
    });
  });

  it("adds the app's command where there is none, and to a file whose last line is not ended", () => {
    const text = "FROM node:24-slim\nWORKDIR /app\nCOPY . .\nRUN npm ci";
    expect(edited(text)).toMatch(
      /^RUN npm ci\n[\s\S]*\nENTRYPOINT \["\/usr\/local\/bin\/flysqlite"\]\nCMD \["node", "server\.js"\]\n$/m,
    );
  });

  const multi = (end: string, base = "node:24-slim") =>
    `FROM ${base} AS build\nWORKDIR /app\nCOPY . /app/\nRUN npm ci\nFROM ${base}\nCOPY --from=build /app /app\n${end}\n`;

  it.each([
    ['ENTRYPOINT ["tini", "--"]\nCMD ["node", "server.js"]', '["/usr/local/bin/flysqlite"]'],
    ['ENTRYPOINT ["/usr/bin/dumb-init", "--", "node", "x.js"]', '["/usr/local/bin/flysqlite", "node", "x.js"]'],
    ['ENTRYPOINT ["node", "server.js"]', '["/usr/local/bin/flysqlite", "node", "server.js"]'],
    ['ENTRYPOINT ["./entry.sh"]\nCMD ["node", "a b.js"]', '["/usr/local/bin/flysqlite", "./entry.sh"]'],
    ['ENTRYPOINT ["node", "/app/dbsetup.js"]\nCMD ["npm", "start"]', '["/usr/local/bin/flysqlite"]'],
  ])("keeps what %j starts, but for what flysqlite does itself", (end, words) => {
    const after = edited(multi(end));
    const entrypoints = after.split("\n").filter((line) => line.startsWith("ENTRYPOINT"));
    expect(entrypoints).toEqual([`ENTRYPOINT ${words}`]);
    expect(after.match(/^CMD .*$/gm)).toEqual(end.match(/^CMD .*$/gm));
  });

  it("lets the user make the link that a literal url needs (gaps 4 and 5)", () => {
    const { added } = changed(multi("WORKDIR /app"), edited(multi("WORKDIR /app"), LITERAL));
    expect(added).toContain("RUN mkdir -p prisma && chown node: prisma");
    expect(added.join("\n")).not.toContain("DATABASE_URL");
  });

  it.each([
    ["the file has", multi('ENV DATABASE_URL=file:/data/x.db\nCMD ["node", "x"]'), []],
    ["fly.toml has", multi('CMD ["node", "x"]'), ["DATABASE_URL"]],
  ])("sets no url where %s one", (_, text, set) => {
    expect(changed(text, edited(text, FACTS, set)).added.join("\n")).not.toContain("DATABASE_URL");
  });

  it("tells where the volume is, where that is not the usual place", () => {
    const result = editDockerfile(multi('CMD ["node", "x"]'), FACTS, { volume: "/storage", set: new Set() });
    expect(result).toMatchObject({
      kind: "edited",
      text: expect.stringContaining("\nENV FLYSQLITE_VOLUME=/storage\n"),
    });
  });

  it("numbers a stage that has no name", () => {
    const text = 'FROM node:24\nCOPY . .\nFROM node:24\nCOPY --from=0 / /\nCMD ["node", "x"]\n';
    expect(edited(text)).toContain("\nCOPY --from=0 /flysqlite /usr/local/bin/flysqlite\n");
  });

  it.each([
    ['CMD ["npm", "run", "docker-start"]', 'CMD ["npm", "run", "start"]'],
    ["CMD pnpm docker-start", 'CMD ["npm", "run", "start"]'],
  ])("starts the app without the script that migrates: %s", (before, after) => {
    const leftOut = [
      { script: "docker-start", part: "npm run setup", generates: true, command: ["npm", "run", "start"] },
    ];
    expect(
      edited(multi(before), { ...FACTS, leftOut })
        .split("\n")
        .slice(-2),
    ).toEqual([after, ""]);
    expect(edit(multi(before), { ...FACTS, leftOut })).toMatchObject({
      notes: expect.arrayContaining([expect.stringContaining('the script "docker-start" without `npm run setup`')]),
    });
    // The client, which that script generated at each start, is generated once, if it isn't yet.
    const generates = (text: string) => text.split("\n").filter((line) => line.includes("prisma generate"));
    expect(generates(edited(multi(before), { ...FACTS, leftOut }))).toEqual(["RUN npx prisma generate"]);
    const generated = multi(before).replace("RUN npm ci", "RUN npm ci && npx prisma generate");
    expect(generates(edited(generated, { ...FACTS, leftOut }))).toHaveLength(1);
  });

  it("says what a script does twice that can't be left out, also in a file that was edited before", () => {
    const facts = { ...FACTS, leftOut: [{ script: "start", part: "prisma db push", generates: false }] };
    const note = expect.stringContaining('Take `prisma db push` out of the script "start"');
    const text = edited(multi('CMD ["npm", "start"]'), facts);
    expect(text).toMatch(/\nCMD \["npm", "start"\]\n$/);
    expect(edit(multi('CMD ["npm", "start"]'), facts)).toMatchObject({ notes: expect.arrayContaining([note]) });
    expect(edit(text, facts)).toMatchObject({ text, notes: [note] });
  });

  it("says again what the stage before has, as an ENTRYPOINT drops it", () => {
    const text = 'FROM node:24 AS base\nENTRYPOINT ["./run"]\nCMD ["a"]\nFROM base\nWORKDIR /app\nCOPY . .\n';
    expect(edited(text)).toMatch(/\nENTRYPOINT \["\/usr\/local\/bin\/flysqlite", "\.\/run"\]\nCMD \["a"\]\n$/);
  });

  it.each([
    ["was root's", multi('CMD ["node", "x"]'), 1],
    ["has a user", multi('USER app\nCMD ["node", "x"]'), 0],
  ])("warns of what can't be written any more, where the image %s", (_, text, count) => {
    const result = edit(text);
    const notes = result.kind === "edited" ? result.notes : [];
    expect(notes.filter((note) => note.startsWith("The app ran as root"))).toHaveLength(count);
  });

  it("says what is left of Litestream and of Prisma's CLI", () => {
    const text = multi('RUN wget https://x/litestream.deb\nCMD ["sh", "-c", "npx prisma migrate deploy && node x"]');
    const result = edit(text);
    expect(result).toMatchObject({
      notes: [
        expect.stringContaining("ran as root"),
        "Dockerfile:8: flysqlite migrates before it runs the CMD: take `prisma` out of that",
        "Dockerfile:7: nothing needs Litestream in the image any more",
      ],
    });
  });

  it.each([
    [
      "no stage has the project",
      'FROM node:24\nCOPY server.js .\nCMD ["node", "x"]\n',
      "no stage of it has the whole project",
    ],
    ["the entrypoint is a shell's", multi("ENTRYPOINT npm start"), "its ENTRYPOINT is a command for a shell"],
    [
      "litestream starts the app",
      multi('CMD ["litestream", "replicate", "-exec", "npm start"]'),
      "litestream starts the app",
    ],
    [
      "the C libraries differ",
      multi('CMD ["node", "x"]').replace("FROM node:24-slim\n", "FROM node:24-alpine\n"),
      "different C libraries",
    ],
    [
      "the image has no C++ library",
      multi('CMD ["x"]').replace("FROM node:24-slim\n", "FROM scratch\n"),
      "no C++ library",
    ],
    [
      "the project is built as another user",
      multi('CMD ["x"]').replace("COPY . ", "USER node\nCOPY . "),
      'as the user "node"',
    ],
    ["the project is not where the stage works", multi('CMD ["x"]').replace("/app/\n", "/src/\n"), 'copied to "/src/"'],
    ["lines are continued by a backtick", `# escape=\`\n${multi('CMD ["x"]')}`, "continued by another sign"],
    ["there is no FROM", "RUN true\n", "no FROM"],
  ])("leaves a file alone where %s, and gives the lines to add", (_, text, why) => {
    const result = edit(text);
    expect(result).toMatchObject({ kind: "left alone", why: expect.stringContaining(why) });
    const lines = result.kind === "left alone" ? result.lines : [];
    expect(lines).toContain('ENTRYPOINT ["/usr/local/bin/flysqlite"]');
    expect(lines.join("\n")).toContain("npx --yes flysqlite@1.2.3 build --out /flysqlite");
  });
});

describe("splitDockerfile", () => {
  it("reads continued lines, comments within them, and heredocs", () => {
    const text = "FROM a\nRUN x \\\n# no\n  && y\nRUN <<EOF\nCMD no\nEOF\ncmd z\n";
    expect(splitDockerfile(text).instructions).toEqual([
      { keyword: "FROM", value: "a", start: 0, end: 1 },
      { keyword: "RUN", value: "x && y", start: 1, end: 4 },
      { keyword: "RUN", value: "<<EOF", start: 4, end: 7 },
      { keyword: "CMD", value: "z", start: 7, end: 8 },
    ]);
  });

  it("puts the defaults of ARG into an image's name", () => {
    const { stages } = splitDockerfile('ARG V=20 W="slim"\nFROM --platform=x node:$V-$W AS Base\nFROM base\n');
    expect(stages.map(({ image, name }) => [image, name])).toEqual([
      ["node:20-slim", "base"],
      ["base", undefined],
    ]);
  });
});
