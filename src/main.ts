// The program's roles, and the one place that touches the process itself.
//
//   supervisor  what a user starts: PID 1 in a container
//   keeper      its child, "@keeper": the database's side
//   migrator    the keeper's child, "@migrate": applies pending migrations, then ends
//   node        called by the name "node", in an image that has no other: runs the app's script

// biome-ignore assist/source/organizeImports: the first lines come first
import { isNode, signals } from "./first.ts";
import { spawn } from "node:child_process";
import { constants, tmpdir } from "node:os";
import { resolve } from "node:path";
import { isSea } from "node:sea";
import { isatty } from "node:tty";
import { describe, FAILURES, FlysqliteError, Refusal, toFlysqliteError } from "./base/errors.ts";
import { info, type Log, warn } from "./base/events.ts";
import type { FromKeeper, ToKeeper } from "./base/messages.ts";
import { createRedactor } from "./base/redact.ts";
import { KEEPER_AGAIN_ROLE, KEEPER_ROLE, MIGRATOR_ROLE, NODE_NAME } from "./base/roles.ts";
import { seaAssets } from "./base/sea.ts";
import { systemClock, systemRandom } from "./base/system.ts";
import { version } from "./base/version.ts";
import { asksForJson, type CommandLine, parseCommandLine } from "./cli/arguments.ts";
import { colourLine, wantsColour } from "./cli/colour.ts";
import { createLineWriter, type LineWriter, writeAll } from "./cli/line-writer.ts";
import { createLog, renderFailure, renderLine } from "./cli/render-event.ts";
import type { LockAndPlan } from "./commands/database.ts";
import type { ToldEarly } from "./commands/survey.ts";
import { type Flag, type LogFormat, variableOf } from "./config/settings.ts";
import { DEFAULT_VOLUME } from "./config/volume.ts";
import { isInPath, type ProvidedNode, provideNode, startAtOnce } from "./runtime/provide-node.ts";
import type { Driver } from "./sqlite/driver.ts";
import type { StepContext } from "./steps/context.ts";
import type { HeldSignals } from "./supervisor/held-signals.ts";
import type { Identity } from "./supervisor/privileges.ts";
import { STOP_SIGNALS } from "./supervisor/signals.ts";
import { supervise } from "./supervisor/supervisor.ts";

type Run = Extract<CommandLine, { kind: "run" }>;
type Doctor = Extract<CommandLine, { kind: "doctor" }>;
type ReplicaCommand = Extract<CommandLine, { kind: "restore" | "snapshots" | "verify" }>;
type DatabaseCommand = Extract<CommandLine, { kind: "migrate" | "resolve" | "seed" }>;
type Sidecar = Extract<CommandLine, { kind: "replicate" }>;
type ControlCommand = Extract<CommandLine, { kind: "status" | "sync" }>;

/** How this program is started in another role. Run by Node, the script's path comes first. */
const program: readonly [string, ...string[]] = isSea()
  ? [process.execPath]
  : [process.execPath, "--disable-sigusr1", process.argv[1] ?? ""];

/** How long the end of the log may take where nobody reads it, in milliseconds. */
const FLUSH_MS = 200;

/** What we make is for our own user alone. */
const OWN_MASK = 0o077;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** How lines are written. The command line may say so, once it is read. */
let format = logFormat(undefined);

const redact = createRedactor(process.env);
const hasColour = wantsColour(process.env, { isTerminal: isatty(STDERR) });
let lines: LineWriter | undefined;

function writeLine(line: string): void {
  const describeDropped = (count: number) =>
    renderLine(warn("log", `${count} lines were dropped, as nobody read them`), format);
  lines ??= createLineWriter({ fd: STDERR, describeDropped });
  const shown = redact(line);
  lines.write(hasColour && format !== "json" ? colourLine(shown) : shown);
}

const print = (text: string) => void writeAll(STDOUT, text);

