// Holds a restore point until it is killed, as a keeper does. Tells it over IPC.

import { holdRestorePoint } from "../../src/sqlite/restore-point.ts";
import { installedDriver } from "./driver.ts";

const held = holdRestorePoint(process.argv[2] ?? "", await installedDriver());
process.send?.(held.point);
setInterval(() => held.point, 60_000);
