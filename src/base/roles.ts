// The words by which this program starts itself in another role.

import { basename } from "node:path";

export const KEEPER_ROLE = "@keeper";

/** A keeper under an app that runs already. */
export const KEEPER_AGAIN_ROLE = "@keeper-again";

export const MIGRATOR_ROLE = "@migrate";

/** Called by this name, the executable is a Node. */
export const NODE_NAME = "node";

/** Words that begin a command of ours, done by hand. */
export const COMMAND_WORDS = [
  "doctor",
  "restore",
  "snapshots",
  "verify",
  "migrate",
  "seed",
  "replicate",
  "status",
  "sync",
] as const;

/** What a process of the executable is for, by its `process.argv`: "app" is what any other words may begin. */
export function startedAs([, called = "", word = ""]: readonly string[]): "node" | "role" | "command" | "app" {
  if (basename(called) === NODE_NAME) return "node";
  if (word.startsWith("@")) return "role";
  return COMMAND_WORDS.some((one) => one === word) ? "command" : "app";
}