async function main([role, ...rest]: readonly string[]): Promise<number> {
  if (role === MIGRATOR_ROLE) return runMigrator();
  if (role === KEEPER_ROLE || role === KEEPER_AGAIN_ROLE) return runKeeper(rest, { again: role === KEEPER_AGAIN_ROLE });

  const words = process.argv.slice(2);
  const commandLine = await readCommandLine(words);
  if (commandLine.kind === "run" && !commandLine.dry && signals !== undefined)
    return runSupervisor(commandLine, words, signals);
  // All others end as any program does.
  const stop = signals?.release().find((name) => STOP_SIGNALS.has(name));
  if (stop !== undefined) return 128 + constants.signals[stop];
  switch (commandLine.kind) {
    case "help": {
      const { commandHelp, helpText } = await import("./cli/help.ts");
      print(commandLine.topic === undefined ? helpText(version) : commandHelp(commandLine.topic));
      return 0;
    }
    case "version":
      print(`flysqlite ${version}\n`);
      return 0;
    case "completion": {
      const { completionScript } = await import("./cli/completion.ts");
      print(completionScript(commandLine.shell));
      return 0;
    }
    case "build":
      throw new FlysqliteError("E_USAGE", "Cannot build here: an executable can't make another one", {
        hint: "Run `npx flysqlite build` where npm is, such as in the image's build stage",
      });
    case "init":
      throw new FlysqliteError("E_USAGE", "Cannot look at a project here: an executable has an app, and no project", {
        hint: "Run `npx flysqlite init` in the project's directory",
      });
    case "restore":
    case "snapshots":
    case "verify":
      return runReplicaCommand(commandLine);
    case "migrate":
    case "resolve":
    case "seed":
      return runDatabaseCommand(commandLine);
    case "replicate":
      return runSidecar(commandLine);
    case "status":
    case "sync":
      return runControlCommand(commandLine);
    case "run":
    case "doctor":
      return runLook(commandLine);
  }
}

/** Reads the words; the answer to words that ask for JSON is JSON also where they can't be read. */
async function readCommandLine(words: readonly string[]): Promise<CommandLine> {
  try {
    const commandLine = parseCommandLine(words);
    if (commandLine.kind === "run" || commandLine.kind === "replicate" || commandLine.kind === "doctor")
      format = logFormat(commandLine);
    return commandLine;
  } catch (error) {
    const { renderRefusalJson } = await import("./cli/render-plan.ts");
    if (asksForJson(words)) print(renderRefusalJson(asRefusal(error).failures));
    throw error;
  }
}

async function runSupervisor(run: Run, words: readonly string[], signals: HeldSignals): Promise<number> {
  const log = createLog(logFormat(run), writeLine, systemClock);
  const volume = resolve(told(run, "volume") ?? DEFAULT_VOLUME);
  await swapAsTold(run, log);
  const environment = { ...process.env, ...(await becomeTold(run, { volume, log })) };
  using node = provideNodeIfMissing();
  if (node !== undefined) environment["PATH"] = [environment["PATH"] ?? "", node.directory].join(":");

  const [file, ...first] = program;
  return await supervise({
    startKeeper: ({ again }) => {
      const args = [...first, again ? KEEPER_AGAIN_ROLE : KEEPER_ROLE, ...words];
      // Its own session: what a terminal sends to the foreground is for the app.
      return spawn(file, args, { stdio: ["ignore", STDERR, STDERR, "ipc"], detached: true, env: environment });
    },
    signals,
    hasTerminal: isatty(STDIN),
    prepare: (launch) => (node === undefined ? launch : startAtOnce(launch, node)),
    createReaper: async ({ databaseDirectory, isOurs }) => {
      const { loadSystemCalls } = await import("./base/system-calls.ts");
      const { createReaper } = await import("./supervisor/reaper.ts");
      const { addonDirectories } = await import("./sqlite/load-driver.ts");
      const directories = addonDirectories({ tmpdir: environment["TMPDIR"], databaseDirectory });
      const loaded = loadSystemCalls({ assets: seaAssets, directories });
      return createReaper({
        loaded,
        isFirst: process.pid === 1,
        isOurs,
        log,
        later: (call) => void setImmediate(call),
      });
    },
    suspend: () => void process.kill(process.pid, "SIGSTOP"), // PID 1 can't be stopped, and goes on
    clock: systemClock,
    log,
  });
}

