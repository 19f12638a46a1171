// The app's manifest and migrations: from the executable, or from the app's directory where it carries none.

import { type BundledMigrations, readIndex, readMigrations, readTemplate } from "../prisma/bundle.ts";
import type { Manifest } from "../prisma/manifest.ts";
import type { StepContext } from "./context.ts";

export type AppBundle = {
  readonly manifest: Manifest;
  /** Where it comes from, for messages. */
  readonly source: string;
  /** The scripts; read only when something is pending. */
  readonly migrations: () => Promise<BundledMigrations>;
  /** A database's file with all of them applied, where the build made one. Do not write to it. */
  readonly template?: () => Uint8Array | undefined;
};

export async function openBundle({ assets, settings }: Pick<StepContext, "assets" | "settings">): Promise<AppBundle> {
  const index = readIndex(assets);
  if (index !== undefined) {
    return {
      manifest: index.manifest,
      source: "the executable",
      migrations: () => readMigrations(assets, index),
      template: () => readTemplate(assets, index),
    };
  }
  const { inspectProject } = await import("../prisma/project.ts"); // only without a bundle
  const { manifest, migrations, lockFile } = await inspectProject({ appDirectory: settings.appDirectory });
  return { manifest, source: settings.appDirectory, migrations: async () => ({ migrations, lockFile }) };
}
