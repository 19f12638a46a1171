// The words by which this program starts itself in another role.

export const KEEPER_ROLE = "@keeper";

/** A keeper under an app that runs already. */
export const KEEPER_AGAIN_ROLE = "@keeper-again";

export const MIGRATOR_ROLE = "@migrate";

/** Called by this name, the executable is a Node. */
export const NODE_NAME = "node";

/** What a process of the executable is for, by its `process.argv`: the app's script, a role of ours, or what its words say. */
export function startedAs([, called = "", word = ""]: readonly string[]): "node" | "role" | "words" {
  if (called.slice(called.lastIndexOf("/") + 1) === NODE_NAME) return "node";
  return word.startsWith("@") ? "role" : "words";
}
