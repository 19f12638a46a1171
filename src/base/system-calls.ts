// System calls that Node has no function for, through koffi. Its addon takes time and memory: load it when a call is
// needed, and not on the way to the app.
// Source: https://koffi.dev; wait(2), prctl(2), pthread_sigmask(3), posix_fallocate(3), swapon(2)

import { createRequire } from "node:module";
import { loadAddon } from "./addon.ts";
import type { Assets } from "./assets.ts";
import { describe } from "./errors.ts";

export type SystemCalls = {
  /** The id of a child that has ended and was not waited for, or undefined. Leaves it as it is. */
  readonly peekEndedChild: () => number | undefined;
  /** Takes the status of a child that has ended. */
  readonly reapChild: (pid: number) => void;
  /** Makes orphans below this process its children. */
  readonly becomeSubreaper: () => void;
  /** Lets a signal through to this thread, and thereby what has come of it while it was blocked. */
  readonly unblockSignal: (number: number) => void;
  /** Gives a file its blocks on the disk. Gives 0, or the number of an error. */
  readonly allocate: (fd: number, sizeBytes: number) => number;
  /** Lets the kernel swap to the file. Gives 0, or the number of an error. */
  readonly swapOn: (path: string) => number;
};

export type LoadedSystemCalls = {
  readonly calls: SystemCalls | undefined;
  /** The directories that were tried in vain, each with its reason. */
  readonly reasons: string;
};

/** Loads koffi's addon from the executable by way of the first of `directories` that will do, or as a package. */
export function loadSystemCalls({
  assets,
  directories,
}: {
  readonly assets: Assets;
  readonly directories: readonly string[];
}): LoadedSystemCalls {
  const bytes = assets.read("koffi.node");
  if (bytes === undefined) return loadInstalled();
  const { addon, failures } = loadAddon(bytes, directories);
  const reasons = failures.map(({ directory, reason }) => `"${directory}" (${reason})`).join(", ") || "no directory";
  return { calls: addon === undefined ? undefined : bind(parseKoffi(addon)), reasons };
}

/** koffi as a package beside the program. */
function loadInstalled(): LoadedSystemCalls {
  try {
    const library: unknown = createRequire(import.meta.filename)("koffi");
    return { calls: bind(parseKoffi(library)), reasons: "" };
  } catch (error) {
    return { calls: undefined, reasons: `the koffi package (${describe(error)})` };
  }
}

/** What we use of koffi. A function is declared as C declares it. */
type Koffi = {
  load(library: null): { func(declaration: string): (...values: readonly unknown[]) => unknown };
  /** errno of the last call. */
  errno(): number;
};

function parseKoffi(library: unknown): Koffi {
  if (typeof library !== "object" || library === null || !("load" in library)) throw new Error("it is no koffi");
  return library as Koffi;
}

const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
const PR_SET_CHILD_SUBREAPER = 36;
const SIG_UNBLOCK = 1;

/** Of sigset_t, in bytes: a bit for each signal, the first for signal 1. */
const SIGSET_SIZE = 128;

/** Of siginfo_t, in bytes. On 64-bit systems si_pid follows three numbers and a gap. */
const SIGINFO_SIZE = 128;
const SI_PID_OFFSET = 16;

function bind(koffi: Koffi): SystemCalls {
  const libc = koffi.load(null);
  const waitid = libc.func("int waitid(int, unsigned int, _Out_ uint8_t *, int)");
  const waitpid = libc.func("int waitpid(int, _Out_ int *, int)");
  const prctl = libc.func("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)");
  const sigmask = libc.func("int pthread_sigmask(int, _In_ uint8_t *, _Out_ uint8_t *)");
  const fallocate = libc.func("int posix_fallocate(int, int64_t, int64_t)");
  const swapon = libc.func("int swapon(const char *, int)");
  const info = new Uint8Array(SIGINFO_SIZE);
  const view = new DataView(info.buffer);
  return {
    peekEndedChild() {
      view.setInt32(SI_PID_OFFSET, 0, true); // waitid leaves it alone where there is none
      if (waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) !== 0) return undefined; // no children at all
      const pid = view.getInt32(SI_PID_OFFSET, true);
      return pid === 0 ? undefined : pid;
    },
    reapChild: (pid) => void waitpid(pid, [0], WNOHANG),
    becomeSubreaper: () => void prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
    unblockSignal(number) {
      const set = new Uint8Array(SIGSET_SIZE);
      set[(number - 1) >> 3] = 1 << ((number - 1) & 7);
      sigmask(SIG_UNBLOCK, set, new Uint8Array(SIGSET_SIZE));
    },
    allocate: (fd, sizeBytes) => Number(fallocate(fd, 0, sizeBytes)),
    swapOn: (path) => (swapon(path, 0) === 0 ? 0 : koffi.errno()),
  };
}
