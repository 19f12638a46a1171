// Runs simulations one after the other, as it is told to over IPC. Started by run.ts.

import { installedDriver } from "../support/driver.ts";
import { startApp } from "./app.ts";
import { type SimulationOptions, simulate } from "./simulate.ts";

const driver = await installedDriver();
const app = startApp();

process.on("message", async (options: SimulationOptions) => {
  process.send?.(await simulate({ ...options, app, driver }));
});
process.on("disconnect", () => app[Symbol.dispose]());
