import { expect } from "vitest";

/** What an error of the system is expected to be, such as "ENOENT". */
export const systemError = (code: string) => expect.objectContaining({ code });