/** Root's to do, so before root is given up. */
async function swapAsTold(run: Run, log: Log): Promise<void> {
  const size = told(run, "swap");
  if (size === undefined) return;
  const { parseSize } = await import("./config/size.ts");
  const { loadSystemCalls } = await import("./base/system-calls.ts");
  const { addSwap } = await import("./supervisor/swap.ts");
  let sizeBytes: number;
  try {
    sizeBytes = parseSize(size);
  } catch (error) {
    throw new FlysqliteError("E_CONFIG", `Cannot make swap: ${describe(error)}`);
  }
  const loaded = loadSystemCalls({ assets: seaAssets, directories: temporaryDirectories() });
  addSwap({ sizeBytes, loaded, uuid: systemRandom.uuid(), log });
}

/** Gives up root where that is told, and gives the variables that change with it. */
async function becomeTold(
  run: Run,
  { volume, log }: { readonly volume: string; readonly log: Log },
): Promise<NodeJS.ProcessEnv> {
  const user = told(run, "user");
  const { becomeUser, belongsToRoot, isRoot } = await import("./supervisor/privileges.ts");
  const identity = process as Identity;
  if (user === undefined) {
    if (isRoot(identity) && belongsToRoot(volume))
      log(warn("launch", "the app runs as root: name a user of the image with --user (--user root says: on purpose)"));
    return {};
  }
  const { home } = becomeUser(user, { identity, volume });
  return isRoot(identity) ? {} : { HOME: home };
}

function provideNodeIfMissing(): ProvidedNode | undefined {
  if (!isSea() || isInPath(NODE_NAME, process.env["PATH"] ?? "")) return undefined;
  return provideNode(process.execPath, [...temporaryDirectories(), "/dev/shm"]);
}

function temporaryDirectories(): readonly string[] {
  const told = process.env["TMPDIR"];
  return [...(told?.startsWith("/") ? [told] : []), "/tmp", "/run"];
}

/** A setting that is needed before all of them are read. */
function told(run: Pick<Run, "flags">, flag: Flag): string | undefined {
  return run.flags[flag] ?? process.env[variableOf(flag)];
}

async function runKeeper(words: readonly string[], { again }: { readonly again: boolean }): Promise<number> {
  const run = await readCommandLine(words);
  if (run.kind !== "run") throw new FlysqliteError("E_INTERNAL", `the keeper was started for "${run.kind}"`);
  const stop = new AbortController();
  // Once the app runs its end is what counts: the supervisor tells, whoever else may send this to every process.
  let isReady = false;
  process.on("SIGTERM", () => void (isReady || stop.abort(new Error("stopped by SIGTERM"))));
  const appMask = process.umask(OWN_MASK);
  const asApp = <Started>(start: () => Started): Started => {
    process.umask(appMask);
    try {
      return start();
    } finally {
      process.umask(OWN_MASK);
    }
  };
  const messages: ToKeeper[] = [];
  let deliver: (message: ToKeeper) => void = (message) => void messages.push(message);
  process.on("message", (message: ToKeeper) => deliver(message));
  process.on("disconnect", () => deliver({ kind: "finish" })); // the supervisor died: ship what there is

  const { keep } = await import("./keeper/keeper.ts");
  const channel = {
    send: (message: FromKeeper) =>
      new Promise<void>((resolve) => {
        isReady = true;
        if (process.send?.(message, () => resolve()) === undefined) resolve();
      }),
    onMessage(listener: (message: ToKeeper) => void) {
      deliver = listener;
      for (const message of messages.splice(0)) listener(message);
    },
  };
  try {
    await keep(channel, { ...(await createContext(run, stop.signal)), asApp, again });
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 128 + 15;
    throw error;
  }
}

