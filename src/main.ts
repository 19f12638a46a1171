// The program's roles, and the one place that touches the process itself.
//
//   supervisor  what a user starts: PID 1 in a container
//   keeper      its child, "@keeper": the database's side
//   migrator    the keeper's child, "@migrate": applies pending migrations, then ends

import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { isSea } from "node:sea";
import { FlysqliteError, Refusal, toFlysqliteError } from "./base/errors.ts";
import type { FromKeeper, ToKeeper } from "./base/messages.ts";
import { KEEPER_AGAIN_ROLE, KEEPER_ROLE, MIGRATOR_ROLE } from "./base/roles.ts";
import { seaAssets } from "./base/sea.ts";
import { systemClock, systemRandom } from "./base/system.ts";
import { version } from "./base/version.ts";
import { asksForJson, type CommandLine, parseCommandLine } from "./cli/arguments.ts";
import { helpText } from "./cli/help.ts";
import { createLog, renderFailure } from "./cli/render-event.ts";
import type { LogFormat } from "./config/settings.ts";
import type { StepContext } from "./steps/context.ts";
import { supervise } from "./supervisor/supervisor.ts";

type Run = Extract<CommandLine, { kind: "run" }>;
type ReplicaCommand = Extract<CommandLine, { kind: "restore" | "snapshots" | "verify" }>;

/** How this program is started in another role. Run by Node, the script's path comes first. */
const program: readonly [string, ...string[]] = isSea()
  ? [process.execPath]
  : [process.execPath, process.argv[1] ?? ""];

const writeLine = (line: string) => void process.stderr.write(`${line}\n`);

/** How a failure is printed. The command line may say so, once it is read. */
let failureFormat = logFormat(undefined);

async function main([role, ...rest]: readonly string[]): Promise<number> {
  if (role === MIGRATOR_ROLE) return runMigrator();
  if (role === KEEPER_ROLE || role === KEEPER_AGAIN_ROLE) return runKeeper(rest, { again: role === KEEPER_AGAIN_ROLE });

  const words = process.argv.slice(2);
  const commandLine = await readCommandLine(words);
  switch (commandLine.kind) {
    case "help":
      process.stdout.write(helpText(version));
      return 0;
    case "version":
      process.stdout.write(`flysqlite ${version}\n`);
      return 0;
    case "build":
      throw new FlysqliteError("E_USAGE", "Cannot build here: an executable can't make another one", {
        hint: "Run `npx flysqlite build` where npm is, such as in the image's build stage",
      });
    case "restore":
    case "snapshots":
    case "verify":
      return runReplicaCommand(commandLine);
    case "run":
      return commandLine.dry ? dryRun(commandLine) : runSupervisor(commandLine, words);
  }
}

/** Reads the words; the answer to words that ask for JSON is JSON also where they can't be read. */
async function readCommandLine(words: readonly string[]): Promise<CommandLine> {
  try {
    const commandLine = parseCommandLine(words);
    if (commandLine.kind === "run") failureFormat = logFormat(commandLine);
    return commandLine;
  } catch (error) {
    const { renderRefusalJson } = await import("./cli/render-plan.ts");
    if (asksForJson(words)) process.stdout.write(renderRefusalJson(asRefusal(error).failures));
    throw error;
  }
}

function runSupervisor(run: Run, words: readonly string[]): Promise<number> {
  const [file, ...first] = program;
  return supervise({
    startKeeper: ({ again }) => {
      const args = [...first, again ? KEEPER_AGAIN_ROLE : KEEPER_ROLE, ...words];
      // Its own session: what a terminal sends to the foreground is for the app.
      return spawn(file, args, { stdio: ["ignore", 2, 2, "ipc"], detached: true });
    },
    signals: process,
    hasTerminal: process.stdin.isTTY === true,
    clock: systemClock,
    log: createLog(logFormat(run), writeLine, systemClock),
  });
}

async function runKeeper(words: readonly string[], { again }: { readonly again: boolean }): Promise<number> {
  const run = await readCommandLine(words);
  if (run.kind !== "run") throw new FlysqliteError("E_INTERNAL", `the keeper was started for "${run.kind}"`);
  const stop = new AbortController();
  process.on("SIGTERM", () => stop.abort(new Error("stopped by SIGTERM")));
  const messages: ToKeeper[] = [];
  let deliver: (message: ToKeeper) => void = (message) => void messages.push(message);
  process.on("message", (message: ToKeeper) => deliver(message));
  process.on("disconnect", () => deliver({ kind: "finish" })); // the supervisor died: ship what there is

  const { keep } = await import("./keeper/keeper.ts");
  const channel = {
    send: (message: FromKeeper) =>
      new Promise<void>((resolve) => {
        if (process.send?.(message, () => resolve()) === undefined) resolve();
      }),
    onMessage(listener: (message: ToKeeper) => void) {
      deliver = listener;
      for (const message of messages.splice(0)) listener(message);
    },
  };
  try {
    await keep(channel, { ...(await createContext(run, stop.signal)), again });
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 128 + 15;
    throw error;
  }
}

