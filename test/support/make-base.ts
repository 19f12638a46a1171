// The base image of Dockerfile.example where no registry of images is reachable: what is essential of this Debian,
// with Node and npm in it, under the name that the Dockerfile asks for.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Beside what every Debian has: what the Dockerfile's first stage installs, and what Node needs. */
const MORE_PACKAGES = ["apt", "ca-certificates", "libstdc++6", "binutils", "debian-archive-keyring"];

/** The system's own, as they are here. */
const SYSTEM_FILES = [
  "/etc/passwd",
  "/etc/group",
  "/etc/ssl/certs",
  "/etc/alternatives",
  "/etc/apt/sources.list.d/debian.sources",
];

const MERGED = ["/bin", "/lib", "/lib64", "/sbin"];

/** Writes the tree's archive, and gives its path. Throws where this is no Debian. */
export function makeBase({ directory, node }: { readonly directory: string; readonly node: string }): string {
  const names = closure(installed(), MORE_PACKAGES);
  const root = join(directory, "root");
  mkdirSync(root, { recursive: true });
  const paths = execFileSync("dpkg-query", ["--listfiles", ...names], { encoding: "utf8", maxBuffer: 1 << 26 })
    .split("\n")
    .filter((path) => path.startsWith("/") && !/^\/usr\/share\/(?:doc|man|locale|info)\//.test(path))
    .filter((path) => existsSync(path));
  const list = [...new Set([...paths.map(withoutLinks), ...MERGED.filter((path) => existsSync(path))])];
  copy(list.sort(), { root, recursive: false });
  copy(
    SYSTEM_FILES.filter((path) => existsSync(path)),
    { root, recursive: true },
  );
  for (const name of [
    "tmp",
    "proc",
    "sys",
    "dev",
    "run",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
  ])
    mkdirSync(join(root, name), { recursive: true });
  writeStatus(join(root, "var/lib/dpkg"), names);
  installNode(root, node);
  const archive = join(directory, "base.tar");
  execFileSync("tar", ["--create", "--file", archive, "--directory", root, "."]);
  return archive;
}

type Package = { readonly name: string; readonly isEssential: boolean; readonly needs: readonly (readonly string[])[] };

function installed(): ReadonlyMap<string, Package> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own syntax
  const format = "${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n";
  const text = execFileSync("dpkg-query", ["--show", "--showformat", format], { encoding: "utf8", maxBuffer: 1 << 26 });
  const packages = new Map<string, Package>();
  for (const line of text.split("\n")) {
    const [name = "", essential, provides = "", depends = ""] = line.split("\t");
    if (name === "") continue;
    const needs = depends.split(",").map((one) => one.split("|").map(bareName).filter(Boolean));
    const found = { name, isEssential: essential === "yes", needs };
    packages.set(name, found);
    for (const other of provides.split(",").map(bareName))
      if (other !== "" && !packages.has(other)) packages.set(other, found);
  }
  return packages;
}

/** "libc6:any (>= 2.28)" is libc6. */
function bareName(text: string): string {
  return text.trim().replace(/[\s(:].*$/, "");
}

function closure(packages: ReadonlyMap<string, Package>, more: readonly string[]): readonly string[] {
  const names = new Set<string>();
  const visit = (name: string): void => {
    const found = packages.get(name);
    if (found === undefined || names.has(found.name)) return;
    names.add(found.name);
    // Of alternatives the first that is here.
    for (const need of found.needs) visit(need.find((one) => packages.has(one)) ?? "");
  };
  for (const { name, isEssential } of packages.values()) if (isEssential) visit(name);
  for (const name of more) visit(name);
  return [...names];
}

/** The path with the links above it followed, such as /usr/bin/sh for /bin/sh. */
function withoutLinks(path: string): string {
  return join(realpathSync(dirname(path)), path.slice(path.lastIndexOf("/") + 1));
}

function copy(
  paths: readonly string[],
  { root, recursive }: { readonly root: string; readonly recursive: boolean },
): void {
  const words = ["--create", ...(recursive ? [] : ["--no-recursion"]), "--directory=/", "--null", "--files-from=-"];
  // Names with their parents first, so that directories get their own modes.
  const input = paths
    .filter((path) => path !== "/")
    .map((path) => path.slice(1))
    .join("\0");
  const archive = join(dirname(root), "copy.tar");
  execFileSync("tar", [...words, "--file", archive], { input, stdio: ["pipe", "ignore", "ignore"] });
  execFileSync("tar", ["--extract", "--file", archive, "--directory", root]);
  rmSync(archive);
}

/** dpkg's list, of what was copied only. */
function writeStatus(directory: string, names: readonly string[]): void {
  mkdirSync(join(directory, "info"), { recursive: true });
  mkdirSync(join(directory, "updates"), { recursive: true });
  const stanzas = readFileSync("/var/lib/dpkg/status", "utf8").split(/\n\n+/);
  const kept = stanzas.filter((stanza) => names.includes(/^Package: (.*)$/m.exec(stanza)?.[1] ?? ""));
  writeFileSync(join(directory, "status"), `${kept.join("\n\n")}\n\n`);
  for (const name of ["available", "diversions", "statoverride"]) writeFileSync(join(directory, name), "");
}

function installNode(root: string, node: string): void {
  const bin = join(root, "usr/local/bin");
  mkdirSync(bin, { recursive: true });
  cpSync(node, join(bin, "node"));
  const command = execFileSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim();
  const npm = join(dirname(realpathSync(command)), ".."); // its package, with bin/npm-cli.js
  cpSync(npm, join(root, "usr/local/lib/node_modules/npm"), { recursive: true, dereference: true });
  execFileSync("ln", ["--symbolic", "--force", "../lib/node_modules/npm/bin/npm-cli.js", join(bin, "npm")]);
  execFileSync("ln", ["--symbolic", "--force", "../lib/node_modules/npm/bin/npx-cli.js", join(bin, "npx")]);
  for (const [name, line] of [
    ["passwd", "node:x:1000:1000::/home/node:/bin/sh"],
    ["group", "node:x:1000:"],
  ] as const) {
    // Whoever has these names and numbers on this machine is nobody in the image.
    const file = join(root, "etc", name);
    const others = readFileSync(file, "utf8")
      .split("\n")
      .filter((one) => !/^node:|^[^:]*:[^:]*:1000:/.test(one));
    writeFileSync(file, [...others.filter(Boolean), line, ""].join("\n"));
  }
  const sh = join(root, "bin/sh");
  if (!lstatSync(sh, { throwIfNoEntry: false })) throw new Error("the base has no shell");
}
