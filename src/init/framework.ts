// Which framework a project is built with, and so how it is built, started and reached. Pure.
// Source: the frameworks' own pages on deploying to a Node server, and what their create-* packages write

import type { Found, Framework } from "./facts.ts";
import { noteNestOutput } from "./nest-output.ts";
import { readStart, type StartCommand } from "./start-command.ts";

type Rule = {
  readonly name: string;
  /** Packages of which one tells the framework. */
  readonly packages: readonly string[];
  readonly port: number;
  /** Command where package.json has no start script that would do in an image. */
  readonly command?: readonly string[];
  /** Script that starts it in production, before "start" is looked for. */
  readonly script?: RegExp;
  /** "start" is for development, or for another directory: `command` is taken all the same. */
  readonly ignoresStart?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly more?: (found: Found) => { readonly notes?: readonly string[]; readonly output?: Framework["output"] };
};

/** Listens on all addresses, as the container is reached from outside. */
const ANY_ADDRESS = "0.0.0.0";

/** The first one that fits counts, so that a server under a framework does not hide it. */
const RULES: readonly Rule[] = [
  { name: "Next.js", packages: ["next"], port: 3000, environment: { HOSTNAME: ANY_ADDRESS }, more: nextOutput },
  {
    name: "Nuxt",
    packages: ["nuxt"],
    port: 3000,
    command: ["node", ".output/server/index.mjs"],
    environment: { HOST: ANY_ADDRESS },
  },
  {
    name: "SvelteKit",
    packages: ["@sveltejs/kit"],
    port: 3000,
    command: ["node", "build"],
    more: ({ package: app }) => needs(app, "@sveltejs/adapter-node", "SvelteKit"),
  },
  {
    name: "React Router",
    packages: ["@react-router/serve", "@react-router/node", "@react-router/dev"],
    port: 3000,
    command: ["npx", "react-router-serve", "./build/server/index.js"],
  },
  {
    name: "Remix",
    packages: ["@remix-run/serve", "@remix-run/node", "@remix-run/dev", "@remix-run/express"],
    port: 3000,
    command: ["npx", "remix-serve", "./build/server/index.js"],
  },
  {
    name: "Astro",
    packages: ["astro"],
    port: 4321,
    command: ["node", "./dist/server/entry.mjs"],
    environment: { HOST: ANY_ADDRESS },
    more: ({ package: app }) => needs(app, "@astrojs/node", "Astro"),
  },
  {
    name: "AdonisJS",
    packages: ["@adonisjs/core"],
    port: 3333,
    // Its build has the start script's files in a directory of its own.
    command: ["node", "build/bin/server.js"],
    ignoresStart: true,
    environment: { HOST: ANY_ADDRESS },
    more: () => ({ notes: ["AdonisJS needs APP_KEY, and what else .env has: `fly secrets set APP_KEY=...`"] }),
  },
  {
    name: "TanStack Start",
    packages: ["@tanstack/react-start", "@tanstack/solid-start"],
    port: 3000,
    // Its build, as it is by default, has no server in it: Nitro makes one.
    command: ["node", ".output/server/index.mjs"],
    environment: { HOST: ANY_ADDRESS },
    more: ({ package: app }) => needs(app, "nitro", "TanStack Start"),
  },
  {
    name: "Angular",
    packages: ["@angular/ssr"],
    port: 4000,
    script: /^serve:ssr:/, // with the project's name; "start" is `ng serve`
    ignoresStart: true,
    more: angularHosts,
  },
  {
    name: "NestJS",
    packages: ["@nestjs/core"],
    port: 3000,
    script: /^start:prod$/,
    command: ["node", "dist/main"],
    more: noteNestOutput,
  },
  // Its command listens on all addresses by itself only in Docker and Kubernetes, and a machine of Fly's is neither.
  { name: "Fastify", packages: ["fastify-cli"], port: 3000, environment: { FASTIFY_ADDRESS: ANY_ADDRESS } },
  { name: "Fastify", packages: ["fastify"], port: 3000, more: fastifyAddress },
  { name: "Hono", packages: ["hono"], port: 3000 },
  { name: "Express", packages: ["express"], port: 3000 },
];

