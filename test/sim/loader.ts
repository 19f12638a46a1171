// Leads imports of the product's modules to the simulation's own, where those would reach the system. To be loaded
// before them: node --import ./test/sim/loader.ts

import { registerHooks } from "node:module";

const source = new URL("../../src/", import.meta.url).href;
const kernel = new URL("./kernel/", import.meta.url).href;

/** Module of src/, what it imports, and what it gets. */
const LED = [
  ["base/durable-file.ts", "./files.ts", "files.ts"],
  ["replica/state.ts", "../base/files.ts", "files.ts"],
  ["replica/image.ts", "node:fs/promises", "fs-restore.ts"],
  ["replica/restore-to.ts", "node:fs/promises", "fs-restore.ts"],
  ["replica/follow.ts", "node:fs", "fs.ts"],
  ["replica/staging.ts", "node:fs", "fs.ts"],
  ["sqlite/attached.ts", "node:fs", "fs.ts"],
  ["steps/note-restored.ts", "node:fs/promises", "files.ts"],
  ["steps/replicate.ts", "../storage/file.ts", "file-store.ts"],
] as const;

const led = new Map(
  LED.map(([module, specifier, target]) => [`${source}${module} ${specifier}`, `${kernel}${target}`]),
);

registerHooks({
  resolve(specifier, context, next) {
    const target = led.get(`${context.parentURL} ${specifier}`);
    return target === undefined ? next(specifier, context) : next(target, context);
  },
});
