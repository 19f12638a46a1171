// Commands of the app's own that a start runs at fixed points, each time.

import { type ChildProcess, spawn } from "node:child_process";
import { describe, FlysqliteError } from "../base/errors.ts";
import { info } from "../base/events.ts";
import { formatDuration } from "../base/format.ts";
import type { Hook } from "../config/settings.ts";
import { appEnvironment } from "../plan/app-environment.ts";
import type { Plan } from "../plan/plan.ts";
import { signalGroup, waitForEnd } from "./child.ts";
import type { StepContext } from "./context.ts";
import { findScript } from "./script.ts";

/** Runs a hook where one is configured. Throws E_HOOK where it fails, takes too long, or can't be started. */
export async function runHook(hook: Hook, plan: Plan, context: StepContext): Promise<void> {
  const { settings, environment, clock, log, signal, asApp } = context;
  const { appDirectory, hookTimeoutMs } = settings;
  const command = settings.hooks[hook]?.value;
  if (command === undefined) return;
  const failed = (why: string, cause?: unknown) =>
    new FlysqliteError("E_HOOK", `Cannot get past ${hook}: "${command}" ${why}`, { cause });
  const startedMs = clock.monotonic();
  const timeout = AbortSignal.timeout(hookTimeoutMs.value);
  let exitStatus: number;
  let child: ChildProcess | undefined;
  try {
    const place = { appDirectory, path: environment["PATH"] ?? "", what: `run ${hook}` };
    const script = findScript(command, place);
    const env = appEnvironment(environment, { placement: plan.placement, shareAws: settings.shareAws.value });
    child = asApp(() =>
      spawn(script.file, script.arguments, { cwd: appDirectory, env, stdio: ["ignore", 2, 2], detached: true }),
    );
    ({ exitStatus } = await waitForEnd(child, { signal: AbortSignal.any([signal, timeout]) }));
  } catch (error) {
    if (child !== undefined) signalGroup(child, "SIGKILL"); // what it left behind; after a success that may stay
    signal.throwIfAborted();
    if (timeout.aborted) throw failed(`took longer than ${formatDuration(hookTimeoutMs.value)}`, error);
    throw failed(`can't be run: ${describe(error)}`, error);
  }
  if (exitStatus !== 0) throw failed(`ended with status ${exitStatus}`);
  log(info("hook", `${hook}: ${command}: done in ${formatDuration(clock.monotonic() - startedMs)}`));
}
