// Nothing that was found on the volume is deleted: it gets another name, which says when and why.

import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../base/durable-file.ts";
import { info, type Step } from "../base/events.ts";
import type { StepContext } from "./context.ts";

export async function moveAside(
  paths: readonly string[],
  { step, clock, log }: Pick<StepContext, "clock" | "log"> & { readonly step: Step },
): Promise<void> {
  const time = new Date(clock.now()).toISOString().replace(/[-:]/g, "").replace(/\..*/, "Z");
  for (const path of paths) {
    const aside = `${path}.orphan-${time}`;
    await rename(path, aside);
    await syncDirectory(dirname(path));
    log(info(step, `moved ${path} aside, to ${aside}`));
  }
}
