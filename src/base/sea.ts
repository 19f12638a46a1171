// What the executable carries, read through Node's own API. Outside of an executable (sources run by Node, the npm
// package) nothing is carried: there sqlite/load-driver.ts takes SQLite from the installed better-sqlite3, and the
// app's bundle is what stands in its directory.
// Source: https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html

import { getRawAsset, isSea } from "node:sea";
import type { Assets } from "./assets.ts";
import { systemCode } from "./errors.ts";

export const seaAssets: Assets = {
  read(name) {
    if (!isSea()) return undefined;
    try {
      // A view of the executable's own read-only pages: no copy, and a write to it would be a segmentation fault.
      return new Uint8Array(getRawAsset(name));
    } catch (error) {
      if (systemCode(error) === "ERR_SINGLE_EXECUTABLE_APPLICATION_ASSET_NOT_FOUND") return undefined;
      throw error;
    }
  },
};
