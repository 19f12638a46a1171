// Deploys as a keeper does, to be killed on the way. Tells over IPC where it is.
// Usage: node deploy-process.ts DATABASE, with the migrations as JSON in MIGRATIONS.

import process from "node:process";
import { createWorld } from "./deployment.ts";
import { installedDriver } from "./driver.ts";

const world = createWorld(process.argv[2] ?? "", await installedDriver());
await world.deploy(JSON.parse(process.env["MIGRATIONS"] ?? "[]"), { at: (label) => void process.send?.(label) });
process.exit(0);