/** Ends what is under way at SIGINT and SIGTERM; `status` is what we then end with. */
function stopOnSignals(): { readonly signal: AbortSignal; readonly status: number } {
  const stop = new AbortController();
  let status = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, (_signal: NodeJS.Signals, number: number) => {
      status = 128 + number;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  return {
    signal: stop.signal,
    get status() {
      return status;
    },
  };
}

/** A dry run, or that and the doctor's probes. */
async function runLook(words: Run | Doctor): Promise<number> {
  const stop = stopOnSignals();
  const telling = {
    json: words.json,
    print: (text: string) => print(redact(text)),
    // Each string by itself: what is hidden of the whole could be its syntax.
    answer: (value: object) => {
      const hidden = (_name: string, part: unknown) => (typeof part === "string" ? redact(part) : part);
      print(`${JSON.stringify(value, hidden, 2)}\n`);
    },
    tell: (failure: FlysqliteError) => {
      for (const line of renderFailure(failure, format)) writeLine(line);
    },
  };
  try {
    const told = await createContext(words, stop.signal);
    // Node's own SQLite: it reads a database without leaving side files beside it.
    const context: StepContext = { ...told, sqlite: builtInSqlite, isOffline: words.offline };
    if (words.kind === "run") {
      const { dryRunCommand } = await import("./commands/dry-run.ts");
      return await dryRunCommand(context, await readEarly(words), telling);
    }
    const { doctorCommand } = await import("./commands/doctor.ts");
    return await doctorCommand(context, await readEarly(words), { ...telling, keeperSqlite: told.sqlite });
  } catch (error) {
    if (stop.signal.aborted) return stop.status;
    if (words.json) telling.answer(await refusalOf(words.kind, asRefusal(error).failures));
    throw error;
  }
}

/** The answer where not even the settings could be read. */
async function refusalOf(kind: "run" | "doctor", failures: readonly FlysqliteError[]): Promise<object> {
  const { refusedDoctor } = await import("./commands/doctor.ts");
  const { reportAsJson } = await import("./cli/render-report.ts");
  const { refusedReport } = await import("./plan/report.ts");
  return kind === "doctor" ? refusedDoctor(failures) : reportAsJson(refusedReport(failures));
}

/** What a supervisor is told before the settings are read, and whom it would become. */
async function readEarly(words: Run | Doctor): Promise<ToldEarly> {
  const { lookUpUser } = await import("./supervisor/privileges.ts");
  const sourceOf = (flag: Flag) => (words.flags[flag] === undefined ? variableOf(flag) : `--${flag}`);
  const settings = (["user", "swap"] as const).flatMap((name) => {
    const value = told(words, name);
    return value === undefined ? [] : [{ name, value, source: sourceOf(name) }];
  });
  const user = told(words, "user");
  const source = user === undefined ? "who runs this" : sourceOf("user");
  return { user: { ...lookUpUser(user, process as Identity), source }, settings };
}

async function runReplicaCommand(words: ReplicaCommand): Promise<number> {
  const stop = stopOnSignals();
  const { createProgress } = await import("./cli/progress.ts");
  const progress = createProgress(process.stderr, systemClock);
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
    if (stop.signal.aborted) return stop.status;
    throw error;
  } finally {
    progress.end();
  }
}

/** Commands that change the database, or look at what is pending for it. */
async function runDatabaseCommand(words: DatabaseCommand): Promise<number> {
  const stop = stopOnSignals();
  const { json } = words;
  try {
    const { lockAndPlan } = await import("./keeper/keeper.ts");
    const telling = {
      json,
      print,
      lockAndPlan: (...[bundle, context]: Parameters<LockAndPlan>) => lockAndPlan(bundle, { ...context, again: false }),
    };
    const told = await createContext({ flags: words.flags, command: [] }, stop.signal);
    // Node's own SQLite: nothing has to be loaded from a file, and a look leaves no side files.
    const context: StepContext = { ...told, sqlite: builtInSqlite };
    if (words.kind === "seed") {
      const { seedCommand } = await import("./commands/seed.ts");
      await seedCommand(context, telling);
    } else if (words.kind === "resolve") {
      const { resolveCommand } = await import("./commands/resolve.ts");
      await resolveCommand(words, context, telling);
    } else {
      const { migrateCommand, migrateStatus } = await import("./commands/migrate.ts");
      if (words.dry) await migrateStatus(context, telling);
      else await migrateCommand(words, context, telling);
    }
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stop.status;
    const { renderRefusalJson } = await import("./cli/render-plan.ts");
    if (json) print(renderRefusalJson(asRefusal(error).failures));
    throw error;
  }
}

