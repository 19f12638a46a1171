// The program's first lines: what must not wait until the rest of it is evaluated. PID 1 ignores a signal that has no
// handler yet, so each millisecond here is one in which a stop is lost. main.ts imports this before anything else.

import { isSea } from "node:sea";
import { startedAs } from "./base/roles.ts";
import { type HeldSignals, holdSignals } from "./supervisor/held-signals.ts";

const as = startedAs(process.argv);

/** True where this executable is the app's Node. */
export const isNode = isSea() && as === "node";

/** Undefined in all roles that are not the supervisor's, or a command's: their signals are their own. */
export const signals: HeldSignals | undefined = as === "role" || isNode ? undefined : holdSignals(process);
