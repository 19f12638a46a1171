// A role from its start to the end of the process.

import { end, tell, writeLine } from "./streams.ts";
import { asRefusal } from "./words.ts";

/** Ends the process with the status that the role comes to, or that its failure has; goes on where it gives none. */
export function runToEnd(role: () => Promise<number | undefined>): void {
  role().then(
    (exitStatus) => exitStatus === undefined || end(exitStatus),
    (error: unknown) => {
      const { failures } = asRefusal(error);
      for (const failure of failures) tell(failure);
      if (failures[0].code === "E_INTERNAL" && error instanceof Error) writeLine(error.stack ?? "");
      end(failures[0].exitStatus);
    },
  );
}