/** The keeper without an app, which is its own supervisor: told to stop by a signal, and ended by a second one. */
async function runSidecar({ flags }: Sidecar): Promise<number> {
  const log = createLog(format, writeLine, systemClock);
  const stop = new AbortController();
  let stopStatus = 0;
  let isReady = false;
  let tell: (message: ToKeeper) => void = () => {};
  for (const name of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const) {
    process.on(name, (_signal: NodeJS.Signals, number: number) => {
      if (stopStatus !== 0) {
        log(warn("stop", `${name} again: ending at once; what is not replicated yet stays on the volume`));
        process.exit(isReady ? FAILURES.E_FINAL_SYNC.exitStatus : 128 + number);
      }
      stopStatus = 128 + number;
      if (!isReady) return stop.abort(new Error(`stopped by ${name}`));
      log(info("stop", `${name}: making the last sync`));
      tell({ kind: "finish" });
    });
  }
  process.on("SIGUSR1", () => {}); // else Node would listen for a debugger

  const { keepInPlace } = await import("./keeper/sidecar.ts");
  const line = {
    ready: async () => {
      isReady = true;
    },
    onMessage(listener: typeof tell) {
      tell = listener;
    },
  };
  try {
    await keepInPlace(line, await createContext({ flags, command: [] }, stop.signal));
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return stopStatus;
    throw error;
  }
}

/** Node's own SQLite reads a database without leaving side files beside it. */
async function builtInSqlite(): Promise<Driver> {
  const { createNodeSqliteDriver } = await import("./sqlite/node-sqlite.ts");
  return createNodeSqliteDriver();
}

async function runControlCommand(words: ControlCommand): Promise<number> {
  const { signal } = new AbortController(); // a signal ends these as it ends any program
  const { toldSocket } = await import("./commands/ask-keeper.ts");
  const { controlSocket } = await import("./steps/places.ts");
  const { findRunningDatabase } = await import("./steps/find-database.ts");
  let context: Promise<StepContext> | undefined;
  const all = () => {
    context ??= createContext({ flags: words.flags, command: [] }, signal);
    return context;
  };
  const database = async () => findRunningDatabase(await all());
  // What starts us as the app's child is told the socket, and need not find it by settings that the app has no use for.
  const told = words.flags.database === undefined && words.flags.volume === undefined && toldSocket(process.env);
  try {
    const socket = told || controlSocket(await database());
    if (words.kind === "sync") {
      const { syncCommand } = await import("./commands/sync.ts");
      await syncCommand(words, { socket, print, signal });
      return 0;
    }
    const { statusCommand } = await import("./commands/status.ts");
    return await statusCommand(words, { socket, database, print, context: { clock: systemClock, signal, all } });
  } catch (error) {
    const { code, message, hint } = toFlysqliteError(error);
    if (words.json) print(`${JSON.stringify({ code, message, hint }, undefined, 2)}\n`); // as the socket answers
    throw error;
  }
}

async function runMigrator(): Promise<number> {
  const { runTask } = await import("./prisma/migrator.ts");
  const parent = process.ppid;
  const surroundings = {
    environment: process.env,
    tell: (news: object) => void process.send?.(news, () => {}),
    isOrphan: () => process.ppid !== parent, // told by the system: while SQLite works, no event gets through
  };
  process.on("disconnect", () => process.exit(1)); // a process that ends by itself would close SQLite, and checkpoint
  return new Promise((resolve) => {
    process.once("message", async (task: Parameters<typeof runTask>[0]) => {
      const answer = await runTask(task, surroundings);
      if (process.send?.(answer, () => resolve(0)) === undefined) resolve(1);
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
    asApp: (start) => start(),
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
function logFormat(run: Pick<Run, "flags"> | undefined): LogFormat {
  const told = run?.flags.log ?? process.env["FLYSQLITE_LOG"];
  return told === "json" || told === "quiet" || told === "debug" ? told : "text";
}

function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal([toFlysqliteError(error)]);
}

function runMain(): void {
  main(process.argv.slice(2)).then(end, (error: unknown) => {
    const { failures } = asRefusal(error);
    for (const failure of failures) for (const line of renderFailure(failure, format)) writeLine(line);
    if (failures[0].code === "E_INTERNAL" && error instanceof Error) writeLine(error.stack ?? "");
    end(failures[0].exitStatus);
  });
}

function end(exitStatus: number): void {
  lines?.flush(FLUSH_MS);
  process.exit(exitStatus);
}

if (isNode) {
  void import("./runtime/run-as-node.ts").then(({ runAsNode }) => runAsNode(process.argv.slice(2), process));
} else {
  runMain();
}
