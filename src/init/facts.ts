// What `init` has to know of a project, as values. Pure: types, and nothing that looks.

import type { Project } from "../prisma/project.ts";

/** What was found on the disk, not yet understood. */
export type Found = {
  readonly package: PackageFile;
  /** Names of what is in the app's directory. */
  readonly names: ReadonlySet<string>;
  /** Texts of the files that say something, by path from the app's directory; those that exist. */
  readonly texts: ReadonlyMap<string, string>;
  /** Directory above the app's that has the lock file, relative to it, where the app has none. */
  readonly lockFileAbove?: string;
  readonly project: Project & { readonly migrationsDirectory: string };
  /** The schema that was asked for on the command line, relative to the app's directory. */
  readonly schema?: string;
  /** The database's file as it is here: relative to the app's directory. Undefined where no url tells. */
  readonly databasePath?: string;
};

/** The part of package.json that matters here. */
export type PackageFile = {
  readonly scripts: ReadonlyMap<string, string>;
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
  readonly packageManager?: string;
  readonly engine?: string;
  readonly volta?: string;
  readonly main?: string;
};

export type ManagerName = "npm" | "yarn" | "pnpm" | "bun";

export type PackageManager = {
  readonly name: ManagerName;
  /** As package.json#packageManager or the lock file's format tells; undefined where the image's own will do. */
  readonly version?: string;
  /** Yarn from 2 on has other words than Yarn 1. */
  readonly isBerry: boolean;
  /** The project has Yarn's program in it, which the image's Yarn 1 hands over to. */
  readonly isVendored: boolean;
  readonly lockFile?: string;
  /** Files that an install reads, besides package.json; the lock file is among them. */
  readonly files: readonly string[];
  /** What runs the install's own scripts in this project, such as "postinstall"; they may need more files. */
  readonly hook: "none" | "schema" | "project";
};

export type NodeVersion = {
  /** Tag of the official image, without the system: "24", "22.11.0". */
  readonly tag: string;
  readonly major: number;
  /** What says so: ".nvmrc", or undefined for our own choice. */
  readonly source?: string;
};

/** What a script begins with that flysqlite does itself. */
export type LeftOut = {
  readonly script: string;
  readonly part: string;
  /** Prisma's client is generated in it, which an image's build has to do then. */
  readonly generates: boolean;
  /** The rest, where that is a plain command, which an image can run in place of the script. */
  readonly command?: readonly string[];
};

export type Framework = {
  readonly name: string;
  /** Script that builds; undefined where there is nothing to build. */
  readonly build?: string;
  /** The app's command, word by word. */
  readonly command: readonly string[];
  readonly port: number;
  /** Variables that make it listen where the container is reached. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the image needs, in place of the whole app; from and to are paths from the app's directory. */
  readonly output?: readonly { readonly from: string; readonly to: string }[];
  /** Of the script that `command` is made of. */
  readonly leftOut?: LeftOut;
  /** Sentences that its reader has to act on. */
  readonly notes: readonly string[];
};

export type ProjectFacts = {
  readonly name?: string;
  readonly flysqlite: { readonly version: string; readonly isDependency: boolean };
  readonly packageManager: PackageManager;
  /** See Found. */
  readonly lockFileAbove?: string;
  readonly node: NodeVersion;
  readonly framework: Framework;
  /** Of all scripts of package.json that have such a part. */
  readonly leftOut: readonly LeftOut[];
  readonly prisma: {
    readonly major: number;
    readonly hasCli: boolean;
    /** It is a plain dependency, so that it stays in the image. */
    readonly isCliKept: boolean;
    /** Its engine is a library of its own, which needs OpenSSL. */
    readonly needsOpenssl: boolean;
    /** The client is generated into node_modules. */
    readonly isInModules: boolean;
    /** --schema, where Prisma would not find it by itself. */
    readonly schema?: string;
    /** Files and directories that hold schema and config, from the app's directory. */
    readonly files: readonly string[];
    readonly migrationsDirectory: string;
    readonly migrationCount: number;
    readonly seed?: string;
  };
  readonly database: {
    /** Name of the file, which it keeps on the volume. */
    readonly name: string;
    /** Where it is here, from the app's directory; undefined where it is outside, or no url tells. */
    readonly path?: string;
    /** Variable that the app reads the url from, and the url for the image; undefined for a literal url. */
    readonly variable?: { readonly name: string; readonly url: string };
  };
  /** A program that is needed at run time and is a development dependency: so these stay in the image. */
  readonly neededTool?: { readonly name: string; readonly by: "start" | "seed" };
  readonly notes: readonly string[];
};
