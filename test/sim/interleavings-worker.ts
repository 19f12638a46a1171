// Runs schedules one after the other, as it is told to over IPC. Started by workers.ts.

import { installedDriver } from "../support/driver.ts";
import { startApp } from "./app.ts";
import { type Interleaving, interleave } from "./interleave.ts";

const driver = await installedDriver();
const app = startApp();

process.on("message", async (interleaving: Interleaving) => {
  process.send?.(await interleave({ ...interleaving, app, driver }));
});
process.on("disconnect", () => app[Symbol.dispose]());