async function dryRun(run: Run): Promise<number> {
  const { plan } = await import("./keeper/keeper.ts");
  const { openBundle } = await import("./steps/app-bundle.ts");
  const { renderPlan, renderPlanJson, renderRefusalJson } = await import("./cli/render-plan.ts");
  try {
    const { createNodeSqliteDriver } = await import("./sqlite/node-sqlite.ts");
    // Node's own SQLite reads a database without leaving side files beside it.
    const sqlite = async () => createNodeSqliteDriver();
    const context = { ...(await createContext(run, new AbortController().signal)), sqlite };
    const planned = await plan(await openBundle(context), context);
    process.stdout.write(run.json ? renderPlanJson(planned) : renderPlan(planned));
    return 0;
  } catch (error) {
    const { failures } = asRefusal(error);
    if (run.json) process.stdout.write(renderRefusalJson(failures));
    for (const failure of failures) for (const line of renderFailure(failure, failureFormat)) writeLine(line);
    return failures[0].exitStatus;
  }
}

async function runReplicaCommand(words: ReplicaCommand): Promise<number> {
  const stop = new AbortController();
  let stopStatus = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, (_signal: NodeJS.Signals, number: number) => {
      stopStatus = 128 + number;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  const { createProgress } = await import("./cli/progress.ts");
  const progress = createProgress(process.stderr, systemClock);
  const print = (text: string) => void process.stdout.write(text);
  try {
    const context = await createContext({ flags: words.flags, command: [] }, stop.signal);
    if (words.kind === "snapshots") {
      const { snapshotsCommand } = await import("./commands/snapshots.ts");
      await snapshotsCommand(words, context, print);
    } else if (words.kind === "verify") {
      const { verifyCommand } = await import("./commands/verify.ts");
      await verifyCommand({ ...words, directory: tmpdir() }, context, print);
    } else {
      const { restoreCommand } = await import("./commands/restore.ts");
      await restoreCommand(words, context, { log: context.log, print, progress: progress.show });
    }
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stopStatus;
    throw error;
  } finally {
    progress.end();
  }
}

async function runMigrator(): Promise<number> {
  const { runTask } = await import("./prisma/migrator.ts");
  return new Promise((resolve) => {
    process.once("message", (task: Parameters<typeof runTask>[0]) => {
      const answer = runTask(task, process.env);
      process.send?.(answer, () => resolve(answer.kind === "applied" ? 0 : 1));
    });
  });
}

async function createContext(run: Pick<Run, "flags" | "command">, signal: AbortSignal): Promise<StepContext> {
  const { readSettings } = await import("./config/settings.ts");
  const { createReplicaStore } = await import("./steps/replica-store.ts");
  const { addonDirectories, loadDriver } = await import("./sqlite/load-driver.ts");
  const environment = process.env;
  const settings = await readSettings({ ...run, environment, workingDirectory: process.cwd() });
  const log = createLog(settings.log.value, writeLine, systemClock);
  let driver: ReturnType<StepContext["sqlite"]> | undefined;
  return {
    settings,
    environment,
    assets: seaAssets,
    clock: systemClock,
    random: systemRandom,
    log,
    at: () => {},
    signal,
    program,
    replica: createReplicaStore({ settings, environment, clock: systemClock, random: systemRandom, log }),
    sqlite: (databaseDirectory) => {
      const temporaryDirectories = addonDirectories({ tmpdir: environment["TMPDIR"], databaseDirectory });
      driver ??= loadDriver({ assets: seaAssets, temporaryDirectories, log });
      return driver;
    },
  };
}

/** The format as far as it is known before all settings are read; a wrong one is told by the keeper. */
function logFormat(run: Run | undefined): LogFormat {
  const told = run?.flags.log ?? process.env["FLYSQLITE_LOG"];
  return told === "json" || told === "quiet" || told === "debug" ? told : "text";
}

function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal([toFlysqliteError(error)]);
}

// A log reader that goes away must not take us, and with us the app, along.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

main(process.argv.slice(2)).then(
  (exitStatus) => process.exit(exitStatus),
  (error: unknown) => {
    const { failures } = asRefusal(error);
    for (const failure of failures) for (const line of renderFailure(failure, failureFormat)) writeLine(line);
    if (failures[0].code === "E_INTERNAL" && error instanceof Error) writeLine(error.stack ?? "");
    process.exit(failures[0].exitStatus);
  },
);
