// Files that travel inside the executable (assets of Node's single executable application).
// Source: Node.js 24, "Single executable applications"

/** Reads what the executable carries. Outside of an executable nothing is there. */
export type Assets = {
  /** Bytes of the asset, or undefined if this program carries none of that name. Do not write to them. */
  read(name: AssetName): Uint8Array | undefined;
};

/**
 * `main.cjs`, `others.cjs`: this program's two parts, and V8's code cache of each. `index.json`: manifest and hashes.
 * `bundle.tar`: the app's bundle. `template.db`: a database with all migrations applied. `better_sqlite3.node`: SQLite's
 * native addon. `koffi.node`: the one for system calls.
 */
export type AssetName =
  | "main.cjs"
  | "main.cache"
  | "others.cjs"
  | "others.cache"
  | "index.json"
  | "bundle.tar"
  | "template.db"
  | "better_sqlite3.node"
  | "koffi.node";
