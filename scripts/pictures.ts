// Makes the pictures of docs/: boot.svg of the list of steps.
// Usage: npm run docs:pictures

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOT } from "./documents/boot.ts";
import { bootPicture } from "./documents/boot-picture.ts";

const docs = join(import.meta.dirname, "../docs");

writeFileSync(join(docs, "boot.svg"), bootPicture(BOOT));
