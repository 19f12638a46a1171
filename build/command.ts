// `flysqlite build`: words in, words out.

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { describe, FlysqliteError } from "../src/base/errors.ts";
import type { Log } from "../src/base/events.ts";
import { type BuildSettings, buildApp, buildBare } from "./build-app.ts";

export const BUILD_HELP = `Usage: flysqlite build [options]

Makes one executable of the Prisma app in this directory: put it into the image
as its ENTRYPOINT. Its migrations are tried on an empty database first.

Options:
  --app DIR      the app's directory (default: .)
  --schema PATH  the Prisma schema, or its directory (default: where Prisma looks)
  --out FILE     the executable to make (default: ./flysqlite)
  --no-template  let a first start apply the migrations one by one
  --bare         make one that carries no app: it reads prisma/ where it is started
  --node FILE    the Node 24 to build on (default: the one that runs this)
  --help         show this

The executable runs where that Node runs: build in an image like the one it is for.

Examples
  npx flysqlite build
  RUN npx flysqlite build --out /flysqlite      in a Dockerfile's build stage
  npx flysqlite build --app apps/web --schema packages/db/prisma
`;

export type BuildCommandContext = {
  readonly workingDirectory: string;
  /** The Node that runs this. */
  readonly execPath: string;
  /** Directory of the bundled program. */
  readonly program: string;
  /** Takes the help. */
  readonly print: (text: string) => void;
  readonly log: Log;
};

/** Runs the command. `words` are those after "build". Throws FlysqliteError. */
export async function runBuildCommand(words: readonly string[], context: BuildCommandContext): Promise<void> {
  const { app, schema, out, node, bare, help, "no-template": noTemplate } = parseWords(words);
  if (help === true) {
    context.print(BUILD_HELP);
    return;
  }
  const { workingDirectory, execPath, program, log } = context;
  const settings: BuildSettings = {
    appDirectory: resolve(workingDirectory, app ?? "."),
    ...(schema === undefined ? {} : { schema: resolve(workingDirectory, schema) }),
    out: resolve(workingDirectory, out ?? "flysqlite"),
    node: node === undefined ? execPath : resolve(workingDirectory, node),
    program,
    template: noTemplate !== true,
  };
  if (bare === true) await buildBare(settings, log);
  else await buildApp(settings, log);
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        app: { type: "string" },
        schema: { type: "string" },
        out: { type: "string" },
        node: { type: "string" },
        bare: { type: "boolean" },
        "no-template": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new FlysqliteError("E_USAGE", describe(error), { cause: error, hint: "See `flysqlite build --help`" });
  }
}
