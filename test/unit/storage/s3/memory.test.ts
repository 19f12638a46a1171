import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { startS3Server } from "../../../support/s3-server.ts";

/** 4 parts are held: 3 on their way and one being filled. The rest is the socket's, and what waits to be collected. */
const BOUND_BYTES = 96 * 1024 * 1024;

describe("an upload of 200 MB", () => {
  it("takes the memory of some parts", { timeout: 60_000 }, async () => {
    const server = await startS3Server({ forgetful: true });
    onTestFinished(() => server[Symbol.asyncDispose]());
    const child = spawn(process.execPath, [`${import.meta.dirname}/upload-child.ts`, server.origin, server.region], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    await once(child, "close");
    const { growthBytes, stored } = JSON.parse(output);
    expect(stored).toBe(true);
    expect(server.objects.get("big/x")?.sizeBytes).toBe(200_000_000);
    expect(growthBytes).toBeLessThan(BOUND_BYTES);
  });
});