const PLAIN: Rule = { name: "Node", packages: [], port: 3000 };

/** Files that are the program, where package.json doesn't say. */
const USUAL_PROGRAMS = ["server.js", "server.mjs", "server.ts", "index.js", "index.mjs", "index.ts", "app.js"];

export function detectFramework(found: Found): Framework & { readonly start: StartCommand } {
  const { package: app, names } = found;
  const has = (name: string) => app.dependencies.has(name) || app.devDependencies.has(name);
  const rule = RULES.find(({ packages }) => packages.some(has)) ?? PLAIN;
  const more = rule.more?.(found) ?? {};
  const output = more.output;
  const start: StartCommand = output === undefined ? chooseStart(rule, found) : { command: ["node", "server.js"] };
  const build = app.scripts.has("build") ? "build" : start.build;
  const missing =
    start.command.length === 0 ? [`No start script: say what starts the app in the Dockerfile's CMD`] : [];
  const program = USUAL_PROGRAMS.find((file) => names.has(file)) ?? "server.js";
  return {
    name: rule.name,
    ...(build === undefined ? {} : { build }),
    command: start.command.length > 0 ? start.command : ["node", program],
    port: start.port ?? rule.port,
    environment: rule.environment ?? {},
    ...(output === undefined ? {} : { output }),
    ...(start.leftOut === undefined ? {} : { leftOut: start.leftOut }),
    notes: [...(more.notes ?? []), ...missing, ...noteBuild(app.scripts.get("build") ?? "")],
    start,
  };
}

function chooseStart(rule: Rule, { package: app, names }: Found): StartCommand {
  const wanted = [rule.script, rule.ignoresStart === true ? undefined : /^start$/];
  const script = wanted
    .map((pattern) => [...app.scripts.keys()].find((name) => pattern?.test(name) === true))
    .find((name) => name !== undefined);
  if (script !== undefined) return readStart(script, app.scripts);
  if (rule.command !== undefined) return { command: rule.command };
  const program = app.main ?? USUAL_PROGRAMS.find((file) => names.has(file));
  return { command: program === undefined ? [] : ["node", program] };
}

/**
 * Next's own selection of what the server needs, where the config asks for it. Not where the seed needs packages, or
 * where Prisma looks for the database beside the schema: neither is in the selection.
 */
function nextOutput({ texts, names, project }: Found): { readonly output?: Framework["output"] } {
  const config = [...texts].find(([path]) => path.startsWith("next.config."))?.[1] ?? "";
  if (!/\boutput\s*:\s*["'`]standalone["'`]/.test(config)) return {};
  const { seed, database } = project.manifest;
  if (seed !== undefined || database.variable === undefined) return {};
  return {
    output: [
      { from: ".next/standalone", to: "." },
      { from: ".next/static", to: ".next/static" },
      ...(names.has("public") ? [{ from: "public", to: "public" }] : []),
    ],
  };
}

/** Source: https://angular.dev/best-practices/security#preventing-server-side-request-forgery-ssrf */
function angularHosts({ texts }: Found): { readonly notes?: readonly string[] } {
  if (/"allowedHosts"\s*:\s*\[\s*"/.test(texts.get("angular.json") ?? "")) return {};
  return {
    notes: [
      "Angular answers only for hosts that it knows: name yours in angular.json, or `fly secrets set NG_ALLOWED_HOSTS=...`",
    ],
  };
}

/** Source: https://fastify.dev/docs/latest/Reference/Server/#listen */
function fastifyAddress(): { readonly notes: readonly string[] } {
  return {
    notes: [
      `Fastify listens on localhost only, where nothing reaches it, unless \`listen()\` gets the host "${ANY_ADDRESS}"`,
    ],
  };
}

function needs(app: Found["package"], adapter: string, framework: string): { readonly notes?: readonly string[] } {
  if (app.dependencies.has(adapter) || app.devDependencies.has(adapter)) return {};
  return { notes: [`${framework} makes a server for Node only with ${adapter}: add it, and name it in the config`] };
}

function noteBuild(script: string): readonly string[] {
  if (!/\bprisma (?:migrate|db)\b/.test(script)) return [];
  return ["The build script changes a database, which an image's build has not: take `prisma migrate`/`db` out of it"];
}
