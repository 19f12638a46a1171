// Runs simulations one after the other, as it is told to over IPC. Started by run.ts.

import { installedDriver } from "../support/driver.ts";
import { startApps } from "./app.ts";
import { type SimulationOptions, simulate } from "./simulate.ts";

const driver = await installedDriver();
const apps = startApps();

process.on("message", async (options: SimulationOptions) => {
  process.send?.(await simulate({ ...options, apps, driver }));
});
process.on("disconnect", () => apps[Symbol.dispose]());
