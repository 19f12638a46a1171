// What the keeper holds its database by, with more points at which something may happen, and with a log that seems longer.

import type { At } from "../../src/base/context.ts";
import type { Attached, Capture, PageReader, Snapshot } from "../../src/sqlite/attached.ts";
import type { Driver } from "../../src/sqlite/driver.ts";

/** Frames that seem to be in the log besides those that are. */
export type SeemingFrames = { readonly checkpointed: number; readonly others: number };

/** A point is made before the second page that is read at a time, and then before each page after so many. */
const PAGES_BETWEEN_POINTS = 8;

/**
 * Calls `at` also between the pages that are read. The log has its length as before for all that copies it; only who
 * asks whether it has become too long is told of `seeming` frames more, so that a small log is checkpointed and sealed.
 */
export function watchedHold(
  attached: Attached,
  { at, seeming }: { readonly at: At; readonly seeming: () => SeemingFrames },
): Attached {
  const watched = (page: PageReader): PageReader => {
    let count = 0;
    return (number) => {
      if (count % PAGES_BETWEEN_POINTS === 1) at("page");
      count += 1;
      return page(number);
    };
  };
  const changes: Pick<Attached, "walState" | "capture" | "snapshot"> = {
    walState() {
      const { frames, checkpointed } = attached.walState();
      const more = seeming();
      return { frames: frames + more.checkpointed + more.others, checkpointed: checkpointed + more.checkpointed };
    },
    capture(options): Capture {
      const found = attached.capture(options);
      return found.kind === "changes" ? { ...found, page: watched(found.page) } : found;
    },
    snapshot(): Snapshot {
      const snapshot = attached.snapshot();
      return { ...snapshot, page: watched(snapshot.page) };
    },
  };
  return Object.assign(Object.create(attached), changes);
}

/** Calls `at` before each statement. Its label is the statement. */
export function watchedDriver(driver: Driver, at: At): Driver {
  return {
    ...driver,
    open(path, options) {
      const connection = driver.open(path, options);
      return {
        ...connection,
        exec(sql) {
          at(sql);
          connection.exec(sql);
        },
        all(sql, ...parameters) {
          at(sql);
          return connection.all(sql, ...parameters);
        },
      };
    },
  };
}
