import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      // Of two cores vitest would use one, and many of these wait for processes and times.
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000, maxWorkers: 3 } },
      // Each e2e file starts real processes; on two cores two files at a time are enough.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/make-bare.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      // Real containers, of the image that Dockerfile.example makes.
      {
        test: {
          name: "container",
          include: ["test/container/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
