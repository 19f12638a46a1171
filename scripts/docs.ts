// Writes what of docs/ is made from the program: the tables between the marks. `npm run docs`; a test tells where it
// was forgotten.

import { writeFileSync } from "node:fs";
import { GENERATED, withRegions } from "./documents/regions.ts";

for (const path of GENERATED) writeFileSync(path, withRegions(path));
