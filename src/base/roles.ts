// The words by which this program starts itself in another role.

export const KEEPER_ROLE = "@keeper";

/** A keeper under an app that runs already. */
export const KEEPER_AGAIN_ROLE = "@keeper-again";

export const MIGRATOR_ROLE = "@migrate";

/** Called by this name, the executable is a Node. */
export const NODE_NAME = "node";
