// The supervisor: PID 1 in a container.

import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { isSea } from "node:sea";
import { addonDirectories, temporaryDirectories } from "../base/addon.ts";
import { tellAllocator } from "../base/allocator.ts";
import { describe, FlysqliteError } from "../base/errors.ts";
import { type Log, warn } from "../base/events.ts";
import { KEEPER_AGAIN_ROLE, KEEPER_ROLE, NODE_NAME } from "../base/roles.ts";
import { seaAssets } from "../base/sea.ts";
import { systemClock, systemRandom } from "../base/system.ts";
import { isTerminal } from "../base/terminal.ts";
import { DEFAULT_VOLUME } from "../config/volume.ts";
import { isInPath, type ProvidedNode, provideNode, startAtOnce } from "../runtime/provide-node.ts";
import type { HeldSignals } from "../supervisor/held-signals.ts";
import type { Identity } from "../supervisor/privileges.ts";
import { supervise } from "../supervisor/supervisor.ts";
import { program } from "./context.ts";
import { processLog, STDERR, STDIN } from "./streams.ts";
import { type Run, told } from "./words.ts";

export async function runSupervisor(run: Run, words: readonly string[], signals: HeldSignals): Promise<number> {
  const log = processLog();
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
      const env = tellAllocator(environment);
      return spawn(file, args, { stdio: ["ignore", STDERR, STDERR, "pipe"], detached: true, env });
    },
    signals,
    hasTerminal: isTerminal(STDIN),
    prepare: (launch) => (node === undefined ? launch : startAtOnce(launch, node)),
    createReaper: async ({ databaseDirectory, isOurs }) => {
      const { loadSystemCalls } = await import("../base/system-calls.ts");
      const { createReaper } = await import("../supervisor/reaper.ts");
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
  const { parseSize } = await import("../config/size.ts");
  const { loadSystemCalls } = await import("../base/system-calls.ts");
  const { addSwap } = await import("../supervisor/swap.ts");
  let sizeBytes: number;
  try {
    sizeBytes = parseSize(size);
  } catch (error) {
    throw new FlysqliteError("E_CONFIG", `Cannot make swap: ${describe(error)}`);
  }
  const loaded = loadSystemCalls({ assets: seaAssets, directories: temporaryDirectories(process.env["TMPDIR"]) });
  addSwap({ sizeBytes, loaded, uuid: systemRandom.uuid(), log });
}

/** Gives up root where that is told, and gives the variables that change with it. */
async function becomeTold(
  run: Run,
  { volume, log }: { readonly volume: string; readonly log: Log },
): Promise<NodeJS.ProcessEnv> {
  const user = told(run, "user");
  const { becomeUser, belongsToRoot, isRoot } = await import("../supervisor/privileges.ts");
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
  return provideNode(process.execPath, [...temporaryDirectories(process.env["TMPDIR"]), "/dev/shm"]);
}
